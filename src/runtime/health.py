"""What the worker knows of its consumer, without asking the broker."""

import time
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, cast

if TYPE_CHECKING:
    from runtime.app import App
    from runtime.consumer import Consumer

SILENCE = 10.0  # seconds without an answer to a fetch, of which one is due every 1.5 s, before Kafka counts as away


@dataclass(frozen=True)
class Partition:
    """One partition assigned to this worker. Offsets are those of the next record."""

    topic: str
    partition: int
    done: int | None  # all before it is folded; None: nothing yet, and no committed offset
    end: int | None  # as of the last answer to a fetch; None: none yet

    @property
    def lag(self) -> int | None:
        """Records not done yet; None while unknown."""
        return None if self.end is None else max(self.end - (self.done or 0), 0)


@dataclass(frozen=True)
class Consumption:
    """The state of this worker's consumer."""

    connected: bool  # the brokers were found once
    rebalancing: float | None  # seconds since the group began to be joined (anew); None: it is joined
    rebalances: int
    partitions: tuple[Partition, ...]
    silent: float | None  # seconds since the last answer to a fetch, of the quietest partition; None: none yet
    idle: float | None  # seconds since a fetch was acknowledged; None: none yet
    refused: str | None = None  # why the newest connection to a broker could not be made; None when it was

    @property
    def lag(self) -> int | None:
        """Records not done yet in all partitions of this worker; None while not known of each."""
        lags = [partition.lag for partition in self.partitions]
        known = self.connected and self.rebalancing is None and None not in lags
        return sum(lag or 0 for lag in lags) if known else None

    def of(self, topic: str) -> "Consumption":
        """The same of the partitions of one topic."""
        return replace(self, partitions=tuple(each for each in self.partitions if each.topic == topic))

    @property
    def trouble(self) -> str | None:
        """Why nothing is being consumed now, or None."""
        why = "" if self.refused is None else f": {self.refused}"
        if not self.connected:
            return f"Kafka has not been found yet{why}"
        if self.rebalancing is not None:
            return f"joining the consumer group for {self.rebalancing:.0f} s"
        if self.silent is not None and self.silent > SILENCE:
            return f"Kafka has not answered a fetch for {self.silent:.0f} s{why}"
        return None


def consumption(app: "App") -> Consumption:
    """The state now. Reads what other threads write; a partition that is just being given away may be missing."""
    now = time.monotonic()
    consumer = cast("Consumer", app.consumer)
    client = consumer.client
    subscription = None if client is None else client._subscription.subscription
    assignment = None if subscription is None else subscription.assignment
    states = {} if assignment is None else {tp: assignment.state_value(tp) for tp in assignment.tps}
    answered = [state.timestamp for state in states.values() if state.timestamp is not None]
    joined = assignment is not None and assignment.active and not app.rebalancing
    return Consumption(
        connected=client is not None,
        rebalancing=None if joined else now - app.rebalancing_since,
        rebalances=app.rebalancing_count,
        partitions=tuple(
            Partition(tp.topic, tp.partition, consumer.done(tp), state.highwater)
            for tp, state in sorted(states.items())
        ),
        silent=max(time.time() - min(answered) / 1000, 0.0) if answered else None,
        idle=None if consumer.acked_at is None else now - consumer.acked_at,
        refused=app.access.refused,
    )

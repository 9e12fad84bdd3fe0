"""I5, I10 and I12: what the runner of the faults measured."""

from collections.abc import Iterator

from chaos.history import Facts
from chaos.rules import Violation

LONGEST_RECOVERY = 10.0  # seconds
LONGEST_STOP = 10.0  # seconds


def slow_recoveries(facts: Facts) -> Iterator[Violation]:
    """I5."""
    for recovery in facts.recoveries:
        if recovery.seconds is None:
            yield Violation("I5", f"{recovery.fault}: the lag never was 0 again")
        elif recovery.seconds > LONGEST_RECOVERY:
            yield Violation("I5", f"{recovery.fault}: the lag was 0 again after {recovery.seconds:.1f} s")


def unbounded(facts: Facts) -> Iterator[Violation]:
    """I10."""
    if facts.peak_memory > facts.memory_limit:
        yield Violation("I10", f"a worker had {facts.peak_memory:,} bytes of {facts.memory_limit:,}")
    if facts.peak_connections > facts.connection_limit > 0:
        yield Violation("I10", f"there were {facts.peak_connections} connections of {facts.connection_limit}")
    if facts.outbox_rows > facts.outbox_limit > 0:
        yield Violation("I10", f"{facts.outbox_rows:,} events waited, of {facts.outbox_limit:,} at most")


def bad_stops(facts: Facts) -> Iterator[Violation]:
    """I12."""
    for stop in facts.stops:
        if stop.code is None:
            yield Violation("I12", f"SIGTERM: no exit within {stop.seconds:.1f} s")
        elif stop.code != 0 or stop.seconds > LONGEST_STOP:
            yield Violation("I12", f"SIGTERM: exit code {stop.code} after {stop.seconds:.1f} s")

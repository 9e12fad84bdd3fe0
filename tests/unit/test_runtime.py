"""`runtime` without a broker: each departure from upstream that can be seen in isolation, by its number."""

import asyncio
import json
import logging
from collections import defaultdict
from collections.abc import Awaitable, Callable, Iterator
from types import SimpleNamespace
from typing import Any

import aiokafka.conn
import faust
import pytest
import structlog
from aiokafka import ConsumerRecord
from aiokafka.errors import KafkaError, RebalanceInProgressError, UnknownTopicOrPartitionError
from aiokafka.structs import OffsetAndMetadata
from faust.tables.recovery import RebalanceAgain, ServiceStopped
from faust.transport.drivers import aiokafka as driver
from faust.types import TP, Message
from hypothesis import given
from hypothesis import strategies as st

from runtime import logs
from runtime.app import App
from runtime.batches import Fetch, Record, WholeFetches
from runtime.client import ConsumerThread
from runtime.consumer import PAUSED_POLL, Consumer, Ledger
from runtime.health import SILENCE, Consumption, Partition
from runtime.recovery import SafeRecovery
from runtime.timers import Timer


def make_app() -> App:
    """An app that is not started."""
    return App("unit", bootstrap="one:1,two:2", web_host="127.0.0.1", web_port=8080)


def message(offset: int) -> Message:
    """A message of which only the offset counts."""
    return Message("t", 0, offset, 0.0, 0, None, None, None, None)


def record(partition: int, offset: int) -> Record:
    """A record of which only the place counts."""
    return ConsumerRecord("t", partition, offset, 0, 0, None, b"", None, 0, 0, ())


class Failing:
    """Fails as often as told, then answers."""

    def __init__(self, *errors: BaseException) -> None:
        self.errors = list(errors)
        self.calls = 0

    async def __call__(self) -> str:
        self.calls += 1
        if self.errors:
            raise self.errors.pop(0)
        return "done"


@pytest.fixture(autouse=True)
def _no_pauses(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("runtime.recovery.PAUSE", 0.0)


@pytest.fixture
def _restored_logging() -> Iterator[None]:
    handlers, level = logging.root.handlers[:], logging.root.level
    libraries = {name: logging.getLogger(name).level for name in (*logs.LIBRARIES, logs.REQUESTS)}
    yield
    logging.root.handlers[:] = handlers
    logging.root.setLevel(level)
    for name, before in libraries.items():
        logging.getLogger(name).setLevel(before)
    structlog.reset_defaults()


async def test_f4_a_recovery_step_that_times_out_is_tried_again() -> None:
    app = make_app()
    recovery = SafeRecovery(app, app.tables)
    with pytest.raises(RebalanceAgain):
        await recovery._wait(asyncio.sleep(60), timeout=0.01)
    assert recovery.signal_recovery_start.is_set()


@pytest.mark.parametrize("error", [KafkaError("no"), TimeoutError()])
async def test_f4_a_recovery_step_that_fails_is_tried_again(error: Exception) -> None:
    app = make_app()
    recovery = SafeRecovery(app, app.tables)
    with pytest.raises(RebalanceAgain):
        await recovery._wait(Failing(error)())
    assert recovery.signal_recovery_start.is_set()


async def test_f4_a_recovery_step_that_succeeds_goes_on_and_a_stop_ends_it() -> None:
    app = make_app()
    recovery = SafeRecovery(app, app.tables)
    await recovery._wait(asyncio.sleep(0), timeout=1.0)
    assert not recovery.signal_recovery_start.is_set()
    recovery._stopped.set()
    with pytest.raises(ServiceStopped):
        await recovery._wait(asyncio.sleep(60), timeout=1.0)


def test_f5_an_agent_may_be_blocked_for_a_day() -> None:
    assert make_app().conf.broker_max_poll_interval == 86_400


async def test_f6_a_timer_survives_what_its_body_raises() -> None:
    timer = Timer("t", Failing(ValueError("a"), asyncio.CancelledError(), ExceptionGroup("b", [OSError()])))
    assert timer.health().idle is None
    for _ in range(4):
        await timer.run()
    health = timer.health()
    assert (health.runs, health.failures) == (4, 3)
    assert health.idle is not None


async def test_f6_a_timer_lets_a_genuine_cancellation_pass() -> None:
    task = asyncio.create_task(Timer("t", lambda: asyncio.sleep(60)).run())
    await asyncio.sleep(0)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task


def test_f6_every_makes_a_faust_timer() -> None:
    app = make_app()
    timer = app.every(1.0, "name")(Failing())
    assert len(app._app_tasks) == 1
    assert app.timers() == (timer.health(),)


@given(offsets=st.lists(st.integers(0, 50), unique=True, min_size=1).map(sorted), data=st.data())
def test_f8_what_may_be_committed_never_passes_an_open_message(offsets: list[int], data: st.DataObject) -> None:
    ledger, delivered = Ledger(), [message(offset) for offset in offsets]
    waiting = list(delivered)
    acknowledged = 0
    while acknowledged < len(delivered):
        given_out = delivered[: len(delivered) - len(waiting)]
        open_ones = [one for one in given_out if not one.acked]
        if waiting and (not open_ones or data.draw(st.booleans())):
            ledger.deliver(waiting.pop(0))
            continue
        data.draw(st.sampled_from(open_ones)).acked = True
        ledger.settle()
        acknowledged += 1
        finished = [one.offset for one in given_out]
        still_open = [one.offset for one in given_out if not one.acked]
        before = [offset for offset in finished if not still_open or offset < still_open[0]]
        assert ledger.done == (before[-1] + 1 if before else None)


def test_f8_a_message_that_nobody_holds_any_more_is_still_open() -> None:
    ledger = Ledger()
    ledger.deliver(message(0))
    last = message(1)
    ledger.deliver(last)
    last.acked = True
    ledger.settle()
    assert ledger.done is None


class FakeCoordinator:
    """A group coordinator that has committed 5 for partition 0, and answers as told."""

    def __init__(self, error: KafkaError | None = None, *, ended: bool = False) -> None:
        self._error = error
        self._commit_lock = asyncio.Lock()
        self.generation = 1
        self._coordination_task = asyncio.get_running_loop().create_future()
        if ended:
            self._coordination_task.set_result(None)
        self.committed: dict[TP, OffsetAndMetadata] = {TP("t", 0): OffsetAndMetadata(5, "")}

    def check_errors(self) -> None:
        if self._error is not None:
            raise self._error

    async def fetch_committed_offsets(self, partitions: list[TP]) -> dict[TP, OffsetAndMetadata]:
        return {tp: self.committed[tp] for tp in partitions if tp in self.committed}

    async def _do_commit_offsets(self, _: None, offsets: dict[TP, OffsetAndMetadata]) -> None:
        self.check_errors()
        self.committed |= offsets


class FakeThread(ConsumerThread):
    """The consumer's thread, without a thread."""

    def __init__(self, coordinator: FakeCoordinator) -> None:
        fetcher = SimpleNamespace(error_future=asyncio.get_running_loop().create_future())
        self.mine = {TP("t", 0)}
        self.sought: dict[TP, int] = {}

        async def beginning_offsets(partitions: list[TP]) -> dict[TP, int]:
            return {tp: 3 if tp.partition == 2 else 0 for tp in partitions}

        self._consumer = SimpleNamespace(  # type: ignore[assignment]
            _coordinator=coordinator,
            _fetcher=fetcher,
            _closed=False,
            _max_poll_records=500,
            assignment=lambda: self.mine,
            beginning_offsets=beginning_offsets,
            seek=self.sought.__setitem__,
        )
        self.rejoined = 0

    async def call_thread(self, fun: Callable[..., Awaitable[Any]], *arguments: Any, **options: Any) -> Any:
        return await fun(*arguments, **options)

    async def _rejoin(self) -> None:
        self.rejoined += 1


def consumer_on(thread: FakeThread, *, committed: int | None, done: int) -> Consumer:
    """A consumer that has read partition 0 up to `done`."""
    consumer = object.__new__(Consumer)
    consumer._thread = thread
    consumer._stale = False
    consumer._committed_offset = {TP("t", 0): committed}
    consumer._ledgers = defaultdict(Ledger)
    consumer._ledgers[TP("t", 0)].done = done
    return consumer


async def test_f8_what_is_done_is_committed_once() -> None:
    thread = FakeThread(coordinator := FakeCoordinator())
    consumer = consumer_on(thread, committed=5, done=9)
    assert await consumer.force_commit()
    assert coordinator.committed[TP("t", 0)].offset == 9
    assert consumer._committed_offset == {TP("t", 0): 9}


async def test_f8_a_commit_that_failed_is_not_believed() -> None:
    thread = FakeThread(FakeCoordinator(KafkaError("no")))
    consumer = consumer_on(thread, committed=5, done=9)
    assert not await consumer.force_commit()
    assert consumer._committed_offset == {TP("t", 0): 5}
    assert thread.rejoined == 0


async def test_f8_a_partition_of_which_nothing_is_done_tells_that_its_topic_was_lost_too() -> None:
    thread = FakeThread(coordinator := FakeCoordinator())
    del coordinator.committed[TP("t", 0)]
    assert not await consumer_on(thread, committed=0, done=9).force_commit()
    assert (coordinator.committed, thread.rejoined) == ({}, 1)


@pytest.mark.parametrize(("committed", "error"), [(8, None), (None, UnknownTopicOrPartitionError())])
async def test_f8_nothing_is_committed_to_a_topic_that_is_not_the_one_that_was_read(
    committed: int | None, error: KafkaError | None
) -> None:
    thread = FakeThread(coordinator := FakeCoordinator(error))
    consumer = consumer_on(thread, committed=committed, done=9)
    assert not await consumer.force_commit()
    assert thread.rejoined == 1
    assert not await consumer.force_commit()  # until the group is joined again
    assert thread.rejoined == 1
    assert coordinator.committed[TP("t", 0)].offset == 5


async def test_f8_a_partition_without_a_committed_offset_has_one_before_it_is_read() -> None:
    thread = FakeThread(coordinator := FakeCoordinator())
    thread.mine |= {TP("t", 1), TP("t", 2)}
    consumer = consumer_on(thread, committed=None, done=0)
    consumer._read_offset = {}
    await consumer.perform_seek()
    starts = {TP("t", 0): 5, TP("t", 1): 0, TP("t", 2): 3}
    assert {tp: stored.offset for tp, stored in coordinator.committed.items()} == starts
    assert consumer._committed_offset == consumer._read_offset == thread.sought == starts


async def test_f8_who_is_no_member_any_more_commits_no_beginning_and_is_told() -> None:
    thread = FakeThread(coordinator := FakeCoordinator())
    thread.mine |= {TP("t", 1)}
    coordinator.generation = -1
    with pytest.raises(RebalanceInProgressError):
        await thread.seek_to_committed()
    assert coordinator.committed.keys() == {TP("t", 0)}
    assert thread.sought == {}


async def test_f8_what_was_fetched_before_a_seek_is_not_delivered(monkeypatch: pytest.MonkeyPatch) -> None:
    """It is fetched again after it."""
    thread = FakeThread(FakeCoordinator())
    consumer = consumer_on(thread, committed=5, done=5)

    async def fetch(*_: object) -> dict[TP, list[int]]:
        return {TP("t", 0): [7]}

    monkeypatch.setattr(driver.AIOKafkaConsumerThread, "_fetch_records", fetch)
    assert await consumer._getmany(set(), 1.0) == {TP("t", 0): [7]}

    number, records = await thread._fetch_records(None, set())
    await thread.seek_to_committed()

    async def told(*_: object) -> tuple[int, dict[TP, list[int]]]:
        return number, records

    monkeypatch.setattr(thread, "getmany", told)
    assert await consumer._getmany(set(), 1.0) == {}


@pytest.mark.parametrize(
    ("paused", "buffered", "waits"), [([], [], 1.0), ([0], [], PAUSED_POLL), ([], [0], PAUSED_POLL), ([], [0, 1], None)]
)
async def test_partitions_that_an_agent_was_slow_on_are_looked_at_again_soon(
    paused: list[int], buffered: list[int], waits: float | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[float] = []

    async def wait(_: Consumer, timeout: float) -> tuple[Any, Any]:
        asked.append(timeout)
        return {}, set()

    monkeypatch.setattr(driver.Consumer, "_wait_next_records", wait)
    consumer = object.__new__(Consumer)
    consumer.flow_active = True
    consumer._paused_partitions = {TP("t", number) for number in paused}
    consumer._buffered_partitions = {TP("t", number) for number in buffered}
    active = {TP("t", number) for number in (0, 1)} - consumer._paused_partitions - consumer._buffered_partitions
    monkeypatch.setattr(consumer, "_get_active_partitions", lambda: active)
    assert await consumer._wait_next_records(1.0) == ({}, set())
    assert asked == ([] if waits is None else [waits])


async def test_an_error_of_the_group_is_seen_so_that_it_goes_on() -> None:
    await FakeThread(FakeCoordinator(KafkaError("no"))).check()


async def test_a_consumer_of_which_a_task_has_ended_ends_the_worker() -> None:
    with pytest.raises(KafkaError):
        await FakeThread(FakeCoordinator(KafkaError("no"), ended=True)).check()
    thread = FakeThread(FakeCoordinator())
    thread.client._fetcher.error_future.set_exception(KafkaError("fetching"))
    with pytest.raises(KafkaError, match="fetching"):
        await thread.check()


def test_f10_an_app_has_no_tables_and_nothing_that_would_need_topics_of_faust() -> None:
    conf = make_app().conf
    assert conf.table_standby_replicas == 0
    assert conf.topic_disable_leader
    assert not conf.topic_allow_declare
    assert not make_app().tables


def test_f11_the_environment_changes_no_setting(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WEB_PORT", "tcp://10.0.0.1:80")
    monkeypatch.setenv("BROKER_URL", "kafka://elsewhere")
    conf = make_app().conf
    assert conf.web_port == 8080
    assert [str(url) for url in conf.broker] == ["kafka://one:1", "kafka://two:2"]


def test_f12_one_message_for_each_partition_of_a_fetch() -> None:
    fetched = {TP("t", 0): [record(0, 5), record(0, 6)], TP("t", 1): [], TP("t", 2): [record(2, 9)]}
    messages = dict(WholeFetches().iterate(fetched))  # type: ignore[abstract]
    assert list(messages) == [TP("t", 0), TP("t", 2)]
    first = messages[TP("t", 0)]
    assert isinstance(first, Fetch)
    assert (first.first_offset, first.offset, first.value) == (5, 6, fetched[TP("t", 0)])


def test_the_pinned_release_is_the_one_that_is_mended() -> None:
    assert faust.__version__ == "0.15.3"


def consumption(**changes: object) -> Consumption:
    """A consumer that fares well."""
    partitions = (Partition("t", 0, done=5, end=8), Partition("t", 1, done=None, end=2))
    fine = {"connected": True, "rebalancing": None, "rebalances": 1, "partitions": partitions, "silent": 0.1, "idle": 0}
    return Consumption(**(fine | changes))  # type: ignore[arg-type]


def test_lag_is_what_is_not_done_and_unknown_while_a_partition_is() -> None:
    assert consumption().lag == 3 + 2
    assert consumption(partitions=()).lag == 0
    assert consumption(partitions=(Partition("t", 0, done=5, end=None),)).lag is None
    assert consumption(partitions=(Partition("t", 0, done=5, end=3),)).lag == 0
    both = consumption(partitions=(Partition("t", 0, done=5, end=8), Partition("u", 0, done=0, end=7)))
    assert (both.lag, both.of("t").lag, both.of("u").lag, both.of("v").partitions) == (10, 3, 7, ())
    assert consumption(connected=False, partitions=()).lag is None


def test_trouble_names_what_keeps_a_consumer_from_reading() -> None:
    assert consumption().trouble is None
    assert consumption(connected=False).trouble == "Kafka has not been found yet"
    assert consumption(rebalancing=4.2).trouble == "joining the consumer group for 4 s"
    assert consumption(silent=SILENCE + 5).trouble == "Kafka has not answered a fetch for 15 s"


@pytest.mark.usefixtures("_restored_logging")
def test_logs_are_json_lines_with_what_is_bound(capsys: pytest.CaptureFixture[str]) -> None:
    logs.configure("info", "json")
    with structlog.contextvars.bound_contextvars(request_id="r1"):
        logging.getLogger("web.trainings").info("made %s", "one", extra={"status": 201})
        structlog.get_logger("web.trainings").warning("made %d", 2, status=409)
        logging.getLogger("web.trainings").error("failed", exc_info=ValueError("odd"))
    logging.getLogger("web.trainings").debug("not wanted")
    logging.getLogger("aiokafka.consumer").info("not wanted either")
    first, second, third = [json.loads(line) for line in capsys.readouterr().err.splitlines()]
    assert list(first)[:4] == ["timestamp", "level", "logger", "message"]
    assert (first["message"], first["status"], first["request_id"]) == ("made one", 201, "r1")
    assert (second["message"], second["level"], second["logger"]) == ("made 2", "warning", "web.trainings")
    assert "ValueError: odd" in third["exception"]


@pytest.mark.usefixtures("_restored_logging")
def test_logs_for_a_terminal_are_lines_of_text(capsys: pytest.CaptureFixture[str]) -> None:
    logs.configure("debug", "console")
    logging.getLogger("aiokafka.consumer").debug("wanted now")
    assert "wanted now" in capsys.readouterr().err


@pytest.mark.usefixtures("_restored_logging")
@pytest.mark.parametrize(("level", "least"), [("debug", logging.INFO), ("info", logging.WARNING)])
def test_requests_to_brokers_which_hold_passwords_are_never_logged(level: str, least: int) -> None:
    logs.configure(level, "json")
    assert logging.getLogger(aiokafka.conn.__name__).getEffectiveLevel() == least


def test_a_flood_of_library_logs_is_throttled_and_counted(monkeypatch: pytest.MonkeyPatch) -> None:
    now = 100.0
    monkeypatch.setattr("runtime.logs.time.monotonic", lambda: now)
    throttle = logs.Throttle()

    def passes(name: str, level: int, text: str) -> logging.LogRecord | None:
        line = logging.LogRecord(name, level, "", 0, text, (), None)
        return line if throttle.filter(line) else None

    assert passes("aiokafka", logging.ERROR, "no broker %s")
    assert not passes("aiokafka", logging.ERROR, "no broker %s")
    assert not passes("aiokafka", logging.ERROR, "no broker %s")
    assert passes("aiokafka", logging.ERROR, "something else")
    assert passes("web.trainings", logging.ERROR, "ours")
    assert passes("web.trainings", logging.ERROR, "ours")
    now += logs.PERIOD
    line = passes("aiokafka", logging.ERROR, "no broker %s")
    assert line is not None
    assert line.__dict__["left_out"] == 2

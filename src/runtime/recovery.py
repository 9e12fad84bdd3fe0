"""F4: an assignment that survives a broker that does not answer. There are no tables (F10) to recover."""

import logging
from typing import Any

from aiokafka.errors import KafkaError
from faust.tables.manager import TableManager
from faust.tables.recovery import RebalanceAgain, Recovery, ServiceStopped

log = logging.getLogger(__name__)

PAUSE = 1.0  # seconds between attempts


class SafeRecovery(Recovery):
    """Resumes the streams after each assignment, trying again until it succeeds.

    Upstream (faust/tables/recovery.py, `_wait`) takes a step's timeout for a stop of the service, for that is how
    mode/services.py, `wait_first`, reports it: the recovery task ends without a word and the worker lives on without
    agents (faust-streaming/faust#523, #640). An error of the broker's in a step ends the whole worker.
    """

    mundane_level = "debug"

    async def _wait(self, coro: Any, timeout: Any = None) -> None:
        again = self.signal_recovery_start
        result = None
        try:
            result = await self.wait_first(coro, again, timeout=timeout)  # type: ignore[arg-type]
        except (KafkaError, TimeoutError) as error:
            log.warning("resuming the streams failed, again in %.0f s: %r", PAUSE, error)
            await self.sleep(PAUSE)
        if self.should_stop:
            raise ServiceStopped
        if result is None or result.stopped:  # failed or timed out
            again.set()
        if again.is_set():
            raise RebalanceAgain


class Tables(TableManager):
    """Upstream's, with `SafeRecovery`."""

    mundane_level = "debug"

    @property
    def recovery(self) -> Recovery:
        if self._recovery is None:
            self._recovery = SafeRecovery(self.app, self, beacon=self.beacon, loop=self.loop)
        return self._recovery

"""The process: signals, exit codes, and a stop that ends."""

import faulthandler
import gc
import logging
import os
import sys
import threading
import time
from typing import Any

import faust

log = logging.getLogger(__name__)

GARBAGE = 20_000  # allocations between two collections of the youngest objects; Python's default is 700


class Worker(faust.Worker):
    """Upstream's (faust/worker.py, mode/worker.py) with these departures.

    - Logging is left as `runtime.logs` configured it: upstream clears the root logger's handlers. `-l` does nothing.
    - SIGUSR1 and SIGUSR2 write the stacks of all threads to stderr. Upstream's SIGUSR2 opens pdb, which hangs the
      process, and its SIGUSR1 prints local variables, secrets and personal data among them.
    - Standard output is not redirected into the log.
    - Modules and the app are kept out of garbage collection, which else walks through all of them while records are
      folded and requests wait.
    """

    def __init__(self, app: Any, *services: Any, **options: Any) -> None:
        super().__init__(app, *services, **options | {"redirect_stdouts": False, "override_logging": False})
        self.spinner = None

    async def on_first_start(self) -> None:
        await super().on_first_start()
        gc.collect()
        gc.freeze()
        gc.set_threshold(GARBAGE, 20, 20)

    def _on_sigusr1(self) -> None:
        faulthandler.dump_traceback(sys.stderr)

    def _on_sigusr2(self) -> None:
        faulthandler.dump_traceback(sys.stderr)


def exit_after(grace: float, code: int) -> None:
    """F3: end the process `grace` seconds from now, however the event loop fares, unless it has ended by then.

    Upstream waits for a broker that is away for as long as it is away (faust-streaming/faust#324, robinhood/faust#484).
    A hard exit is safe: it commits nothing, so that what was in flight is delivered again.
    """

    def watch() -> None:
        time.sleep(grace)
        log.warning("not stopped within %.0f s: exiting; what was in flight is delivered again", grace)
        logging.shutdown()
        os._exit(code)

    threading.Thread(target=watch, name="exit", daemon=True).start()

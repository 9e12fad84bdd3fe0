"""`make run`: the whole service on this machine, in the foreground, until Ctrl-C."""

import datetime as dt
import fcntl
import json
import os
import shlex
import signal
import sys
import time
from pathlib import Path
from typing import NoReturn, TextIO

from commands.tokens import DEVELOPER
from embedded.process import ServerError, port_taken
from embedded.stack import TOKEN_LIFE, Stack

STATE = Path(".state")
_PIPELINE_PATIENCE = 20.0  # seconds; the embedded broker lets a consumer in after about five
_SAME_SIGNAL = 1.0  # seconds within which two are one: make passes on a SIGTERM that its whole group was sent

_BANNER = """
Training service is ready ({seconds:.1f} s).

  API        {url}/api/v1/trainings
  Docs       {url}/docs
  Health     {url}/health/ready  {url}/health/pipeline
  Metrics    {url}/metrics
  Logs       {folder}/worker.log

Log a training, as user {user} (token good for {days} days):

{curl}

Watch the events, from this folder in another terminal:

{events}

Ctrl-C stops everything and keeps the data in {folder}.
"""


def main() -> int:
    """Start, say where everything is, keep it alive; returns the exit code."""
    began = time.monotonic()
    _handle_signals()
    folder = STATE.resolve()
    wish = os.environ.get("TRAINING_WEB_PORT", "8080")
    if not wish.isdecimal() or not 0 < (port := int(wish)) < 65_536:
        return _refuse(f"TRAINING_WEB_PORT is {wish!r}, which is no port.")
    try:
        folder.mkdir(exist_ok=True)
        lock = (folder / "lock").open("a+")
    except OSError as error:
        return _refuse(f"{folder} cannot be written: {error.strerror}. Was it made by another user?")
    with lock:
        if not _locked(lock):
            lock.seek(0)
            return _refuse(f"It runs already in this folder (process {lock.read().strip()}): stop that one first.")
        if port_taken(port):
            return _refuse(f"Port {port} is taken. Choose another: TRAINING_WEB_PORT={port + 1} make run")
        return _run(Stack(folder, web_port=port, environment=os.environ), began)


def _run(stack: Stack, began: float) -> int:
    try:
        _say(f"Starting PostgreSQL, the broker and the service; all that they keep stands in {stack.folder}.")
        stack.start()
        _say(_banner(stack, time.monotonic() - began))
        _keep_alive(stack)
    except KeyboardInterrupt:
        _say("Stopping.")
    except ServerError as error:
        return _refuse(str(error))
    finally:
        _end(stack)
    return 0


def _keep_alive(stack: Stack) -> NoReturn:
    patient_until = time.monotonic() + _PIPELINE_PATIENCE
    told = False  # whether events flow
    while True:
        time.sleep(0.5)
        stack.tend(_say)
        if not told:
            trouble = stack.trouble()
            told = not trouble or time.monotonic() > patient_until
            if told:
                _say(f"Events do not reach the tables yet: {trouble}" if trouble else "Events flow.")


def _handle_signals() -> None:
    """Ctrl-C, SIGTERM and SIGHUP all raise KeyboardInterrupt: the first stops in order, a second at once."""
    last = -_SAME_SIGNAL

    def interrupt(_number: int, _frame: object) -> None:
        nonlocal last
        if time.monotonic() - last > _SAME_SIGNAL:
            last = time.monotonic()
            raise KeyboardInterrupt

    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        if signal.getsignal(number) is not signal.SIG_IGN:  # nohup, a shell's background job
            signal.signal(number, interrupt)


def _end(stack: Stack) -> None:
    try:
        stack.stop()
    except KeyboardInterrupt:
        _say("Stopping at once.")
    finally:
        stack.kill()  # what is still there


def _banner(stack: Stack, seconds: float) -> str:
    return _BANNER.format(
        seconds=seconds,
        url=stack.worker.url,
        folder=stack.folder,
        user=DEVELOPER,
        days=TOKEN_LIFE.days,
        curl=_curl(stack),
        events=shlex.join([str(Path(sys.executable).with_name("training")), "events"]),
    )


def _curl(stack: Stack) -> str:
    training = {
        "date": dt.datetime.now(dt.UTC).isoformat(timespec="seconds"),
        "status": "COMPLETED",
        "title": "First training",
        "exercises": [
            {"name": "Bench Press", "sets": [{"weight": 60, "reps": 8}, {"weight": 62.5, "reps": 6}]},
            {"name": "Pull-up", "exercise": "pull-up", "sets": [{"reps": 10}]},
        ],
    }
    headers = (f"Authorization: Bearer {stack.token()}", "Content-Type: application/json")
    options = [part for header in headers for part in ("-H", header)]
    return shlex.join(["curl", "-i", f"{stack.worker.url}/api/v1/trainings", *options, "-d", json.dumps(training)])


def _locked(lock: TextIO) -> bool:
    """Whether this process has the folder to itself; its number is written into the file for the next that tries."""
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    lock.truncate(0)
    lock.write(str(os.getpid()))
    lock.flush()
    return True


def _say(text: str) -> None:
    print(text, flush=True)


def _refuse(reason: str) -> int:
    print(reason, file=sys.stderr, flush=True)
    return 1


if __name__ == "__main__":
    sys.exit(main())

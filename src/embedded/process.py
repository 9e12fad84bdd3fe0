"""One child process that serves: how it is started, waited for, and ended so that none is left behind."""

import ctypes
import os
import signal
import socket
import subprocess
import sys
import time
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import ClassVar

import psutil

LOOPBACK = "127.0.0.1"
_PR_SET_PDEATHSIG = 1  # linux/prctl.h
_POLL_INTERVAL = 0.02  # seconds
_PORTS_TRIED = 5


class ServerError(RuntimeError):
    """A server did not start; the message says why and ends with the last lines of its log."""


class PortTakenError(ServerError):
    """The port that a server was given is in use."""


class Child:
    """A child process in a session of its own, so that the terminal's Ctrl-C does not reach it.

    Its output is added to the file `log`. Where the kernel can (Linux), it is sent `orphan_signal` when the thread
    that started it ends, even by SIGKILL: start it from the main thread.
    """

    stop_signal: ClassVar[signal.Signals] = signal.SIGTERM
    orphan_signal: ClassVar[signal.Signals] = signal.SIGKILL

    def __init__(self, name: str, log: Path) -> None:
        self.name = name
        self.log = log
        self.process: subprocess.Popen[bytes] | None = None

    @property
    def running(self) -> bool:
        """Whether it was started and has not ended."""
        return self.process is not None and self.process.poll() is None

    @property
    def pid(self) -> int:
        """Process id of the one that was started last."""
        if self.process is None:
            raise ServerError(f"{self.name} was not started.")
        return self.process.pid

    def spawn(
        self, command: Sequence[str], *, env: Mapping[str, str] | None = None, user: tuple[int, int] | None = None
    ) -> None:
        """Start the process; `user` is the uid and gid that it runs under (its own by default)."""
        if self.running:
            raise ServerError(f"{self.name} is running already.")
        uid, gid = user or (None, None)
        with self.log.open("ab") as log:
            self.process = subprocess.Popen(  # noqa: S603 - the command is ours
                command,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                env=env,
                user=uid,
                group=gid,
                extra_groups=None if user is None else [],
                start_new_session=True,
                preexec_fn=_die_with_parent(self.orphan_signal),  # noqa: PLW1509 - it only calls prctl
            )

    def wait_until(self, ready: Callable[[], bool], timeout: float) -> None:
        """Return when `ready()`. Raises `ServerError`, the process ended, when it ends by itself or takes too long."""
        deadline = time.monotonic() + timeout
        while not ready():
            if not self.running:
                raise ServerError(f"{self.name} ended while starting (exit {self.exit_code}).\n{self.tail()}")
            if time.monotonic() > deadline:
                self.kill()
                raise ServerError(f"{self.name} did not answer within {timeout:g} s.\n{self.tail()}")
            time.sleep(_POLL_INTERVAL)

    @property
    def exit_code(self) -> int | None:
        """Exit code of the process; -N when signal N ended it; None while it runs or was not started."""
        return None if self.process is None else self.process.poll()

    def stop(self, timeout: float = 10.0) -> int | None:
        """Ask the process to stop and wait; after `timeout` seconds kill it. Returns the exit code."""
        if self.process is not None and self.process.poll() is None:
            self.process.send_signal(self.stop_signal)
            try:
                self.process.wait(timeout)
            except subprocess.TimeoutExpired:
                self.kill()
        return self.exit_code

    def kill(self) -> None:
        """SIGKILL to the process and all its descendants: a crash."""
        if self.process is not None:
            self.freeze()  # so that it makes no child that is not seen
            self._signal(self._family(), signal.SIGKILL)
            self.process.wait()

    def freeze(self) -> None:
        """SIGSTOP to the process and all its descendants: alive, silent, its connections open."""
        self._signal(self._family()[:1], signal.SIGSTOP)
        self._signal(self._family(), signal.SIGSTOP)

    def thaw(self) -> None:
        """SIGCONT: goes on after `freeze`."""
        self._signal(self._family(), signal.SIGCONT)

    def tail(self, lines: int = 15) -> str:
        """The last lines of the log."""
        return "\n".join(self.log.read_text(errors="replace").splitlines()[-lines:]) if self.log.exists() else ""

    def _family(self) -> list[psutil.Process]:
        """The process and its descendants; nothing when it has ended, since its number may be another's then."""
        if not self.running:
            return []
        try:
            leader = psutil.Process(self.pid)
            return [leader, *leader.children(recursive=True)]
        except psutil.NoSuchProcess:
            return []

    @staticmethod
    def _signal(processes: list[psutil.Process], number: signal.Signals) -> None:
        for process in processes:
            with suppress(psutil.NoSuchProcess):
                process.send_signal(number)


class Server(Child, ABC):
    """A child process that serves on one TCP port of the loopback.

    `port` is the port to listen on; by default a free one is chosen at the first start. A restart keeps the port.
    """

    def __init__(self, name: str, log: Path, port: int | None = None) -> None:
        super().__init__(name, log)
        self.port = port or 0

    @abstractmethod
    def launch(self) -> None:
        """Start the process, told to listen on `self.port`."""

    @abstractmethod
    def ready(self) -> bool:
        """Whether it answers."""

    def start(self, timeout: float = 30.0) -> None:
        """Start; returns when it answers. Raises `PortTakenError` when a port that must be kept is taken, `ServerError`
        when it ends or does not answer within `timeout` seconds."""
        if self.port:
            if port_taken(self.port):
                raise PortTakenError(f"Port {self.port}, meant for {self.name}, is taken.")
            self.launch()
            self.wait_until(self.ready, timeout)
            return
        for attempt in range(1, _PORTS_TRIED + 1):
            self.port = free_port()
            try:
                self.launch()
                self.wait_until(self.ready, timeout)
            except ServerError:
                taken = port_taken(self.port)  # somebody was faster
                self.port = 0
                if not taken or attempt == _PORTS_TRIED:
                    raise
            else:
                return


def free_port() -> int:
    """A TCP port of the loopback that nobody listens on now; another process may take it before it is used."""
    with socket.socket() as probe:
        probe.bind((LOOPBACK, 0))
        return int(probe.getsockname()[1])


def port_taken(port: int, host: str = LOOPBACK) -> bool:
    """Whether `port` cannot be listened on."""
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, port))
        except OSError:
            return True
    return False


def _die_with_parent(number: signal.Signals) -> Callable[[], None] | None:
    if sys.platform != "linux":
        return None
    prctl = ctypes.CDLL(None).prctl  # looked up before the fork, so that the child only makes two system calls
    parent = os.getpid()

    def set_signal() -> None:
        prctl(_PR_SET_PDEATHSIG, int(number))
        if os.getppid() != parent:  # the parent ended before the signal was set
            os._exit(1)

    return set_signal

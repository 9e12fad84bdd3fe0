"""The worker as a child process."""

import http.client
from collections.abc import Mapping
from pathlib import Path

from commands.service import WORKER
from embedded.process import LOOPBACK, Server


class Worker(Server):
    """One worker, listening on the loopback. `environment` is all of its environment but the address."""

    def __init__(self, environment: Mapping[str, str], log: Path, *, port: int | None = None) -> None:
        super().__init__("the worker", log, port)
        self.environment = dict(environment)

    @property
    def url(self) -> str:
        """Base address of its API, without a slash at the end."""
        return f"http://{LOOPBACK}:{self.port}"

    def launch(self) -> None:
        listen = {"TRAINING_WEB_HOST": LOOPBACK, "TRAINING_WEB_PORT": str(self.port)}
        self.spawn(WORKER, env={**self.environment, **listen})

    def ready(self) -> bool:
        return self.get("/health/ready")[0] == 200

    def get(self, path: str) -> tuple[int, bytes]:
        """Status and body of a GET; status 0 and the reason when nothing answers within 2 s."""
        connection = http.client.HTTPConnection(LOOPBACK, self.port, timeout=2.0)
        try:
            connection.request("GET", path)
            response = connection.getresponse()
            return response.status, response.read()
        except (OSError, http.client.HTTPException) as error:
            return 0, str(error).encode()
        finally:
            connection.close()

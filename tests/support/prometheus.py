"""Prometheus and its promtool, from Debian."""

import json
import subprocess
from collections.abc import Mapping
from pathlib import Path
from typing import Any
from urllib.request import urlopen

from embedded.process import LOOPBACK, Server
from tests.support.debian import program

PACKAGE = "prometheus"


def promtool(*arguments: str) -> str:
    """What promtool says; fails with it where promtool is not content."""
    path, environment = program("promtool", PACKAGE)
    done = subprocess.run(
        [str(path), *arguments], env=environment, capture_output=True, text=True, check=False, timeout=60
    )
    said = done.stdout + done.stderr
    assert done.returncode == 0, said
    return said


class Prometheus(Server):
    """Scrapes one worker every second, and evaluates the rules of the file `rules` as often."""

    def __init__(self, folder: Path, rules: Path, target: int) -> None:
        """`target` is the worker's port on the loopback."""
        super().__init__("prometheus", folder / "prometheus.log")
        self._folder = folder
        self._config = {
            "global": {"scrape_interval": "1s", "scrape_timeout": "1s", "evaluation_interval": "1s"},
            "rule_files": [str(rules)],
            "scrape_configs": [{"job_name": "training", "static_configs": [{"targets": [f"{LOOPBACK}:{target}"]}]}],
        }

    def launch(self) -> None:
        path, environment = program("prometheus", PACKAGE)
        config = self._folder / "prometheus.yml"
        config.write_text(json.dumps(self._config))  # which is YAML
        options = {
            "config.file": config,
            "storage.tsdb.path": self._folder / "data",
            "web.listen-address": f"{LOOPBACK}:{self.port}",
        }
        self.spawn([str(path), *(f"--{name}={value}" for name, value in options.items())], env=environment)

    def ready(self) -> bool:
        try:
            with urlopen(f"http://{LOOPBACK}:{self.port}/-/ready", timeout=1) as answer:
                return bool(answer.status == 200)
        except OSError:
            return False

    def firing(self) -> dict[str, Mapping[str, Any]]:
        """The alerts that fire, by their names."""
        with urlopen(f"http://{LOOPBACK}:{self.port}/api/v1/alerts", timeout=5) as answer:
            alerts = json.load(answer)["data"]["alerts"]
        return {alert["labels"]["alertname"]: alert for alert in alerts if alert["state"] == "firing"}

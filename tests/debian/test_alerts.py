"""deploy/prometheus-rules.yml in Prometheus itself: promtool's tests, and a worker whose relay really stands still."""

import re
from collections.abc import Callable
from pathlib import Path
from uuid import uuid4

import aiohttp

from embedded.worker import Worker
from tests.support.brokers import OwnBroker
from tests.support.load import until
from tests.support.prometheus import Prometheus, promtool
from tests.support.worker import token

ROOT = Path(__file__).parents[2]
RULES = ROOT / "deploy" / "prometheus-rules.yml"
STALLED = {"TrainingRelayLag", "TrainingPipelineDegraded"}


def test_promtool_takes_the_rules_and_sees_each_alert_fire_and_not() -> None:
    assert re.search(r"SUCCESS: \d\d rules found", promtool("check", "rules", str(RULES)))
    assert "SUCCESS" in promtool("test", "rules", str(ROOT / "tests" / "data" / "prometheus-rules-test.yml"))


def hurried(folder: Path) -> Path:
    """The rules, but for their patience: each alert waits one second, and the relay may be 2 seconds behind."""
    text, alerts = re.subn(r"(?m)^( +for:) \w+$", r"\1 1s", RULES.read_text())
    assert alerts == text.count("- alert:")
    text, limits = re.subn(r"\((training_outbox_lag_seconds)\) > 30$", r"(\1) > 2", text, flags=re.MULTILINE)
    assert limits == 1
    path = folder / "rules.yml"
    path.write_text(text)
    return path


async def test_a_relay_that_stands_still_is_told_and_that_it_goes_on_too(
    start_worker: Callable[..., Worker], own_broker: OwnBroker, tmp_path: Path
) -> None:
    """What is written while no broker can be reached waits, and the alert fires; it is over once a broker is back."""
    worker, user = start_worker(kafka=own_broker), str(uuid4())
    await until(lambda: worker.get("/health/pipeline")[0] == 200, 20, "events flow")
    prometheus = Prometheus(tmp_path, hurried(tmp_path), worker.port)
    prometheus.start()
    try:
        own_broker.proxy.refuse()
        async with (
            aiohttp.ClientSession(headers={"Authorization": f"Bearer {token(user)}"}) as session,
            session.post(f"{worker.url}/api/v1/trainings", json={"date": "2026-01-05T12:00:00Z"}) as answer,
        ):
            assert answer.status == 201
        await until(lambda: prometheus.firing().keys() >= STALLED, 20, "both fire")
        alert = prometheus.firing()["TrainingRelayLag"]
        assert alert["labels"] == {"alertname": "TrainingRelayLag", "job": "training", "severity": "critical"}
        assert re.search(r"is \d[\d.]*s old", alert["annotations"]["description"])
        assert alert["annotations"]["runbook_url"] == "docs/runbooks.md#trainingrelaylag"
        assert not prometheus.firing().keys() & {"TrainingNotServing", "TrainingRequestsFail"}
        own_broker.proxy.accept()
        await until(lambda: not prometheus.firing().keys() & STALLED, 20, "they are over")
    finally:
        prometheus.stop()

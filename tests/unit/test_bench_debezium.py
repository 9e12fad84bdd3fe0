"""Debezium as the bench runs it: what is deployed, made cheaper, and at its defaults where nothing is said."""

from pathlib import Path

import pytest

from bench.peers.debezium import DEFAULT, TUNED, VERSION, Connect, superuser, told
from tests.support.databases import DatabaseUrls

URLS = DatabaseUrls("postgresql://owner:secret@127.0.0.1:5433/test_1", "postgresql://worker@127.0.0.1:5433/test_1")
SPEED = {"poll.interval.ms", "max.batch.size", "max.queue.size"}


@pytest.fixture
def connect(tmp_path: Path) -> Connect:
    return Connect(tmp_path, "127.0.0.1:9092", URLS)


def test_it_does_nothing_but_route(connect: Connect) -> None:
    config = connect.config(DEFAULT)
    assert config["transforms"] == "outbox"
    assert not [name for name in config if name.startswith("transforms.") and not name.startswith("transforms.outbox.")]
    assert not [name for name in config if "additional.placement" in name]
    assert config["transforms.outbox.table.field.event.payload"] == "payload"
    assert config["table.include.list"] == "public.outbox"


def test_it_reads_the_database_of_the_bench_through_its_own_slot(connect: Connect) -> None:
    config = connect.config(DEFAULT)
    place = [config[f"database.{name}"] for name in ("hostname", "port", "dbname", "user")]
    assert place == ["127.0.0.1", "5433", "test_1", "postgres"]
    assert config["slot.name"] == config["publication.name"] == connect.slot != "training_outbox"
    assert "env:" not in str(config)


def test_by_default_its_speed_is_at_its_defaults(connect: Connect) -> None:
    config = connect.config(DEFAULT)
    assert not SPEED & config.keys()
    assert not [name for name in config if name.startswith("producer.override.")]
    assert connect.config(TUNED).items() >= TUNED.items()
    assert TUNED.keys() >= SPEED


def test_its_settings_are_told() -> None:
    assert told(DEFAULT) == "its default settings"
    assert told(TUNED).startswith("poll.interval.ms=5, ")


def test_the_superuser_reaches_the_same_database() -> None:
    urls = superuser(URLS)
    assert (urls.owner, urls.worker) == ("postgresql://postgres@127.0.0.1:5433/test_1", URLS.worker)


def test_it_is_the_version_that_the_documentation_names() -> None:
    assert f"Debezium {VERSION}" in (Path(__file__).parents[2] / "docs" / "debezium.md").read_text()

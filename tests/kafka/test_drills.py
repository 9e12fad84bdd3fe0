"""The drills for operators, as they run them."""

from pathlib import Path

import pytest

from drills.restore import restore
from drills.upgrade import WORKERS, upgrade
from tests.support.brokers import KafkaAddress
from tests.support.databases import OwnPostgres

pytestmark = pytest.mark.kafka


async def test_no_request_fails_in_a_rolling_upgrade(postgres: str, broker: KafkaAddress, tmp_path: Path) -> None:
    found = await upgrade(tmp_path, postgres, broker)
    print(found.report())
    assert found.faults == ()
    assert found.requests > found.writes > 200
    assert found.judgement.lost == frozenset()
    assert len(found.replacements) == WORKERS
    assert found.before.revision < found.after.revision


async def test_a_database_comes_back_from_a_backup(
    own_postgres: OwnPostgres, broker: KafkaAddress, tmp_path: Path
) -> None:
    """As of a snapshot of the disk: the same cluster and the same timeline, whose numbers are given out again."""
    found = await restore(tmp_path, own_postgres.server, own_postgres.urls, broker)
    print(found.report())
    assert found.faults == ()
    assert found.judgement.restored >= 50  # of the 100 writes and more after the backup

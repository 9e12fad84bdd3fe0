"""A database that went back behind an erasure, and a relay that meets one: nothing of the user is published again."""

import asyncio
from collections.abc import Sequence
from pathlib import Path
from uuid import UUID, uuid4

import pytest

import cli
import settings
from commands import environment
from storage.database import Database
from storage.erasures import Erasures
from tests.integration.test_outbox_restore import USER, Place, Places, led, places  # noqa: F401 - a fixture
from tests.support.databases import Databases
from tests.support.erasures import eraser, found
from tests.support.log import append
from tests.support.simulation import Killed
from tests.support.topic import Record


async def erase(place: Place) -> None:
    await Erasures(place.database).begin(USER.user_id)
    await eraser(place.database).work_off()


async def left(databases: Databases, place: Place) -> dict[str, int]:
    """The tables that hold the user's id."""
    everything = Database(databases.urls(place.name).admin)
    try:
        return await found(everything, USER.user_id)
    finally:
        await everything.close()


def types(records: Sequence[Record], after: int = 0) -> list[str]:
    """The types of the user's events, in their order, but for the first so many."""
    return [record.event["event_type"] for record in records if record.key == str(USER.user_id).encode()][after:]


@pytest.mark.parametrize("look", [1_000_000, 1])
async def test_a_restored_backup_erases_anew_whom_the_topic_knows_as_erased(
    places: Places,  # noqa: F811
    databases: Databases,
    look: int,
) -> None:
    before = await places.at(databases.create())
    for _ in range(3):
        await before.create(uuid4())
    await before.relay.relay.drain()
    await before.create(uuid4())  # which the backup has, and nobody has read yet
    backup = await places.copy(before)

    lost = await places.at(before.name)
    await lost.create(uuid4())
    await led(lost)
    await erase(lost)
    await lost.relay.relay.drain()
    count = len(types(places.topic.records))
    assert types(places.topic.records)[-1] == "user_erased"
    await lost.close()

    after = await places.at(backup)
    after.relay.producer.look = look
    await led(after)
    # Nothing of what the backup had not published follows on the end.
    assert types(places.topic.records, count) == []
    assert (await Erasures(after.database).read(USER.user_id)).status == "erasing"
    with pytest.raises(Exception, match="was erased"):
        await after.create(uuid4())
    await eraser(after.database).work_off()
    await led(after)
    assert types(places.topic.records, count) == ["user_erased"]
    assert await left(databases, after) == {}
    counts = (await Erasures(after.database).read(USER.user_id)).counts
    count = 4 + (look == 1)  # one is taken back before the end is met
    assert (counts["trainings"], counts["outbox"]) == (count, count)
    await after.close()

    # Another relay finds the same on the topic, and begins nothing anew.
    again = await places.at(backup)
    await led(again)
    assert (await Erasures(again.database).read(USER.user_id)).status == "done"
    assert await left(databases, again) == {}


async def test_tombstones_beside_the_backup_erase_again_what_no_topic_tells(
    places: Places,  # noqa: F811
    databases: Databases,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    before = await places.at(databases.create())
    await before.create(uuid4())
    backup = await places.copy(before)
    lost = await places.at(before.name)
    await erase(lost)
    monkeypatch.setenv("TRAINING_JWT_SECRET", "a secret of 32 bytes, or of more.")
    monkeypatch.setattr(environment, "settings", settings.Settings)  # not the ones that the process has read
    file = tmp_path / "tombstones"

    async def command(name: str, place: str, code: int = 0) -> str:
        monkeypatch.setenv("TRAINING_DATABASE_URL", databases.urls(place).owner)
        assert await asyncio.to_thread(cli.main, ["erasures", name, str(file)]) == code
        said = capsys.readouterr()
        return said.out + said.err

    assert (await command("export", lost.name)).startswith("1 tombstones are in")
    assert str(USER.user_id) not in file.read_text()
    await lost.close()

    after = await places.at(backup)
    assert "1 of 1 tombstones are new; 1 users are being erased again" in await command("import", backup)
    assert "0 of 1 tombstones are new; 0 users are being erased again" in await command("import", backup)
    await led(after)
    assert types(places.topic.records) == []
    await eraser(after.database).work_off()
    assert await left(databases, after) == {}
    assert "0 of 1 tombstones are new; 0 users are being erased again" in await command("import", backup)
    file.write_text("{}\n")
    assert "Line 1 is no tombstone. Nothing was taken in." in await command("import", backup, 1)
    file.unlink()
    assert "cannot be read" in await command("import", backup, 1)


async def test_what_the_relay_holds_up_and_what_it_was_at_goes_with_the_user(
    places: Places,  # noqa: F811
    databases: Databases,
) -> None:
    """A refused event is gone; then a relay dies in a stored window whose rows are gone when the next one reads it."""
    place = await places.at(databases.create())
    await led(place)
    await place.namer().set("Row", exercise="pull-up")  # whose events have the user for their aggregate
    refused = str(uuid4())
    places.topic.poison |= {refused, str(USER.user_id)}
    await place.create(UUID(refused))
    await led(place)
    assert place.relay.relay.state.held == 2
    places.topic.poison = set()
    await erase(place)
    assert await place.database.all("SELECT FROM outbox_quarantine") == []
    await led(place)
    assert types(places.topic.records) == ["user_erased"]

    other = uuid4()
    for _ in range(60):  # more than a batch
        await append(place.database, user_id=other, training_id=uuid4())
    place.relay.producer.dies_after = len(places.topic.batches) + 1
    with pytest.raises(Killed):
        await led(place)
    published = len(places.topic.records)
    await place.close()
    next_ = await places.at(place.name)
    await Erasures(next_.database).begin(other)
    await eraser(next_.database).work_off()
    last = uuid4()
    await append(next_.database, user_id=last, training_id=uuid4())
    await led(next_)
    keys = [(record.key.decode(), record.event["event_type"]) for record in places.topic.records]
    assert len(keys) == published + 2
    assert {(str(other), "user_erased"), (str(last), "training_created")} <= {*keys}

"""A database that went back behind the topic: what was published has happened, and comes back."""

from collections.abc import AsyncIterator, Mapping
from contextlib import suppress
from dataclasses import dataclass, replace
from typing import Any
from uuid import UUID, uuid4

import orjson
import pytest

from agents.volume import VolumeFold
from models.outbox import Found
from models.phases import PlanAction
from models.trainings import TrainingUpdate, exercises_json
from storage.database import Database
from storage.documents import GOALS, KINDS, Kind
from storage.exercises import read_catalogue
from storage.trainings import Author, Trainings
from tests.support.athletes import TOPIC
from tests.support.bodies import create_body, squat, update_body
from tests.support.databases import Databases
from tests.support.documents import (
    INSIGHTS,
    PHASE_EVENTS,
    READINESS_EVENTS,
    TOPICS,
    Keeper,
)
from tests.support.insights import verified
from tests.support.invariants import compare, read_log
from tests.support.load import until
from tests.support.own_exercises import Namer, folded_events
from tests.support.phases import PhasePlanner
from tests.support.relays import MemoryTopic, RelayProcess
from tests.support.simulation import Killed
from tests.support.workouts import PULLS, WORKOUTS, Planner, create_workout, plan_body, update_workout

TRACE = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
USER = Author(uuid4(), "athlete", "request", traceparent=TRACE)
LIFTS = [squat(sets=3), {"name": "pistol", "exercise": "pistol-squat", "sets": [{"reps": 3, "rpe": 7.5}]}]


@dataclass
class Place:
    """One database, with a relay over it and what users do there."""

    name: str
    owner: str
    database: Database
    relay: RelayProcess
    made_anew: list[str]

    @property
    def trainings(self) -> Trainings:
        return Trainings(self.database, TOPIC)

    async def create(self, id_: UUID, **fields: object) -> bool:
        body = create_body(**{"status": "COMPLETED", "exercises": LIFTS, **fields})
        exercises = exercises_json(id_, body.exercises, await read_catalogue(self.database))
        return (await self.trainings.create(USER, id_, body, exercises)).created

    async def update(self, id_: UUID, if_match: list[int] | None = None, **fields: object) -> int:
        body: TrainingUpdate = update_body(**{"status": "COMPLETED", "exercises": LIFTS, **fields})
        exercises = exercises_json(id_, body.exercises, await read_catalogue(self.database))
        return (await self.trainings.update(USER, id_, body, exercises, if_match=if_match)).version

    async def document(self, id_: UUID) -> dict[str, object]:
        document: dict[str, object] = orjson.loads((await self.trainings.read(USER.user_id, id_)).document)
        return document

    async def planner(self) -> Planner:
        """The same user, with workouts."""
        planner = Planner(self.database, await read_catalogue(self.database))
        planner.author, planner.user_id = USER, USER.user_id
        return planner

    def namer(self) -> Namer:
        """The same user, who says what movements are."""
        return Namer(self.database, USER.user_id)

    async def history(self, id_: UUID) -> list[tuple[int, str, str]]:
        changes = await self.trainings.history(USER.user_id, id_, limit=100)
        return [(change.version, change.event_type, change.actor) for change in changes]

    async def close(self) -> None:
        with suppress(Killed):
            await self.relay.relay.stop()
        await self.relay.kill()
        await self.database.close()


class Places:
    """The databases of a test, one after another, before one topic."""

    def __init__(self, databases: Databases) -> None:
        self._databases = databases
        self.topic = MemoryTopic()
        self.workouts = MemoryTopic()
        self.exercises = MemoryTopic()
        self.phases = MemoryTopic()
        self.readiness = MemoryTopic()
        self.insights = MemoryTopic()
        self.open: list[Place] = []

    async def at(self, name: str) -> Place:
        urls = self._databases.urls(name)
        relay = RelayProcess(
            urls.worker,
            self.topic,
            f"relay-{len(self.open)}",
            workouts=self.workouts,
            exercises=self.exercises,
            phases=self.phases,
            readiness=self.readiness,
            insights=self.insights,
        )
        place = Place(name, urls.owner, Database(urls.worker, pool_size=2), relay, [])
        relay.relay._on_topic_made_anew = place.made_anew.append
        self.open.append(place)
        return place

    async def copy(self, place: Place) -> str:
        """What a backup of this moment holds."""
        await place.close()
        return self._databases.copy(place.name)


@pytest.fixture
async def places(databases: Databases) -> AsyncIterator[Places]:
    places = Places(databases)
    yield places
    for place in places.open:
        await place.close()
        databases.drop(place.name)


async def led(place: Place) -> None:
    """The relay has the lease, which a dead one may hold for a while, and has published everything."""

    async def leads() -> bool:
        await place.relay.relay.drain()
        return place.relay.relay.state.role == "leader"

    await until(leads, 10, "it leads")


@pytest.mark.parametrize("look", [1_000_000, 1])
async def test_what_was_published_comes_back_and_what_was_written_since_comes_after_it(
    places: Places, databases: Databases, look: int
) -> None:
    kept, changed, dropped, made, undone = (uuid4() for _ in range(5))
    before = await places.at(databases.create())
    for id_ in (kept, changed, dropped, undone):
        await before.create(id_, source_id=f"source-{id_}")
    await before.relay.relay.drain()
    backup = await places.copy(before)

    lost = await places.at(before.name)
    await lost.update(changed, title="second", bodyweight_kg=81.5)
    await lost.update(changed, title="third", session_rpe=8)
    await lost.create(made, source_id="made")
    await lost.update(made, notes='a "note" with "version":9, in it', exercises=LIFTS[:1])
    await lost.update(undone, title="lost, and written over")
    await lost.trainings.delete(USER, dropped)
    await lost.relay.relay.drain()
    expected = {id_: await lost.document(id_) for id_ in (kept, changed, made)}

    now = await places.at(backup)
    now.relay.producer.look = look
    assert await now.update(undone, [1], title="written since") == 2
    assert await now.create(made, source_id="made", title="made again") is True
    await now.relay.relay.drain()

    assert await now.document(kept) == expected[kept]
    assert await now.document(changed) == expected[changed]
    assert await now.history(dropped) == [(1, "training_created", "athlete"), (2, "training_deleted", "restored")]
    assert await now.history(undone) == [
        (1, "training_created", "athlete"),
        (2, "training_updated", "restored"),
        (3, "training_updated", "athlete"),
    ]
    document = await now.document(undone)
    assert (document["version"], document["title"]) == (3, "written since")
    assert await now.history(made) == [
        (1, "training_created", "restored"),
        (2, "training_updated", "restored"),
        (3, "training_updated", "athlete"),
    ]
    assert (await now.document(made))["title"] == "made again"

    assert now.relay.relay.state.adopted == 6
    assert await now.database.all("SELECT DISTINCT traceparent FROM outbox") == [(TRACE,)]
    assert now.made_anew == [TOPIC]
    ((generation,),) = await now.database.all("SELECT topics -> 'training_events' -> 'generation' FROM outbox_cursor")
    assert generation == 2 if look > 1 else generation > 2
    assert compare(read_log(now.owner, TOPIC), places.topic.records).violations == ()
    assert len(places.topic.records) == 4 + 6 + 2

    await VolumeFold(now.database, TOPIC).catch_up()
    assert (await verified(now.database)).ok
    assert await now.update(changed, [3], title="fourth") == 4
    await now.relay.relay.drain()
    assert compare(read_log(now.owner, TOPIC), places.topic.records).violations == ()


async def test_a_training_that_came_back_is_known_to_who_sends_it_again(places: Places, databases: Databases) -> None:
    training = uuid4()
    before = await places.at(databases.create())
    await before.create(uuid4())
    await before.relay.relay.drain()
    backup = await places.copy(before)
    lost = await places.at(before.name)
    await lost.create(training, source_id="import 1")
    await lost.relay.relay.drain()
    expected = await lost.document(training)

    now = await places.at(backup)
    await now.relay.relay.drain()
    assert await now.document(training) == expected
    assert await now.create(training, source_id="import 1") is False
    assert await now.create(uuid4(), source_id="import 1") is False
    assert await now.history(training) == [(1, "training_created", "restored")]


async def test_a_relay_that_died_before_it_could_note_what_it_published_takes_nothing_back(
    places: Places, databases: Databases
) -> None:
    place = await places.at(databases.create())
    await place.create(uuid4())
    await place.relay.relay.drain()
    for _ in range(5):
        await place.create(uuid4())
    place.relay.producer.dies_after = len(places.topic.batches) + 1
    await place.relay.start().ended()
    assert len(places.topic.records) == 6

    await place.close()
    again = await places.at(place.name)
    await led(again)
    assert (again.relay.relay.state.adopted, again.made_anew) == (0, [])
    assert compare(read_log(again.owner, TOPIC), places.topic.records).violations == ()


async def test_what_contradicts_the_log_is_left_alone(places: Places, databases: Databases) -> None:
    training = uuid4()
    place = await places.at(databases.create())
    await place.create(training)
    await place.relay.relay.drain()
    backup = await places.copy(place)

    foreign = await places.at(place.name)
    await foreign.update(training, title="second")
    await foreign.update(training, title="third")
    await foreign.relay.relay.drain()
    held = [record for record in places.topic.records if record.event["payload"]["version"] != 2]
    for partition in places.topic.partitions:
        partition[:] = [record for record in partition if record in held]

    now = await places.at(backup)
    await now.relay.relay.drain()
    assert now.relay.relay.state.adopted == 0
    assert await now.history(training) == [(1, "training_created", "athlete")]


async def test_what_stood_on_the_topic_before_the_log_is_never_taken_for_its_own(
    places: Places, databases: Databases
) -> None:
    others = await places.at(databases.create())
    for _ in range(3):
        await others.create(uuid4())
    await others.relay.relay.drain()
    await others.close()

    place = await places.at(databases.create())
    await place.create(uuid4())
    await place.relay.relay.drain()
    await place.close()
    again = await places.at(place.name)
    await again.relay.relay.drain()
    assert again.relay.relay.state.adopted == 0
    assert len(read_log(again.owner, TOPIC)) == 1


async def test_an_event_that_no_table_can_hold_stops_nobody_else(places: Places, databases: Databases) -> None:
    place = await places.at(databases.create())
    await place.create(uuid4())
    await place.relay.relay.drain()
    backup = await places.copy(place)
    lost = await places.at(place.name)
    trainings = [uuid4() for _ in range(5)]
    for training in trainings:
        await lost.create(training)
    await lost.relay.relay.drain()
    for partition in places.topic.partitions:
        partition[:] = [
            replace(record, value=record.value.replace(b'"reps":5', b'"reps":5000000000'))
            if str(trainings[2]).encode() in record.value
            else record
            for record in partition
        ]

    now = await places.at(backup)
    await now.relay.relay.drain()
    assert now.relay.relay.state.adopted == 4
    assert now.relay.relay.state.role == "leader"
    assert await now.create(trainings[2]) is True


async def test_lost_workouts_come_back_and_so_do_the_trainings_made_from_them(
    places: Places, databases: Databases
) -> None:
    changed, dropped, undone, made = (uuid4() for _ in range(4))
    before = await places.at(databases.create())
    await before.create(uuid4())
    planner = await before.planner()
    for id_ in (changed, dropped, undone):
        await planner.create(create_workout(id=str(id_), exercises=[PULLS]))
    await before.relay.relay.drain()
    backup = await places.copy(before)

    lost = await places.at(before.name)
    planner = await lost.planner()
    await planner.update(changed, update_workout(name="second", notes="n", group_external_id="team"))
    hang = {"name": "Dead hang", "sets": 2, "hold_seconds": 45.5, "unit": "lb", "tempo": "3-0-1-0", "superset": 1}
    exercises = [PULLS, hang, {"name": "Bar", "sets": 1, "reps": 5, "notes": 'a "note" with "version":9, in it'}]
    await planner.update(changed, update_workout(name="third", exercises=exercises))
    await planner.update(undone, update_workout(name="lost, and written over"))
    await planner.create(create_workout(id=str(made), name="made", exercises=exercises))
    training = await planner.plan(made)
    await planner.delete(dropped)
    await lost.relay.relay.drain()
    expected = {id_: (await planner.workouts.read(USER.user_id, id_)).document for id_ in (changed, made)}
    plans = dict(await lost.database.all("SELECT id, plan FROM workouts"))

    now = await places.at(backup)
    planner = await now.planner()
    assert (await planner.update(undone, update_workout(name="written since"), [1])).version == 2
    await now.relay.relay.drain()

    assert {id_: (await planner.workouts.read(USER.user_id, id_)).document for id_ in (changed, made)} == expected
    assert (await planner.trainings.read(USER.user_id, training.id)).document == training.document
    there = dict(await now.database.all("SELECT id, plan FROM workouts"))
    assert {id_: there[id_] for id_ in (changed, made, dropped)} == {
        id_: plans[id_] for id_ in (changed, made, dropped)
    }
    assert await now.database.one("SELECT deleted_at IS NOT NULL FROM workouts WHERE id = %s", [dropped]) == (True,)
    assert await now.database.one("SELECT count(*) FROM workout_exercises WHERE workout_id = %s", [dropped]) == (0,)
    events = await planner.events(undone)
    assert [(event["event_type"], event["payload"]["name"]) for event in events] == [
        ("workout_created", "Pull"),
        ("workout_updated", "lost, and written over"),
        ("workout_updated", "written since"),
    ]
    assert [event["payload"]["version"] for event in events] == [1, 2, 3]
    assert now.relay.relay.state.adopted == 6
    assert set(now.made_anew) == {TOPIC, WORKOUTS}

    # What came back goes on as if it had never been lost: a retry is known, and a plan is what it was.
    assert (await planner.create(create_workout(id=str(made), name="made", exercises=exercises))).created is False
    planned = await planner.training((await planner.plan(made)).id)
    assert planned["exercises"] == (await planner.training(training.id))["exercises"]
    assert (await planner.update(changed, update_workout(), [3])).version == 4
    await now.relay.relay.drain()
    subjects = [dict(record.headers)["ce_subject"].decode() for record in places.workouts.records]
    versions = {id_: [] for id_ in map(str, (changed, dropped, undone, made))}
    for subject, record in zip(subjects, places.workouts.records, strict=True):
        versions[subject].append(record.event["payload"]["version"])
    assert versions == {str(changed): [1, 2, 3, 4], str(dropped): [1, 2], str(undone): [1, 2, 3], str(made): [1]}
    for topic, records in ((TOPIC, places.topic.records), (WORKOUTS, places.workouts.records)):
        assert set(read_log(now.owner, topic)) == {record.event_id for record in records}
    await VolumeFold(now.database, TOPIC).catch_up()
    assert (await verified(now.database)).ok


async def test_a_workout_and_a_training_of_one_id_come_back_each_as_itself(
    places: Places, databases: Databases
) -> None:
    same = uuid4()
    before = await places.at(databases.create())
    planner = await before.planner()
    await before.create(uuid4())
    await planner.create(create_workout())
    await before.relay.relay.drain()
    backup = await places.copy(before)

    lost = await places.at(before.name)
    planner = await lost.planner()
    await planner.create(create_workout(id=str(same), exercises=[PULLS]))
    await planner.plan(same, plan_body(id=str(same)))
    await planner.update(same, update_workout(name="second"))
    await planner.update(same, update_workout(name="third"))
    await lost.update(same)
    await lost.relay.relay.drain()
    expected = await planner.read(same), await planner.training(same)

    now = await places.at(backup)
    planner = await now.planner()
    await now.relay.relay.drain()
    assert (await planner.read(same), await planner.training(same)) == expected
    assert now.relay.relay.state.adopted == 5
    assert [event["payload"]["version"] for event in await planner.events(same)] == [1, 2, 3]
    assert [version for version, *_ in await now.history(same)] == [1, 2]


async def test_what_was_aimed_at_reopened_and_restored_comes_back(places: Places, databases: Databases) -> None:
    known, lost_workout = uuid4(), uuid4()
    planned, orphan, reopened, restored = (uuid4() for _ in range(4))

    async def workout(place: Place, id_: UUID) -> None:
        await place.database.execute(
            "INSERT INTO workouts (user_id, id, name, plan, digest) VALUES (%s, %s, 'Legs', '[]', '')",
            [USER.user_id, id_],
        )

    before = await places.at(databases.create())
    await workout(before, known)
    for id_ in (reopened, restored):
        await before.create(id_)
    await before.relay.relay.drain()
    backup = await places.copy(before)

    lost = await places.at(before.name)
    await workout(lost, lost_workout)
    aims = [
        {"name": "Row", "sets": [{"target": {"reps": {"min": 6, "max": 8}, "rpe": 8}, "video_id": "v", "done": False}]}
    ]
    fields = {"status": "PLANNED", "exercises": aims, "group_external_id": "g", "skipped_at": "2026-01-05T12:00:00Z"}
    await lost.create(planned, **fields, skip_reason="ill", workout_id=str(known), workout_version=2)
    await lost.create(orphan, **fields, workout_id=str(lost_workout), workout_version=1)
    await lost.trainings.reopen(USER, reopened)
    await lost.trainings.delete(USER, restored)
    await lost.trainings.restore(USER, restored)
    await lost.relay.relay.drain()
    expected = {id_: await lost.document(id_) for id_ in (planned, orphan, reopened, restored)}

    now = await places.at(backup)
    await now.relay.relay.drain()
    assert now.relay.relay.state.adopted == 5
    for id_ in (planned, reopened, restored):
        assert await now.document(id_) == expected[id_]
    without = await now.document(orphan)
    assert without == {name: value for name, value in expected[orphan].items() if not name.startswith("workout_")}
    completed = await now.database.all("SELECT id FROM trainings WHERE completed_at IS NOT NULL")
    assert completed == [(restored,)]
    await VolumeFold(now.database, TOPIC).catch_up()
    assert (await verified(now.database)).ok


async def test_lost_names_come_back_and_what_was_said_since_comes_after_them(
    places: Places, databases: Databases
) -> None:
    before = await places.at(databases.create())
    await before.create(uuid4())
    namer = before.namer()
    for name in ("kept", "dropped", "undone", "written over"):
        await namer.create(name=name)
    await namer.set("a", exercise="dip")
    await namer.set("b", own_exercise="dropped")
    await before.relay.relay.drain()
    backup = await places.copy(before)

    lost = await places.at(before.name)
    namer = lost.namer()
    await namer.update("kept", name="kept, renamed", bw_fraction=None, image_id="i")
    await namer.set("a", exercise="pistol-squat")
    await namer.set('c "version":9', own_exercise="kept")
    await namer.delete("dropped")
    await namer.create(name="made")
    await namer.update("undone", difficulty=9, name="undone")
    await namer.delete("written-over")
    await namer.create(name="again", slug="dropped")
    await namer.set("b", exercise="dip")
    await lost.relay.relay.drain()
    meanings, own = await namer.aliases(), {exercise["slug"]: exercise for exercise in await namer.own()}

    now = await places.at(backup)
    namer = now.namer()
    await namer.set("a", own_exercise="kept")
    await namer.update("undone", [1], difficulty=2, name="undone")
    await namer.update("written-over", difficulty=3, name="written over")
    await namer.set("d", exercise="dip")
    await namer.set("d", exercise="pistol-squat")
    since = {"a": {"own_exercise": "kept"}, "d": {"exercise": "pistol-squat", "exercise_revision": 1}}
    since["written over"] = {"own_exercise": "written-over"}
    await now.relay.relay.drain()

    assert await namer.aliases() == meanings | since
    events = await namer.events()
    assert len(events) == 6 + 9 + 5
    assert folded_events(events)[0] == meanings | since
    found = {exercise["slug"]: exercise for exercise in await namer.own()}
    assert {slug: found[slug] for slug in ("kept", "made", "dropped")} == {
        slug: own[slug] for slug in ("kept", "made", "dropped")
    }
    assert {slug: exercise["difficulty"] for slug, exercise in found.items() if slug not in {"kept", "made"}} == {
        "dropped": 4,
        "undone": 2,
        "written-over": 3,
    }
    assert found["undone"]["revision"] > 2  # which stands for what was lost
    assert now.relay.relay.state.adopted == 9
    assert now.made_anew == [namer.topic]
    assert [record.event["payload"]["version"] for record in places.exercises.records] == list(range(1, 21))
    assert set(read_log(now.owner, namer.topic)) == {record.event_id for record in places.exercises.records}

    # What came back goes on as if it had never been lost.
    await namer.delete("made")
    await namer.set("b", own_exercise="dropped")
    await now.relay.relay.drain()
    assert [record.event["payload"]["version"] for record in places.exercises.records] == list(range(1, 23))
    assert folded_events(await namer.events())[0] == await namer.aliases()


async def meant(namer: Namer) -> dict[str, tuple[str, int]]:
    """What the user's names mean by the tables: movement and revision."""
    own = {exercise["slug"]: exercise["revision"] for exercise in await namer.own()}
    return {
        name: (alias["own_exercise"], own[alias["own_exercise"]])
        if "own_exercise" in alias
        else (alias["exercise"], alias["exercise_revision"])
        for name, alias in (await namer.aliases()).items()
    }


async def told(namer: Namer) -> dict[str, tuple[str, int]]:
    """What the user's names mean by the log's events, in order."""
    said: dict[str, tuple[str, int]] = {}
    for event in await namer.events():
        payload = event["payload"]
        for name in payload["names"]:
            said.pop(name, None)
            if "exercise" in payload:
                said[name] = (payload["exercise"]["slug"], payload["exercise"]["revision"])
    return said


async def test_what_was_said_of_an_exercise_since_tells_of_the_names_that_came_back(
    places: Places, databases: Databases
) -> None:
    """An exercise that was changed, deleted and named, while a name of it, or a change, was lost."""
    before = await places.at(databases.create())
    await before.create(uuid4())
    namer = before.namer()
    for name in ("kept", "ends", "aimed"):
        await namer.create(name=name)
    await before.relay.relay.drain()
    backup = await places.copy(before)

    lost = await places.at(before.name)
    namer = lost.namer()
    await namer.set("a", own_exercise="kept")
    await namer.set("b", own_exercise="ends")
    await namer.update("aimed", name="aimed", bw_fraction=1.5)
    await lost.relay.relay.drain()

    now = await places.at(backup)
    namer = now.namer()
    await namer.update("kept", name="kept", bw_fraction=0.75)
    await namer.delete("ends")
    await namer.set("c", own_exercise="aimed")
    await now.relay.relay.drain()
    assert await meant(namer) == await told(namer)
    assert {"a", "kept", "aimed", "c"} == set(await meant(namer))


async def test_names_that_came_back_mean_what_their_exercises_own_name_means_by_now(
    places: Places, databases: Databases
) -> None:
    before = await places.at(databases.create())
    await before.create(uuid4())
    namer = before.namer()
    await namer.create(name="first")
    await before.relay.relay.drain()
    backup = await places.copy(before)

    lost = await places.at(before.name)
    namer = lost.namer()
    for name, slug, alias in (("plank", "one", "a"), ("row", "two", "b"), ("dip", "three", "c")):
        await namer.create(name=name, slug=slug)
        await namer.set(alias, own_exercise=slug)
    await lost.relay.relay.drain()

    now = await places.at(backup)
    namer = now.namer()
    await namer.create(name="plank", slug="four")
    await namer.set("row", exercise="dip")
    await namer.set("dip", exercise="dip")
    await namer.remove("dip")
    await now.relay.relay.drain()
    assert await meant(namer) == await told(namer)
    catalogue = dict.fromkeys(("row", "b", "c"), ("dip", 1))
    assert await meant(namer) == {"first": ("first", 1), "plank": ("four", 1), "a": ("four", 1), **catalogue}


@pytest.mark.parametrize("older", [False, True], ids=["nothing was on it", "of a release without it"])
async def test_what_stands_on_a_topic_that_the_backup_has_no_event_of_comes_back(
    places: Places, databases: Databases, older: bool
) -> None:
    made = uuid4()
    before = await places.at(databases.create())
    await before.create(uuid4())
    await before.relay.relay.drain()
    backup = await places.copy(before)

    lost = await places.at(before.name)
    await Keeper(lost.database, GOALS, USER).create(made)
    await lost.relay.relay.drain()
    rows = await kept_rows(lost.database, GOALS)

    now = await places.at(backup)
    if older:
        await now.database.execute("UPDATE outbox_cursor SET topics = topics - %s", [PHASE_EVENTS])
    await now.relay.relay.drain()
    assert rows.keys() == {made}
    assert await kept_rows(now.database, GOALS) == rows
    assert now.relay.relay.state.adopted == 1
    await now.relay.relay.drain()
    assert compare(read_log(now.owner, PHASE_EVENTS), places.phases.records).violations == ()


@pytest.mark.parametrize("of", ["before this log's", "before and since", "another make"])
@pytest.mark.parametrize("look", [1_000_000, 1])
async def test_what_stands_on_anothers_topic_that_is_new_to_this_log_is_never_taken_for_its_own(
    places: Places, databases: Databases, look: int, of: str
) -> None:
    """As where a cluster is shared, and a release brings a topic whose name was not changed as the others' were."""
    ours = await places.at(databases.create())
    for _ in range(3):
        await ours.create(uuid4())
    await ours.relay.relay.drain()
    await ours.close()

    others = await places.at(databases.create())
    goals = Keeper(others.database, GOALS)
    for _ in range(2 if of == "before this log's" else 5):
        await goals.create(uuid4())
    await others.relay.relay.drain()
    await others.close()
    if of == "another make":
        for partition in places.phases.partitions:
            partition[:] = [replace(record, headers=()) for record in partition]
    stood = len(places.phases.records)

    now = await places.at(ours.name)
    await now.database.execute("UPDATE outbox_cursor SET topics = topics - %s", [PHASE_EVENTS])
    now.relay.producer.look = look
    looks, beyond = [], now.relay.producer.beyond

    async def counted(topic: str, offsets: Mapping[str, int] | None) -> Found:
        looks.append(topic)
        return await beyond(topic, offsets)

    now.relay.producer.beyond = counted  # type: ignore[method-assign]
    await led(now)
    assert looks.count(PHASE_EVENTS) == 3  # where it ends, whose it is, and what came since
    assert now.relay.relay.state.adopted == 0
    assert await kept_rows(now.database, GOALS) == {}
    made = uuid4()
    await Keeper(now.database, GOALS, USER).create(made)
    await now.relay.relay.drain()
    assert len(places.phases.records) == stood + 1
    await now.close()
    again = await places.at(ours.name)
    await led(again)
    assert again.relay.relay.state.adopted == 0
    assert (await kept_rows(again.database, GOALS)).keys() == {made}


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.noun)
async def test_lost_documents_come_back_and_what_was_written_since_comes_after_them(
    places: Places, databases: Databases, kind: Kind
) -> None:
    kept, changed, dropped, undone, made, twice = (uuid4() for _ in range(6))
    topic = TOPICS[kind.noun]
    records = {PHASE_EVENTS: places.phases, READINESS_EVENTS: places.readiness, INSIGHTS: places.insights}[topic]
    changes: dict[str, Any] = {
        "first": "2026-01-12",
        "deload": True,
        "undone": True,
        "day": "2026-01-06",
        "later": 'a "version":9,',
    }
    second = {name: value for name, value in changes.items() if name in {*kind.columns, "later"}}
    updates, deletes = "updated" in kind.events, "deleted" in kind.events
    before = await places.at(databases.create())
    keeper = Keeper(before.database, kind, USER)
    for id_ in (kept, changed, dropped, undone):
        await keeper.create(id_)
    await before.relay.relay.drain()
    backup = await places.copy(before)

    lost = await places.at(before.name)
    keeper = Keeper(lost.database, kind, USER)
    await keeper.create(made, notes='a "note" with "version":9, in it')
    await keeper.create(twice, b"lost")
    if updates:
        await keeper.update(changed, [1], **second)
        await keeper.update(undone, [1], name="lost, and written over")
    if deletes:
        await keeper.delete(dropped)
    await lost.relay.relay.drain()
    rows = await kept_rows(lost.database, kind)

    now = await places.at(backup)
    keeper = Keeper(now.database, kind, USER)
    assert (await keeper.create(twice, b"since", name="since")).version == 1
    if updates:
        assert (await keeper.update(undone, [1], name="written since")).version == 2
    await now.relay.relay.drain()
    found = await kept_rows(now.database, kind)
    assert {id_: found[id_] for id_ in (kept, changed, dropped, made)} == {
        id_: rows[id_] for id_ in (kept, changed, dropped, made)
    }
    created = str(kind.events["created"])
    since = {twice: [created, str(kind.events["updated"]) if deletes else created]}
    if updates:
        since[undone] = [created, str(kind.events["updated"]), str(kind.events["updated"])]
    for id_, types in since.items():
        events = sorted(await keeper.events(id_))
        assert [(version, event_type) for version, event_type, _ in events] == list(enumerate(types, 1))
        tellings = [orjson.loads(payload) for _, _, payload in events]
        assert [(each["payload"]["version"], each["event_type"]) for each in tellings] == list(enumerate(types, 1))
        assert tellings[-1]["payload"]["name"] in {"since", "written since"}
        assert found[id_][0] == len(types)
    assert now.relay.relay.state.adopted == 2 + 2 * updates + deletes
    assert now.made_anew == [topic]
    assert compare(read_log(now.owner, topic), records.records).violations == ()

    # What came back goes on as if it had never been lost.
    again = await keeper.create(made, b"whatever")
    assert (again.created, again.version) == (False, 1)
    if deletes:
        assert (await keeper.put(dropped)).version == 3
        assert (await keeper.delete(changed, [2])).version == 3
    await now.relay.relay.drain()
    assert compare(read_log(now.owner, topic), records.records).violations == ()


async def kept_rows(database: Database, kind: Kind) -> dict[UUID, tuple[int, str]]:
    """Of each document the version and all that its row says, but for what tells retries of its creation."""
    row = "to_jsonb(t) - 'digest' - 'content' || jsonb_build_object('text', content::text)"
    rows = await database.all(f"SELECT id, version, ({row})::text FROM {kind.table} t")
    return {id_: (version, text) for id_, version, text in rows}


async def test_a_workouts_rules_of_progression_come_back(places: Places, databases: Databases) -> None:
    made = uuid4()
    rule = {"kind": "double", "increment": 2.5, "deload": {"after": 3, "percent": 10}}
    before = await places.at(databases.create())
    planner = await before.planner()
    await planner.create(create_workout())
    await before.relay.relay.drain()
    backup = await places.copy(before)
    lost = await places.at(before.name)
    planner = await lost.planner()
    await planner.create(create_workout(id=str(made), exercises=[PULLS | {"progression": rule}, PULLS]))
    await lost.relay.relay.drain()
    expected = await planner.read(made)
    assert expected["exercises"][0]["progression"]["increment"] == 2.5

    now = await places.at(backup)
    await now.relay.relay.drain()
    planner = await now.planner()
    assert await planner.read(made) == expected


@pytest.mark.parametrize("phases_first", [True, False])
async def test_what_phases_have_laid_comes_back_and_is_not_made_again(
    places: Places, databases: Databases, *, phases_first: bool
) -> None:
    before = await places.at(databases.create())
    planner = await PhasePlanner.of(before.database)
    body = planner.body()
    changed, dropped, undone = [(await planner.make(body)).id for _ in range(3)]
    await before.relay.relay.drain()
    backup = await places.copy(before)

    lost = await places.at(before.name)
    planner = planner.at(lost.database)
    pulls = planner.body(schedule=[planner.slot(planner.pull, 1)])
    made = (await planner.make(body)).id
    for row in await planner.rows():
        if (made, row.id, 2, 1) in await planner.links():
            await planner.drop(row.id)  # by the athlete's own hand
    for id_ in (changed, undone):
        await planner.change(id_, pulls)
    await planner.end(dropped)
    await lost.relay.relay.drain()
    expected = {link for link in await planner.links() if link[0] != undone}
    assert len(expected) == 4 + 2
    rows = {row.id: row for row in await planner.rows()}

    now = await places.at(backup)
    planner = planner.at(now.database)
    moved = planner.body(first="2026-01-12", last="2026-01-25")
    assert (await planner.change(undone, moved)).version == 2  # written since
    own = {link for link in await planner.links() if link[0] == undone}
    if not phases_first:
        now.relay.relay._own_topics = now.relay.relay._own_topics[::-1]
    await now.relay.relay.drain()
    assert await planner.links() == expected | own
    await planner.linked()
    kept = {training_id for _, training_id, _, _ in expected}
    assert {row.id: row for row in await planner.rows() if row.id in kept} == {id_: rows[id_] for id_ in kept}

    # A change of what came back finds what was laid.
    for id_, said in ((made, body), (changed, pulls), (undone, moved)):
        there = await planner.rows()
        assert {change.action for change in (await planner.preview(id_, said)).changes} == {PlanAction.KEEP}
        await planner.change(id_, said)
        assert await planner.rows() == there
    assert await planner.links() == expected | own
    await planner.change(made, moved)
    assert len([link for link in await planner.links() if link[0] == made]) == 4
    await planner.linked()
    await now.relay.relay.drain()
    for topic, records in ((TOPIC, places.topic.records), (PHASE_EVENTS, places.phases.records)):
        assert compare(read_log(now.owner, topic), records).violations == ()

"""Versioned documents on a real PostgreSQL: one statement a write, every change an event, nothing lost or doubled."""

import asyncio
import random
from collections.abc import Awaitable
from typing import Any, NamedTuple
from uuid import UUID, uuid4

import orjson
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from models.errors import (
    IdempotencyKeyReused,
    IdentityConflict,
    NotFound,
    PreconditionFailed,
    TrainingServiceError,
    Unprocessable,
)
from storage.database import Database
from storage.documents import CHECK_INS, FORM_ANALYSES, GOALS, KINDS, PHASES, Documents, Kind
from storage.training_writes import IdempotencyKey, Written
from tests.support.documents import STORED, TOPICS, Keeper, own, text

kinds = pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.noun)


@pytest.fixture
def keeper(db: Database) -> Keeper:
    return Keeper(db, GOALS)


def key(name: str = "k", digest: bytes = b"digest", route: str = "POST /goals") -> IdempotencyKey:
    return IdempotencyKey(route, name, digest)


def said(document: bytes | None) -> dict[str, Any]:
    """What a document says, without its ids and moments."""
    assert document is not None
    fields: dict[str, Any] = orjson.loads(document)
    for name in ("id", "user_id", "version", "created_at", "updated_at", "deleted_at"):
        fields.pop(name, None)
    return fields


@kinds
async def test_what_is_written_is_what_is_read_and_what_is_published(db: Database, kind: Kind) -> None:
    keeper, id_ = Keeper(db, kind), uuid4()
    created = await keeper.create(id_)
    assert (created.id, created.version, created.created) == (id_, 1, True)
    stored = await keeper.documents().read(keeper.user_id, id_)
    assert (stored.id, stored.version, stored.document) == (id_, 1, created.document)
    assert said(created.document) == keeper.content
    contents = [keeper.content]
    if "updated" in kind.events:
        changed = keeper.content | {"later": [1, 2.5, None]}
        written = await keeper.update(id_, [1], later=[1, 2.5, None])
        assert (written.version, written.created) == (2, False)
        assert (await keeper.documents().read(keeper.user_id, id_)).document == written.document
        assert said(written.document) == changed
        contents.append(changed)
    if "deleted" in kind.events:
        assert await keeper.delete(id_) == Written(id_, 3, None)
        with pytest.raises(NotFound):
            await keeper.read(id_)
        contents.append(contents[-1])
    told = await keeper.events(id_)
    assert [(version, type_) for version, type_, _ in told] == [
        (number, str(kind.events[what]))
        for number, what in enumerate(("created", "updated", "deleted"), 1)
        if what in kind.events
    ]
    for (version, type_, payload), content in zip(told, contents, strict=True):
        event = orjson.loads(payload)
        assert (event["event_type"], list(event)) == (type_, ["event_id", "event_type", "timestamp", "payload"])
        head = f'"payload":{{"{kind.noun}_id":"{id_}","user_id":"{keeper.user_id}","version":{version},'
        assert payload.partition(head)[2] == text(content)[1:] + "}"
    assert await db.all("SELECT DISTINCT topic, aggregate_type FROM outbox") == [(TOPICS[kind.noun], kind.noun)]


@pytest.mark.parametrize("kind", [kind for kind in KINDS if kind.columns], ids=lambda kind: kind.noun)
async def test_its_own_columns_are_what_the_content_says(db: Database, kind: Kind) -> None:
    keeper, id_ = Keeper(db, kind), uuid4()
    await keeper.create(id_)
    if "updated" in kind.events:
        changes = {"first": "2026-01-12", "deload": True, "undone": True}
        await keeper.update(id_, **{name: value for name, value in changes.items() if name in kind.columns})
    same = ", ".join(f"t.{name} = d.{name}" for name in kind.columns)
    rows = await db.all(f"SELECT {same} FROM {kind.table} t, json_populate_record(NULL::{kind.table}, t.content) d")
    assert rows == [(True,) * len(kind.columns)]


async def test_each_write_and_each_read_is_one_statement(keeper: Keeper, db: Database) -> None:
    id_, documents, named = uuid4(), keeper.documents(), (None, key("a"), key("b"), key("c"))
    for turn, key_ in enumerate(named):
        id_ = uuid4()
        for attempt in (
            keeper.create(id_, key=key_ and key(f"{key_.key}{turn}")),
            keeper.update(id_, [1], name="second", key=key_),
            keeper.put(id_, name="third", key=key_ and key(key_.key, route="PUT")),
            documents.read(keeper.user_id, id_),
            documents.page(keeper.user_id, limit=5),
            keeper.delete(id_, key=key_ and key(key_.key, route="DELETE")),
            keeper.put(id_, name="again", key=key_ and key(key_.key, route="PUT again")),
        ):
            before = db.statements
            await attempt
            # A connection prepares each statement once.
            assert db.statements - before <= (1 if turn > 1 else 2)


async def test_the_same_id_creates_once(keeper: Keeper, db: Database) -> None:
    id_ = uuid4()
    first = await keeper.create(id_)
    again = await keeper.create(id_)
    assert (again.created, again.document) == (False, first.document)
    changed = await keeper.update(id_, name="another")
    assert (await keeper.create(id_, key=key())).document == changed.document
    await keeper.delete(id_)
    gone = await keeper.create(id_, key=key())
    assert gone.document is not None
    assert orjson.loads(gone.document)["deleted_at"]
    for named in (None, key("other")):
        with pytest.raises(IdentityConflict):
            await keeper.create(id_, b"another", key=named)
    assert len(await keeper.events(id_)) == 3
    assert await db.one("SELECT count(*) FROM idempotency_keys") == (0,)


async def test_put_makes_changes_and_brings_back_and_leaves_alone_what_says_so_already(db: Database) -> None:
    keeper, id_ = Keeper(db, CHECK_INS), uuid4()
    made = await keeper.put(id_, new=True)
    assert (made.version, made.created) == (1, True)
    for key_ in (None, key()):
        same = await keeper.put(id_, key=key_)
        assert (same.version, same.created, same.replayed, same.document) == (1, False, False, made.document)
    assert (await keeper.put(id_, sleep=5)).version == 2
    for key_ in (None, key()):
        with pytest.raises(PreconditionFailed) as refused:
            await keeper.put(id_, new=True, sleep=6, key=key_)
        assert refused.value.version == 2
        with pytest.raises(PreconditionFailed):  # though it says so already
            await keeper.put(id_, new=True, sleep=5, key=key_)
    await keeper.delete(id_, [2])
    back = await keeper.put(id_, new=True, sleep=5, key=key())
    assert (back.version, back.created) == (4, False)
    assert (await keeper.read(id_))["sleep"] == 5
    assert [(version, type_) for version, type_, _ in await keeper.events(id_)] == [
        (1, "check_in_created"),
        (2, "check_in_updated"),
        (3, "check_in_deleted"),
        (4, "check_in_updated"),
    ]
    assert await db.all("SELECT key, event_id IS NOT NULL FROM idempotency_keys") == [("k", True)]


@pytest.mark.parametrize("kind", [kind for kind in KINDS if "updated" in kind.events], ids=lambda kind: kind.noun)
async def test_an_update_that_says_what_is_there_writes_nothing(db: Database, kind: Kind) -> None:
    keeper, id_ = Keeper(db, kind), uuid4()
    made = await keeper.create(id_)
    for if_match, key_ in ((None, None), ([1], None), (None, key()), ([1, 7], key())):
        same = await keeper.update(id_, if_match, key=key_)
        assert (same.version, same.created, same.replayed, same.document) == (1, False, False, made.document)
    with pytest.raises(PreconditionFailed):
        await keeper.update(id_, [2])
    assert len(await keeper.events(id_)) == 1
    assert await db.one("SELECT count(*) FROM idempotency_keys") == (0,)


async def test_a_key_is_answered_once_and_then_replayed(keeper: Keeper) -> None:
    id_, other = uuid4(), uuid4()
    first = [await keeper.create(id_ if turn == 0 else other, key=key()) for turn in range(2)]
    assert (first[0].replayed, first[1].replayed, first[1].created) == (False, True, True)
    assert (first[0].id, first[0].document) == (first[1].id, first[1].document)
    changes = [await keeper.update(id_, [1], name="second", key=key("u", route="PUT")) for _ in range(2)]
    puts = [await keeper.put(id_, name="third", key=key("p", route="PUT")) for _ in range(2)]
    for one, two in (changes, puts):
        assert (one.replayed, two.replayed, one.version, one.document) == (False, True, two.version, two.document)
    deletes = [await keeper.delete(id_, [3], key=key("d", route="DELETE")) for _ in range(2)]
    assert [(written.version, written.replayed, written.document) for written in deletes] == [
        (4, False, None),
        (4, True, None),
    ]
    # Whatever happened since.
    assert (await keeper.update(id_, key=key("u", route="PUT"))).document == changes[0].document
    assert len(await keeper.events(id_)) == 4
    with pytest.raises(IdempotencyKeyReused):
        await keeper.create(other, key=key(digest=b"another"))


async def test_a_refused_write_keeps_no_key(keeper: Keeper, db: Database) -> None:
    id_ = uuid4()
    await keeper.create(id_)
    with pytest.raises(PreconditionFailed):
        await keeper.update(id_, [9], key=key("u"))
    for attempt in (keeper.delete(uuid4(), key=key("d")), keeper.update(uuid4(), key=key("n"))):
        with pytest.raises(NotFound):
            await attempt
    assert await db.one("SELECT count(*) FROM idempotency_keys") == (0,)
    assert (await keeper.update(id_, name="now", key=key("u"))).version == 2


async def test_documents_are_each_users_own(db: Database) -> None:
    keeper, stranger, id_ = Keeper(db, GOALS), Keeper(db, GOALS), uuid4()
    mine = await keeper.create(id_, key=key())
    for attempt in (stranger.read(id_), stranger.update(id_), stranger.delete(id_)):
        with pytest.raises(NotFound):
            await attempt
    assert await stranger.documents().page(stranger.user_id, limit=5) == []
    assert (await stranger.create(id_, b"theirs", key=key())).created
    await stranger.delete(id_)
    assert (await stranger.put(id_, new=True)).version == 3
    assert (await keeper.documents().read(keeper.user_id, id_)).document == mine.document


async def test_pages_come_newest_first_and_without_what_was_deleted(keeper: Keeper) -> None:
    ids = [uuid4() for _ in range(7)]
    for id_ in ids:
        await keeper.create(id_)
    await keeper.delete(ids[3])
    found: list[UUID] = []
    after = None
    while page := await keeper.documents().page(keeper.user_id, after=after, limit=2):
        found += [stored.id for stored in page]
        after = (page[-1].created_at, page[-1].id)
    assert found == [id_ for id_ in reversed(ids) if id_ != ids[3]]


async def test_what_cannot_be_published_is_refused(keeper: Keeper) -> None:
    id_ = uuid4()
    for attempt in (keeper.create(id_, notes="n" * 900_000), keeper.put(id_, notes="ü" * 450_000)):
        with pytest.raises(Unprocessable, match="goal would be larger than 900,000 bytes"):
            await attempt
    await keeper.create(id_)
    with pytest.raises(Unprocessable):
        await keeper.update(id_, notes="n" * 900_000)


async def gathered(attempts: list[Awaitable[Written]]) -> tuple[list[Written], list[TrainingServiceError]]:
    """What came of all of them at once."""
    outcomes = await asyncio.gather(*attempts, return_exceptions=True)
    refused = [outcome for outcome in outcomes if isinstance(outcome, TrainingServiceError)]
    written = [outcome for outcome in outcomes if isinstance(outcome, Written)]
    assert len(refused) + len(written) == len(outcomes), outcomes
    return written, refused


async def test_of_two_writes_at_once_with_one_precondition_one_is_refused(keeper: Keeper) -> None:
    for turn in range(20):
        id_, putting = uuid4(), turn % 4 < 2
        if not putting:
            await keeper.create(id_)
        named = [key(f"{turn}-{number}") if turn % 2 else None for number in range(2)]
        written, refused = await gathered(
            [
                keeper.put(id_, new=True, name=f"from {number}", key=named[number])
                if putting
                else keeper.update(id_, [1], name=f"from {number}", key=named[number])
                for number in range(2)
            ]
        )
        assert [each.version for each in written] == [1 if putting else 2]
        assert [type(each) for each in refused] == [PreconditionFailed]
        assert (await keeper.documents().read(keeper.user_id, id_)).document == written[0].document


async def test_one_key_at_once_makes_one_event(keeper: Keeper, db: Database) -> None:
    for turn in range(10):
        written, refused = await gathered([keeper.create(uuid4(), key=key(f"{turn}")) for _ in range(5)])
        assert not refused
        assert len({(each.id, each.document) for each in written}) == 1
        assert sorted(each.replayed for each in written) == [False, True, True, True, True]
        id_ = written[0].id
        written, refused = await gathered(
            [keeper.put(id_, name="changed", key=key(f"{turn}", route="PUT")) for _ in range(5)]
        )
        assert not refused
        assert {each.version for each in written} == {2}
        assert len(await keeper.events(id_)) == 2
    assert await db.one("SELECT count(*) FROM goals") == (10,)


async def test_versions_have_no_gap_whoever_writes_at_once(keeper: Keeper, db: Database) -> None:
    id_ = uuid4()
    chance = random.Random(7)

    async def write(number: int) -> Written:
        match chance.randrange(4):
            case 0:
                return await keeper.delete(id_)
            case 1:
                return await keeper.update(id_, name=f"updated {number}")
            case 2:
                return await keeper.create(id_)
        return await keeper.put(id_, name=f"put {number}", key=key(f"{number}") if number % 2 else None)

    for _ in range(10):
        _, refused = await gathered([write(chance.randrange(50)) for _ in range(8)])
        assert {type(each) for each in refused} <= {NotFound, IdentityConflict}
    events = await keeper.events(id_)
    assert [version for version, _, _ in events] == list(range(1, len(events) + 1))
    assert len(events) > 10
    ((version, deleted, content),) = await db.all("SELECT version, deleted_at IS NOT NULL, content::text FROM goals")
    assert (version, deleted) == (len(events), events[-1][1] == "goal_deleted")
    assert events[-1][2].endswith(f'"version":{version},{content[1:]}}}')


async def test_a_transaction_that_is_rolled_back_leaves_nothing(db: Database) -> None:
    keeper, id_ = Keeper(db, PHASES), uuid4()
    content = STORED["phase"]
    with pytest.raises(ZeroDivisionError):
        async with db.transaction() as cursor:
            documents = keeper.documents(cursor)
            await documents.create(keeper.author, id_, text(content), b"d", own(PHASES, content), key=key())
            assert (await documents.read(keeper.user_id, id_)).version == 1
            assert (await documents.delete(keeper.author, id_)).version == 2
            raise ZeroDivisionError
    for table in ("phases", "outbox", "idempotency_keys"):
        assert await db.one(f"SELECT count(*) FROM {table}") == (0,)
    assert (await keeper.create(id_, key=key())).replayed is False


async def test_a_transaction_goes_on_after_a_write_that_found_nothing_to_do(db: Database) -> None:
    keeper, id_ = Keeper(db, PHASES), uuid4()
    first = await keeper.create(id_)
    content = STORED["phase"]
    async with db.transaction() as cursor:
        documents = keeper.documents(cursor)
        same = await documents.create(keeper.author, id_, text(content), b"digest", own(PHASES, content), key=key())
        assert (same.created, same.document) == (False, first.document)
        same = await documents.put(keeper.author, id_, text(content), own(PHASES, content), key=key("p"))
        assert (same.version, same.document) == (1, first.document)
        await documents.delete(keeper.author, id_, key=key("d"))
    assert await db.all("SELECT key FROM idempotency_keys") == [("d",)]
    with pytest.raises(PreconditionFailed):
        async with db.transaction() as cursor:
            await keeper.documents(cursor).put(keeper.author, id_, text(content), own(PHASES, content), key=key("p"))
            await keeper.documents(cursor).delete(keeper.author, id_, if_match=[9], key=key("q"))
    assert await db.all("SELECT key FROM idempotency_keys") == [("d",)]
    assert len(await keeper.events(id_)) == 2


class Step(NamedTuple):
    """Something that is asked for: what, what it is to say, under which If-Match (of a PUT: whether there is to be
    none) and key, and whether in a transaction."""

    what: str
    says: str
    if_match: list[int] | None
    new: bool
    key: int | None
    within: bool

    def named(self) -> IdempotencyKey | None:
        return None if self.key is None else key(str(self.key), self.says.encode(), self.what)


class Model:
    """What the words say of one document."""

    def __init__(self) -> None:
        self.version, self.deleted, self.says = 0, True, ""
        self.created_as: str | None = None  # None: agrees with any
        self.keys: dict[tuple[str, int], tuple[str, int]] = {}

    def expected(self, step: Step) -> int | type[Exception]:
        """Its version afterwards, or what is raised; a version beyond its own is a change."""
        used = None if step.key is None else self.keys.get((step.what, step.key))
        if used is not None:
            return used[1] if used[0] == step.says else IdempotencyKeyReused
        if step.what == "create" and self.version:
            return self.version if self.created_as in {step.says, None} else IdentityConflict
        if step.what in ("update", "delete") and self.deleted:
            return NotFound
        if step.what != "create" and not self.deleted and not self.allows(step):
            return PreconditionFailed
        if step.what in ("update", "put") and not self.deleted and self.says == step.says:
            return self.version
        return self.version + 1

    def allows(self, step: Step) -> bool:
        """Whether its precondition holds while there is one."""
        return not step.new if step.what == "put" else step.if_match is None or self.version in step.if_match

    def change(self, step: Step) -> None:
        """It was done."""
        if step.what == "create":
            self.created_as = step.says
        self.version, self.deleted = self.version + 1, step.what == "delete"
        self.says = self.says if self.deleted else step.says
        if step.key is not None:
            self.keys[step.what, step.key] = (step.says, self.version)


steps = st.builds(
    Step,
    st.sampled_from(["create", "update", "put", "put", "delete"]),
    st.sampled_from(["first", "second"]),
    st.none() | st.lists(st.integers(1, 4), min_size=1, max_size=2),
    st.booleans(),
    st.none() | st.integers(0, 2),
    st.booleans(),
)


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(steps, max_size=8))
async def test_any_order_of_writes_is_what_the_words_say(db: Database, asked: list[Step]) -> None:
    keeper, id_, model = Keeper(db, GOALS), uuid4(), Model()
    for step in asked:
        expected = model.expected(step)
        if isinstance(expected, int):
            assert await run(keeper, id_, step) == expected
            if expected > model.version:
                model.change(step)
        else:
            with pytest.raises(expected):
                await run(keeper, id_, step)
    assert [version for version, _, _ in await keeper.events(id_)] == list(range(1, model.version + 1))
    of_user = [keeper.user_id]
    assert await db.one("SELECT count(*) FROM idempotency_keys WHERE user_id = %s", of_user) == (len(model.keys),)
    rows = await db.all("SELECT version, deleted_at IS NULL, content ->> 'name' FROM goals WHERE user_id = %s", of_user)
    assert rows == ([(model.version, not model.deleted, model.says)] if model.version else [])


async def run(keeper: Keeper, id_: UUID, step: Step) -> int:
    """Ask for it; returns the version."""
    author, content, key_ = keeper.author, text({"name": step.says}), step.named()

    async def ask(documents: Documents) -> int:
        match step.what:
            case "create":
                written = await documents.create(author, id_, content, step.says.encode(), key=key_)
            case "update":
                written = await documents.update(author, id_, content, if_match=step.if_match, key=key_)
            case "put":
                written = await documents.put(author, id_, content, new=step.new, key=key_)
            case _:
                written = await documents.delete(author, id_, if_match=step.if_match, key=key_)
        return written.version

    if not step.within:
        return await ask(keeper.documents())
    async with keeper.database.transaction() as cursor:
        return await ask(keeper.documents(cursor))


async def test_what_happens_to_none_of_a_kind_cannot_be_asked_for(db: Database) -> None:
    keeper = Keeper(db, FORM_ANALYSES)
    for attempt in (keeper.update(uuid4()), keeper.put(uuid4()), keeper.delete(uuid4())):
        with pytest.raises(KeyError):
            await attempt

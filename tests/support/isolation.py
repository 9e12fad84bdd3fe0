"""A world of people who ask everything of the API, and the judge of what they are answered and of what they write.

What is judged is told in tests/integration/test_isolation.py.
"""

import base64
import binascii
import random
import re
from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any, NamedTuple
from urllib.parse import quote, urlencode
from uuid import UUID, uuid4, uuid5

import orjson
from yarl import URL

from models.sets import MAX_SETS
from models.tables import metadata
from storage.database import Database
from tests.support.imports import form, importer
from tests.support.web import Client, token
from web import erasures
from web.api import ALL_ROUTES
from web.form_analyses import ANALYSER
from web.routes import Route

# But for those that end a user, who could ask nothing more: tests/integration/test_erasures.py asks them.
ROUTES = {(route.method, route.path): route for route in ALL_ROUTES if route.auth and route not in erasures.ROUTES}
NAMES = ("ada", "bob", "coach", "stranger", "admin", "analyser", "nobody")
TRAININGS = "/api/v1/trainings"
OF_USER = "/api/v1/training/users/{userId}"
OF_GROUP = "/api/v1/training/groups/{group}"
CATALOGUE = "/api/v1/training/exercises"
# Which a GET could not ask.
READS = {("POST", f"{OF_USER}/{path}") for path in ("exercises/last", "progression/dry-run")}
KEYS = ("a", "b")  # few, so that everybody uses the same

_TOKEN = re.compile(r"secret\d+x|[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}")
_UUID = re.compile(r'(?<=")[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}(?=")')  # a whole text of JSON
_DERIVED = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-5[0-9a-f]{3}-[0-9a-f]{4}-[0-9a-f]{12}")  # the same of the same id
_CURSOR = re.compile(r'(?:cursor=|"next_cursor":")([\w-]+)')
_HASH = "count(*), sum(hashtextextended(t::text, 0))"
# Of the tables of record, each user's rows; and the catalogue's, which are nobody's.
_SNAPSHOT = " UNION ALL ".join(
    [f"SELECT 'exercises', NULL::uuid, {_HASH} FROM exercises t"]
    + [
        f"SELECT '{name}', user_id, {_HASH} FROM {name} t WHERE user_id = ANY (%(users)s) GROUP BY 2"
        for name, table in metadata.tables.items()
        if "user_id" in table.columns
    ]
)
_STRANGERS = "SELECT " + " + ".join(
    f"(SELECT count(*) FROM {name} WHERE user_id <> ALL (%(users)s))"
    for name, table in metadata.tables.items()
    if "user_id" in table.columns
)
_END = "SELECT coalesce(max(seq), 0) FROM outbox"
_LOGGED = """
SELECT seq, user_id, aggregate_type, aggregate_id, actor, event_id, traceparent, payload FROM outbox
WHERE seq > %s ORDER BY seq
"""

Rows = Mapping[tuple[str, UUID | None], tuple[int, int]]  # table and user: how many, and a hash of them


class Secrets:
    """Texts and ids, and whose data they are: of all worlds of a test, and what came to pass in them."""

    def __init__(self) -> None:
        self.owners: dict[str, set[UUID]] = defaultdict(set)
        self.done: set[tuple[str, tuple[str, str]]] = set()  # who succeeded with which route
        self.people: list[UUID] = []
        self._of: dict[UUID, list[str]] = defaultdict(list)
        self._count = 0

    def new(self, user: UUID) -> str:
        """A secret of this user."""
        self._count += 1
        secret = f"secret{self._count}x"
        self.owners[secret].add(user)
        self._of[user].append(secret)
        return secret

    def of(self, user: UUID) -> list[str]:
        """All that were made for this user."""
        return self._of[user]


@dataclass(eq=False)
class Person:
    """Who asks. `groups`, `coach_of` and `roles` are the claims of the token; nobody has none."""

    name: str
    user_id: UUID
    groups: tuple[str, ...] = ()
    coach_of: tuple[str, ...] = ()
    roles: tuple[str, ...] = ()
    headers: dict[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if self.name != "nobody":
            lists = {"groups": list(self.groups), "coach_of": list(self.coach_of), "roles": list(self.roles)}
            self.headers = {"Authorization": f"Bearer {token(self.user_id, sub=self.name, **lists)}"}


@dataclass(frozen=True)
class Asked:
    """A request of `route`; `names` are the values of its address's parameters."""

    route: Route
    names: Mapping[str, str] = field(default_factory=dict)
    query: Mapping[str, str] = field(default_factory=dict)
    body: Any = None
    headers: Mapping[str, str] = field(default_factory=dict)

    @property
    def path(self) -> str:
        """The address, with its query."""
        path = self.route.path.format_map({name: quote(value, safe="") for name, value in self.names.items()})
        return path + (f"?{urlencode(self.query)}" if self.query else "")

    @property
    def tokens(self) -> set[str]:
        """What the caller says itself, cursors read."""
        cursors = "".join(map(_read, self.query.values()))
        return set(_TOKEN.findall(f"{self.path} {orjson.dumps(self.body).decode()} {self.headers} {cursors}"))

    @property
    def referred(self) -> set[str]:
        """The ids of other things that the body names."""
        if not isinstance(self.body, dict) or self.route.form:
            return set()
        return set(_UUID.findall(orjson.dumps(self.body).decode())) - {self.body.get("id")}

    def instead(self, others: Mapping[str, str]) -> "Asked":
        """The same with other ids."""
        names = {name: others.get(value, value) for name, value in self.names.items()}
        body = orjson.loads(_UUID.sub(lambda found: others.get(found[0], found[0]), orjson.dumps(self.body).decode()))
        return replace(self, names=names, body=self.body if self.route.form else body)

    def whom(self, person: Person) -> UUID:
        """Whose data it is about: the user whom the address names, else who asks."""
        return UUID(self.names["userId"]) if "userId" in self.names else person.user_id

    @property
    def of_group(self) -> str | None:
        """The group whose athletes it is about, where it is about all of them."""
        return self.names["group"] if self.route.path.startswith(OF_GROUP) else None

    @property
    def writes(self) -> bool:
        """Whether it may change anything at all."""
        return self.route.method != "GET" and (self.route.method, self.route.path) not in READS


class Answer(NamedTuple):
    """What was answered: the headers and the body, and whether an event was logged."""

    status: int
    text: str
    written: bool

    @property
    def document(self) -> Any:
        """The body, where it is JSON."""
        return orjson.loads(self.text.partition("\n\n")[2])


class World:
    """One run: its people, what became theirs, and the random choices."""

    def __init__(self, client: Client, database: Database, secrets: Secrets, seed: int) -> None:
        """`database` is of a role that may read everything."""
        self.chance, self._client, self._database, self.secrets = random.Random(seed), client, database, secrets
        ada, bob, coach, stranger, admin, analyser, nobody = ((name, self.uuid()) for name in NAMES)
        self.groups = team, club = f"team {uuid4().hex}", f"club {uuid4().hex}"
        self.other_group = f"other {uuid4().hex}"
        self.people = [
            Person(*ada, groups=(team, club)),
            Person(*bob, groups=(club,)),
            Person(*coach, coach_of=(team, club)),
            Person(*stranger, groups=(self.other_group,), coach_of=(self.other_group,)),
            Person(*admin, roles=("admin",)),
            Person(*analyser, roles=(ANALYSER,)),
            Person(*nobody),
        ]
        self.by_name = {person.name: person for person in self.people}
        self.users = [person.user_id for person in self.people]
        secrets.people += self.users
        self.owners = secrets.owners
        for user in self.users:
            self.owners[str(user)].add(user)
        self.documents: dict[tuple[UUID, str], dict[str, dict[str, Any]]] = defaultdict(dict)
        """The newest event of each user's trainings, workouts … by their ids."""
        self.slugs: list[str] = []
        """Of movements that the admin added."""
        self.cursors: dict[str, list[str]] = defaultdict(list)
        """That were answered, by the route's path."""
        self.advised: dict[UUID, list[str]] = defaultdict(list)
        """What each user was told of last."""
        self.accesses: dict[UUID, list[str]] = defaultdict(list)
        """The requests of coaches for each athlete's data, newest first."""
        self._admitted: dict[tuple[UUID, str], set[str]] = {}  # user and group: scopes
        self._grouped: dict[UUID, set[str]] = defaultdict(set)  # tokens of what is or was a group's
        self._hidden: dict[UUID, dict[str, set[str]]] = defaultdict(dict)  # trainings: tokens that are not shown yet
        self._importer = importer(database)
        self._requests = 0
        self._trace = ""  # of the last of them
        self._seen = 0  # of the log
        self._before: Rows = {}

    async def begin(self) -> None:
        """What stands in the database before is no affair of this world."""
        ((self._seen,),) = await self._database.all(_END)
        self._before = await self._snapshot()

    async def end(self) -> None:
        """Nobody has a row but people of these worlds."""
        assert await self._database.all(_STRANGERS, {"users": self.secrets.people}) == [(0,)]

    def uuid(self) -> UUID:
        """An id that nobody has."""
        return uuid4()

    def secret(self, user: UUID) -> str:
        """A new secret of this user."""
        return self.secrets.new(user)

    async def do(self, name: str, asked: Asked) -> Answer:
        """Send a request of this person, and judge what comes of it."""
        person, route = self.by_name[name], asked.route
        self._requests += 1
        request_id = f"request.{self._requests}"
        strange = {
            value: str(self.uuid())
            for value in {*asked.names.values(), *asked.referred}
            if value in self.owners and value != str(person.user_id) and not self.may_see(person, asked, value)
        }
        answer = await self._ask(person, asked, request_id)
        if strange and not answer.written:
            mirror = asked.instead(strange)
            told = [_without(answer, asked), _without(await self._ask(person, mirror, request_id), mirror)]
            assert told[0] == told[1], f"{name}: {route.method} {asked.path} {asked.body} tells what is there: {told}"
        self._follow(person, asked, answer)
        return answer

    async def _ask(self, person: Person, asked: Asked, request_id: str) -> Answer:
        status, text = await self._send(person, asked, request_id)
        route = asked.route
        story = f"{person.name}: {route.method} {asked.path} {asked.headers} {asked.body}\n{status} {text}\n"
        assert status < 500, story
        if person.name == "nobody":
            assert status == 401, story
        elif route.role is not None and not {route.role, "admin"} & set(person.roles):
            assert status == 403, story
        written = await self._learn(person, asked, story)
        self._judge(person, asked, text, story)
        await self._compare(person, asked, status, story, request_id)
        return Answer(status, text, written)

    def may_see(self, person: Person, asked: Asked, found: str) -> bool:
        """Whether a token may stand in the answer to this request, as things stand now."""
        owners = self.owners.get(found)
        if owners is None:
            return True
        if asked.route.role == "analytics":  # whose answers are of everybody's completed trainings
            return not any(found in tokens for owner in owners for tokens in self._hidden[owner].values())
        if person.user_id in owners:
            return not any(found in tokens for tokens in self._hidden[person.user_id].values())
        if asked.of_group is not None:  # who its athletes are, and what was planned for them
            seen = {user for user in owners & self._athletes(person, asked) if found == str(user)}
            return bool(seen) or any(found in self._grouped[user] for user in owners & self._planned(person, asked))
        scopes, user = self._scopes(person, asked, *person.coach_of), asked.whom(person)
        if user not in owners or asked.route.known_to not in scopes:
            # A deputy knows what it names, and no more.
            return user in owners and asked.route.deputy in person.roles and found in asked.names.values()
        return "read" in scopes or found == str(user) or found in self._grouped[user]

    def _scopes(self, person: Person, asked: Asked, *groups: str) -> set[str]:
        """What a user, whom the request names, admits this other one to: by one of `groups`."""
        user = asked.whom(person)
        if user == person.user_id:
            return set()
        return set().union(*(self._admitted.get((user, group), ()) for group in groups))

    def _athletes(self, person: Person, asked: Asked, *scopes: str) -> set[UUID]:
        """The athletes of the group whom this coach may know of: with these scopes."""
        if asked.of_group not in person.coach_of:
            return set()
        admitted = ((user, given) for (user, group), given in self._admitted.items() if group == asked.of_group)
        return {user for user, given in admitted if given and given.issuperset(scopes)}

    def _planned(self, person: Person, asked: Asked) -> set[UUID]:
        return self._athletes(person, asked, "plan")

    def _coached(self, person: Person, asked: Asked, *, whatever_group: bool = False) -> set[UUID]:
        """The athletes whose data the request is admitted to, as a coach's: by the group for which it writes."""
        if asked.of_group is not None:
            return self._athletes(person, asked, "plan" if asked.writes else "read")
        groups = person.coach_of
        named = asked.body.get("group_external_id") if isinstance(asked.body, dict) else None
        if named is not None and not whatever_group:
            groups = tuple({named} & {*groups})
        return {asked.whom(person)} if asked.route.known_to in self._scopes(person, asked, *groups) else set()

    def _may_write(self, person: Person, asked: Asked) -> set[UUID]:
        """The users whose rows may change by it, but for the log of accesses."""
        if not asked.writes:
            return set()
        own = asked.of_group is None and asked.whom(person) == person.user_id
        if asked.route.own and not own:
            return set()
        if asked.route.deputy in person.roles:
            return {asked.whom(person)}
        return {person.user_id} if own else self._coached(person, asked)

    async def _send(self, person: Person, asked: Asked, request_id: str) -> tuple[int, str]:
        """The status, and all that was answered."""
        self._trace = f"00-{uuid4().hex}-{uuid4().hex[:16]}-01"
        headers = {**person.headers, **asked.headers, "X-Request-Id": request_id, "traceparent": self._trace}
        url = URL(asked.path, encoded=True)
        sent = {"data": form(asked.body)} if asked.route.form else {"json": asked.body}
        async with self._client.request(asked.route.method, url, headers=headers, **sent) as answer:
            body = (await answer.read()).decode()
            passed = ("Date", "Content-Length")
            head = "".join(f"{name}: {value}\n" for name, value in answer.headers.items() if name not in passed)
        if answer.status == 202:  # at once, so that it is this request's doing
            await self._importer.work_off()
        return answer.status, f"{head}\n{body}"

    async def _learn(self, person: Person, asked: Asked, story: str) -> bool:
        """Take in what was logged since, and judge who wrote it and of what. Returns whether anything was."""
        said, may_write = asked.tokens, self._may_write(person, asked)
        rows = await self._database.all(_LOGGED, [self._seen])
        later = 202 in asked.route.answers and not asked.route.form  # by a job that began otherwise
        for seq, user, noun, id_, actor, event_id, traceparent, payload in rows:
            self._seen = seq
            event = orjson.loads(payload)
            document, tokens = event["payload"], {*_TOKEN.findall(payload), str(event_id)}
            story += f"wrote for {user}: {payload}\n"
            assert later or traceparent == self._trace, story
            assert (actor, user in may_write) == (person.name, True), story
            for found in tokens - said - set(_DERIVED.findall(payload)):
                assert {user, person.user_id} & self.owners.get(found, {user}), f"{story}of others: {found}"
            of_group = document.get("group_external_id")
            if (
                user != person.user_id and not person.roles
            ):  # a coach writes what is planned for a group of theirs, and was before
                before = self.documents[user, noun].get(str(id_), event)["payload"]
                for told in (before, document):
                    assert told.get("group_external_id") in person.coach_of, story
                    assert told.get("status", "PLANNED") == "PLANNED", story
            new = {found for found in tokens if user not in self.owners[found]}
            self._hide(user, str(id_), new, hidden=document.get("hidden", False))
            for found in new:
                self.owners[found] |= {user, person.user_id} if asked.route.deputy in person.roles else {user}
            if of_group in self.groups:
                self._grouped[user] |= tokens
            self.documents[user, noun][str(id_)] = event
        return bool(rows)

    def _hide(self, user: UUID, id_: str, tokens: set[str], *, hidden: bool) -> None:
        """What becomes known of a training by its event is hidden from its athlete until it is shown."""
        if hidden:
            self._hidden[user].setdefault(id_, set()).update(tokens)
        else:
            self._hidden[user].pop(id_, None)

    def _judge(self, person: Person, asked: Asked, text: str, story: str) -> None:
        """No token in the answer that the caller neither may see nor said."""
        for cursor in _CURSOR.findall(text):
            self.cursors[asked.route.path].append(cursor)
            text += _read(cursor)
        tokens = set(_TOKEN.findall(text))
        for found in tokens - asked.tokens:
            assert self.may_see(person, asked, found) or found in _following(tokens), f"{story}holds {found}"

    async def _compare(self, person: Person, asked: Asked, status: int, story: str, request_id: str) -> None:
        """Rows changed where they may, and accesses are told."""
        before, self._before = self._before, await self._snapshot()
        places = {*before, *self._before}
        changed = {place for place in places if before.get(place) != self._before.get(place)}
        logged = {user for table, user in changed if table == "access_log"}
        allowed: set[UUID | None] = set(self._may_write(person, asked)) if status < 400 else set()
        if asked.route.role is not None and status < 400:
            allowed |= {None}
        assert {user for table, user in changed if table != "access_log"} <= allowed, f"{story}changed {changed}"
        # What is refused before its group is looked at is known by any group of the coach's.
        assert logged <= self._coached(person, asked, whatever_group=status >= 400), f"{story}is an access to {logged}"
        assert asked.of_group is not None or self._coached(person, asked) <= logged, f"{story}is told as no access"
        for user in logged:
            self.accesses[user].insert(0, request_id)

    async def _snapshot(self) -> Rows:
        """All rows of these people."""
        rows = await self._database.all(_SNAPSHOT, {"users": self.users})
        return {(table, user): (count, hash_) for table, user, count, hash_ in rows}

    def _follow(self, person: Person, asked: Asked, answer: Answer) -> None:
        """What the request changed of who may what."""
        route = asked.route
        if answer.status >= 300:
            return
        if route.form and answer.status == 202:
            id_ = answer.document["id"]
            self.owners[id_].add(person.user_id)
            self.documents[person.user_id, "import"][id_] = {"event_type": "import", "payload": {}}
        as_such = " as such" if asked.whom(person) != person.user_id else ""
        self.secrets.done.add((person.name + as_such, (route.method, route.path)))
        if route.path.endswith("/memberships/{group}") and asked.writes:
            self._admitted[person.user_id, asked.names["group"]] = set(asked.body["scopes"] if asked.body else ())
            self.owners[str(self.by_name["coach"].user_id)].add(person.user_id)  # the log of accesses names who it was
        if (route.method, route.path) == ("GET", f"{OF_USER}/advice"):
            self.advised[person.user_id] = [each["id"] for each in answer.document["advice"]]
        if (route.method, route.path) == ("POST", CATALOGUE):
            self.slugs.append(asked.body["slug"])


def _read(cursor: str) -> str:
    """What a cursor says, where it says it plainly."""
    try:
        return base64.urlsafe_b64decode(cursor + "=" * (-len(cursor) % 4)).decode()
    except (ValueError, binascii.Error):
        return ""


def _following(tokens: set[str]) -> set[str]:
    """The ids of sets that follow from the ids of exercises: somebody else's are the same who gave the same id."""
    ids = (UUID(found) for found in tokens if not found.startswith("secret"))
    return {str(uuid5(id_, str(order))) for id_ in ids for order in range(1, MAX_SETS + 1)}


def _without(answer: Answer, asked: Asked) -> tuple[int, str]:
    """An answer without what the request said, and what follows from that."""
    text = _DERIVED.sub("…", answer.text)
    for value in {*asked.names.values(), *asked.referred}:
        text = text.replace(value, "…")
    return answer.status, text

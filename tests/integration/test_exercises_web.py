"""The catalogue over REST: everybody reads, searches and finds the way, admins write."""

from collections.abc import AsyncIterator
from typing import Any

import pytest

from storage.database import Database
from tests.integration.test_injection import HOSTILE
from tests.support.web import USER, Client, bearer, serve, token
from web.api import ALL_ROUTES
from web.exercises import _EXAMPLE, NAMES_PATH, PATH

ADMIN = {"Authorization": f"Bearer {token(roles=['admin'])}"}
SLUG = "ring-tuck-planche-push-up"


@pytest.fixture
async def client(db: Database) -> AsyncIterator[Client]:
    async with serve(ALL_ROUTES, database=db) as client:
        yield client


async def read(client: Client, path: str = "", **query: str | int) -> Any:
    """What GET answers."""
    response = await client.get(f"{PATH}{path}", params=query)
    assert response.status == 200, await response.text()
    return await response.json()


async def slugs(client: Client, **query: str | int) -> list[str]:
    return [item["slug"] for item in (await read(client, "", **query))["items"]]


async def test_a_movement_with_all_that_is_known_of_it(client: Client) -> None:
    assert await read(client, "/negative-dip") == {
        "slug": "negative-dip",
        "revision": 1,
        "name": "Dip, lowering only",
        "category": "Push",
        "mode": "reps",
        "phases": ["eccentric"],
        "equipment": ["parallel_bars"],
        "difficulty": 3,
        "muscles": ["triceps", "chest"],
        "secondary_muscles": ["shoulders"],
        "bw_fraction": 0.95,
        "bw_fraction_basis": "segment:forearms+hands",
        "family": "dip",
        "unilateral": False,
        "easier_slugs": ["parallel-bar-support-hold", "bench-dip"],
        "created_at": (await read(client, "/dip"))["created_at"],
    }
    assert "bw_fraction" not in await read(client, "/wall-push-up")


async def test_filters_narrow_the_list(client: Client) -> None:
    everything = (await read(client, limit=500))["items"]
    assert [item["slug"] for item in everything] == sorted(item["slug"] for item in everything)

    async def same(keep: Any, **query: str | int) -> None:
        found = await slugs(client, limit=500, **query)
        assert found == [item["slug"] for item in everything if keep(item)]
        assert 0 < len(found) < len(everything)

    await same(lambda item: item["category"] == "Skill", category="Skill")
    await same(lambda item: item["mode"] == "hold", mode="hold")
    await same(lambda item: item["family"] == "planche", family="planche")
    await same(lambda item: "rings" in item["equipment"], equipment="rings")
    await same(lambda item: item["equipment"] == [], equipment="none")
    await same(lambda item: "traps" in item["muscles"] + item["secondary_muscles"], muscle="traps")
    await same(lambda item: 3 <= item["difficulty"] <= 4, min_difficulty=3, max_difficulty=4)
    await same(
        lambda item: item["category"] == "Push" and item["difficulty"] == 10 and "parallettes" in item["equipment"],
        category="Push",
        min_difficulty=10,
        equipment="parallettes",
    )
    assert await slugs(client, family="no-such") == []


@pytest.mark.parametrize("query", [{}, {"q": "push up"}, {"category": "Pull", "q": "row"}])
async def test_pages_hold_everything_once_and_in_order(client: Client, query: dict[str, str]) -> None:
    whole = await slugs(client, limit=500, **query)
    paged, address = [], f"{PATH}?limit=7&" + "&".join(f"{name}={value}" for name, value in query.items())
    while address:
        response = await client.get(address)
        page = await response.json()
        paged += [item["slug"] for item in page["items"]]
        assert len(page["items"]) == 7 or "next_cursor" not in page
        address = response.headers["Link"][1:].partition(">")[0] if "Link" in response.headers else ""
    assert paged == whole
    assert len(whole) > 7


@pytest.mark.parametrize(
    ("typed", "first"),
    [
        ("push up", "push-up"),
        ("PUSHUP", "push-up"),
        ("pul up", "pull-up"),
        ("hanstand", "freestanding-handstand"),
        ("pistl sqat", "pistol-squat"),
        ("musle up", "bar-muscle-up"),
        ("frnt lever", "full-front-lever"),
        ("bulgarian splt squat", "bulgarian-split-squat"),
        ("bench press (barbell)", "barbell-bench-press"),
        ("lat puldown", "cable-lat-pulldown"),
        ("romanian dedlift", "romanian-deadlift"),
    ],
)
async def test_a_misspelt_name_is_found_first(client: Client, typed: str, first: str) -> None:
    found = await slugs(client, q=typed, limit=5)
    assert found[0] == first


async def test_what_no_name_is_like_finds_nothing(client: Client) -> None:
    for typed in ("xyzzyxqj", "!!!", "%"):
        assert await slugs(client, q=typed) == []


async def test_a_filter_that_can_mean_nothing_is_refused(client: Client) -> None:
    for name, value in (
        ("category", "Arms"),
        ("min_difficulty", "0"),
        ("muscle", "Chest"),
        ("q", " "),
        ("q", "x" * 101),
        ("limit", "501"),
        ("cursor", "x"),
        ("muscles", "chest"),
    ):
        response = await client.get(PATH, params={name: value})
        assert response.status == 422
        assert (await response.json())["errors"][0]["parameter"] == name


async def test_progressions_are_the_neighbours(client: Client) -> None:
    ways = await read(client, "/push-up/progressions")
    assert [item["slug"] for item in ways["easier"]] == ["incline-push-up-low", "knee-push-up"]
    assert {item["slug"] for item in ways["harder"]} >= {"diamond-push-up", "pike-push-up", "planche-lean"}
    assert set(ways) == {"easier", "harder"}
    assert (await read(client, "/wall-push-up/progressions"))["easier"] == []


async def test_the_way_from_the_wall_to_the_hardest_push_movement(client: Client) -> None:
    hardest = await slugs(client, category="Push", min_difficulty=10)
    assert "ninety-degree-push-up" in hardest
    ways = await read(client, "/wall-push-up/progressions", to="ninety-degree-push-up")
    path = [item["slug"] for item in ways["path"]]
    assert (path[0], path[-1], ways["direction"]) == ("wall-push-up", "ninety-degree-push-up", "harder")
    for easier, harder in zip(ways["path"], ways["path"][1:], strict=False):
        assert easier["slug"] in harder["easier_slugs"]
    back = await read(client, "/ninety-degree-push-up/progressions", to="wall-push-up")
    assert (back["direction"], len(back["path"])) == ("easier", len(path))


async def test_a_way_is_the_shortest(client: Client) -> None:
    easier = {item["slug"]: item["easier_slugs"] for item in (await read(client, limit=500))["items"]}
    for target in ("iron-cross", "weighted-muscle-up", "full-planche"):
        steps, level, distance = {target: 0}, [target], 0
        while level:
            distance += 1
            level = [slug for harder in level for slug in easier[harder] if slug not in steps]
            steps |= dict.fromkeys(level, distance)
        for start in ("wall-push-up", "dead-hang", "parallel-bar-support-hold", "squat"):
            ways = await read(client, f"/{start}/progressions", to=target)
            assert len(ways["path"]) == (steps[start] + 1 if start in steps else 0)


async def test_where_no_way_goes_that_is_said(client: Client) -> None:
    ways = await read(client, "/wall-push-up/progressions", to="pistol-squat")
    assert (ways["path"], ways["direction"]) == ([], "none")
    ways = await read(client, "/plank/progressions", to="plank")
    assert ([item["slug"] for item in ways["path"]], ways["direction"]) == (["plank"], "same")
    response = await client.get(f"{PATH}/plank/progressions", params={"to": "no-such"})
    assert (response.status, (await response.json())["errors"][0]["parameter"]) == (422, "to")
    for path in ("/no-such", "/no-such/progressions", "/plank?revision=2", "/%27"):
        assert (await client.get(f"{PATH}{path}")).status == 404


async def test_names_lead_to_movements(client: Client) -> None:
    document = await (await client.get(NAMES_PATH)).json()
    known = {item["name"]: item["exercise"] for item in document["items"]}
    assert len(known) == len(document["items"]) > 700
    assert known["bench press (barbell)"] == "barbell-bench-press"
    assert known["pistol squat"] == "pistol-squat"
    # A movement's own name goes before what an app calls another one.
    body = _EXAMPLE | {"slug": SLUG, "name": "Pull  Up", "easier_slugs": []}
    assert (await client.post(PATH, json=body, headers=ADMIN)).status == 201
    assert (await client.delete(f"{PATH}/typewriter-pull-up", headers=ADMIN)).status == 204
    document = await (await client.get(NAMES_PATH)).json()
    known = {item["name"]: item["exercise"] for item in document["items"]}
    assert known["pull up"] == SLUG
    assert "typewriter-pull-up" not in known.values()


async def test_an_admin_adds_edits_and_deletes_a_movement(client: Client) -> None:
    created = await client.post(PATH, json=_EXAMPLE | {"slug": SLUG}, headers=ADMIN)
    assert (created.status, created.headers["ETag"]) == (201, '"1"')
    address = created.headers["Location"]
    assert address == f"{PATH}/{SLUG}"
    document = await created.json()
    assert document == await read(client, f"/{SLUG}")
    assert {**document, **_EXAMPLE} == document
    again = await client.post(PATH, json=_EXAMPLE | {"slug": SLUG}, headers=ADMIN)
    assert again.status == 409

    edited = await client.put(address, json=document | {"difficulty": 10}, headers=ADMIN | {"If-Match": '"1"'})
    assert (edited.status, edited.headers["ETag"]) == (200, '"2"')
    assert (await edited.json())["difficulty"] == 10
    assert await read(client, f"/{SLUG}", revision=1) == document
    late = await client.put(address, json=document, headers=ADMIN | {"If-Match": '"1"'})
    assert (late.status, late.headers["ETag"]) == (412, '"2"')
    other = await client.put(address, json=document | {"slug": "x"}, headers=ADMIN)
    assert (await other.json())["errors"][0]["pointer"] == "/slug"

    assert (await client.delete(address, headers=ADMIN | {"If-Match": '"1"'})).status == 412
    assert (await client.delete(address, headers=ADMIN)).status == 204
    for method in ("get", "delete"):
        assert (await getattr(client, method)(address, headers=ADMIN)).status == 404
    assert (await client.put(address, json=_EXAMPLE, headers=ADMIN)).status == 404


async def test_what_an_admin_may_not_do_either(client: Client) -> None:
    async def pointer(**fields: object) -> str:
        response = await client.put(f"{PATH}/push-up", json=_EXAMPLE | fields, headers=ADMIN)
        assert response.status == 422
        problem = await response.json()
        return f"{problem['type']} {problem['errors'][0]['pointer']}"

    assert await pointer(easier_slugs=["dip", "no-such"]) == "/problems#unknown-exercise /easier_slugs/1"
    assert await pointer(easier_slugs=["diamond-push-up"]) == "/problems#validation /easier_slugs"
    assert await pointer(difficulty=11) == "/problems#validation /difficulty"
    named = await client.delete(f"{PATH}/push-up", headers=ADMIN)
    assert named.status == 409
    assert "diamond-push-up" in (await named.json())["detail"]
    training = {"date": "2026-01-05T12:00:00Z", "exercises": [{"name": "Manna", "exercise": "manna"}]}
    workout = {"name": "Skills", "exercises": [{"name": "Iron cross", "exercise": "iron-cross", "sets": 3, "reps": 1}]}
    for slug, address, body in (
        ("manna", "/api/v1/trainings", training),
        ("iron-cross", f"/api/v1/training/users/{USER}/workouts", workout),
    ):
        assert (await client.post(address, json=body, headers=bearer())).status == 201
        referred = await client.delete(f"{PATH}/{slug}", headers=ADMIN)
        assert referred.status == 409
        assert "refer to" in (await referred.json())["detail"]


async def test_only_admins_write(client: Client, db: Database) -> None:
    count = "SELECT count(*) FROM exercises"
    before = await db.one(count)
    users = {"Authorization": f"Bearer {token(roles=['coach', 'Admin'])}"}
    for method, path, body in (
        ("POST", PATH, _EXAMPLE | {"slug": SLUG}),
        ("PUT", f"{PATH}/plank", _EXAMPLE),
        ("DELETE", f"{PATH}/manna", None),
    ):
        assert (await client.request(method, path, json=body)).status == 401
        for headers in (bearer(), users):
            response = await client.request(method, path, json=body, headers=headers)
            assert response.status == 403
            assert (await response.json())["type"] == "/problems#forbidden"
    assert await db.one(count) == before


async def test_caches_are_told_what_they_may_keep(client: Client) -> None:
    response = await client.get(f"{PATH}/plank")
    assert (response.headers["ETag"], response.headers["Cache-Control"]) == ('"1"', "no-cache")
    known = await client.get(f"{PATH}/plank", headers={"If-None-Match": '"1"'})
    assert (known.status, await known.read()) == (304, b"")
    assert "immutable" in (await client.get(f"{PATH}/plank?revision=1")).headers["Cache-Control"]
    for path in (PATH, NAMES_PATH, f"{PATH}/plank/progressions"):
        assert (await client.get(path)).headers["Cache-Control"] == "public, max-age=60"


@pytest.mark.parametrize("text", HOSTILE)
async def test_every_text_is_data(client: Client, text: str) -> None:
    said = _EXAMPLE | {
        "name": text.strip() or "x",
        "image_id": text,
        "bw_fraction": 0.5,
        "bw_fraction_basis": "x" + text,
    }
    assert (await client.put(f"{PATH}/plank", json=said, headers=ADMIN)).status == 200
    stored = await read(client, "/plank")
    assert {field: stored[field] for field in ("name", "image_id")} == {
        field: said[field] for field in ("name", "image_id")
    }
    assert "plank" in {item["exercise"] for item in (await (await client.get(NAMES_PATH)).json())["items"]}
    await slugs(client, q=text)
    quoted = "".join(f"%{byte:02X}" for byte in text.encode())
    for path in (quoted, f"{quoted}/progressions", "%ED%A0%80", "%00"):
        assert (await client.get(f"{PATH}/{path}")).status == 404
    for name in ("category", "family", "equipment", "muscle", "mode", "cursor"):
        assert (await client.get(PATH, params={name: text})).status == 422


async def test_who_reads_without_a_token_sends_one_statement_too(client: Client, db: Database) -> None:
    await client.get(PATH)
    for path in (
        PATH,
        f"{PATH}?q=handstnd&category=Skill&limit=3",
        f"{PATH}/plank",
        f"{PATH}/plank?revision=1",
        f"{PATH}/wall-push-up/progressions?to=one-arm-push-up",
        NAMES_PATH,
    ):
        before = db.statements
        response = await client.get(path)
        assert 200 <= response.status < 300, await response.text()
        assert db.statements - before == 1, path

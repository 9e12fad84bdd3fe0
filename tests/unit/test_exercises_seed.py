"""The catalogue that comes with the service: of one piece, and knowing what people log."""

from collections import Counter
from pathlib import Path

import orjson

from models.exercises import MovementCreate, folded
from storage.exercises import read_seed
from storage.schema import MIGRATIONS
from tests.support.strong import log_file, totals

SEED, NAMES = read_seed(MIGRATIONS / "seed")
MOVEMENTS = {movement["slug"]: movement for movement in SEED}


def body(slug: str) -> MovementCreate:
    """As if an admin had sent it."""
    fraction = MOVEMENTS[slug]["bw_fraction"]
    sent = MOVEMENTS[slug] | {"bw_fraction": None if fraction is None else float(fraction)}
    return MovementCreate.model_validate_json(orjson.dumps(sent))


def test_an_admin_could_have_written_every_movement() -> None:
    assert len(MOVEMENTS) == len(SEED) == 323
    for slug in MOVEMENTS:
        movement = body(slug)
        assert (movement.bw_fraction is None) == (movement.bw_fraction_basis is None), slug
        assert movement.phases, slug


def test_movements_and_muscles_are_named_once() -> None:
    assert [name for name, count in Counter(folded(one["name"]) for one in SEED).items() if count > 1] == []
    muscles = {muscle for one in SEED for muscle in one["muscles"]}
    assert {muscle for one in SEED for muscle in one["secondary_muscles"]} <= muscles
    for one in SEED:
        assert set(one["muscles"]).isdisjoint(one["secondary_muscles"]), one["slug"]


def test_difficulty_never_falls_along_an_edge() -> None:
    edges = [(easier, one["slug"]) for one in SEED for easier in one["easier_slugs"]]
    assert [edge for edge in edges if MOVEMENTS[edge[0]]["difficulty"] > MOVEMENTS[edge[1]]["difficulty"]] == []


def test_phases_follow_from_what_a_movement_is() -> None:
    def having(phases: list[str]) -> set[str]:
        return {slug for slug, one in MOVEMENTS.items() if one["phases"] == phases}

    assert having(["eccentric"]) == {
        "wall-hspu-negative",
        "negative-dip",
        "negative-pull-up",
        "one-arm-chin-up-negative",
        "muscle-up-transition-negative",
        "nordic-curl-negative",
        "dragon-flag-negative",
    }
    assert {"plank", "full-front-lever", "dead-hang"} < having(["isometric"])
    assert {"push-up", "barbell-bench-press"} < having(["concentric", "eccentric"])


def test_names_of_apps_lead_to_movements() -> None:
    assert {one["slug"] for one in NAMES} <= set(MOVEMENTS)
    assert [name for name, count in Counter(one["name"] for one in NAMES).items() if count > 1] == []
    # What a movement is called here goes before what an app calls it: the two must not contradict each other.
    own = {folded(one["name"]): one["slug"] for one in SEED}
    assert [one for one in NAMES if own.get(one["name"], one["slug"]) != one["slug"]] == []


def test_nine_of_ten_sets_of_a_log_are_of_movements_that_are_known(tmp_path: Path) -> None:
    known = {folded(one["name"]) for one in SEED} | {one["name"] for one in NAMES}
    log = totals(log_file(tmp_path))
    met = sum(sets for name, sets in log["names"].items() if folded(name) in known)
    assert met >= 0.9 * log["sets"]

"""The catalogue of movements: loading its seed, and reading it."""

import csv
from decimal import Decimal
from pathlib import Path
from typing import Any

from psycopg2.extras import execute_values

from models.exercises import Catalogue, Movement
from storage.database import Database

_SEED = """
INSERT INTO exercises (slug, revision, name, category, mode, equipment, difficulty, muscles, secondary_muscles,
                       bw_fraction, bw_fraction_basis, family, unilateral, easier_slugs)
VALUES %s ON CONFLICT (slug, revision) DO NOTHING
"""

_ALL = "SELECT slug, revision, name, category, mode, difficulty, bw_fraction FROM exercises"


def load_catalogue(cursor: Any, folder: Path) -> None:
    """Add the seed's movements that are not there yet, as their revision 1. `cursor` is psycopg2's."""
    with (folder / "exercise_catalogue_extra.csv").open(newline="", encoding="utf-8") as file:
        extras = {row["slug"]: row for row in csv.DictReader(file)}
    with (folder / "exercise_catalogue.csv").open(newline="", encoding="utf-8") as file:
        rows = [_seed_row(row, extras[row["slug"]]) for row in csv.DictReader(file)]
    execute_values(cursor, _SEED, rows, page_size=len(rows))


async def read_catalogue(database: Database) -> Catalogue:
    """Every revision of every movement, in one statement. Raises `DatabaseUnavailable`."""
    return Catalogue.of([Movement(*row) for row in await database.all(_ALL)])


def _seed_row(row: dict[str, str], extra: dict[str, str]) -> tuple[object, ...]:
    return (
        row["slug"],
        1,
        row["name"],
        row["category"],
        row["mode"],
        [] if row["equipment"] == "none" else _list(row["equipment"]),
        int(row["difficulty"]),
        _list(row["muscles"]),
        _list(extra["secondary_muscles"]),
        Decimal(row["bw_fraction"]) if row["bw_fraction"] else None,
        extra["bw_fraction_basis"] or None,
        extra["family"],
        extra["unilateral"] == "1",
        _list(row["easier_slugs"]),
    )


def _list(cell: str) -> list[str]:
    return [part for part in cell.split(";") if part]

"""How statements become those that a coach may run: all of them that a coach could reach."""

import re
from uuid import uuid4

import pytest

from models.memberships import Scope
from storage.access import Guarded
from storage.access_statements import guarded, guarded_sql
from storage.database import Database, Prepared
from tests.support.coaches import access_of
from tests.support.statements import statements
from tests.support.web import NOWHERE
from web.api import ALL_ROUTES

STATEMENTS = statements()
_FORMS: list[tuple[Scope, bool]] = [("read", True), ("read", False), ("plan", True), ("plan", False)]


def test_there_are_statements() -> None:
    assert len(STATEMENTS) > 40
    assert {type(statement) for statement in STATEMENTS.values()} == {str, Prepared}


@pytest.mark.parametrize("statement", STATEMENTS.values(), ids=STATEMENTS)
@pytest.mark.parametrize(("scope", "logged"), _FORMS)
def test_a_guarded_statement_names_no_user_of_its_own(statement: str | Prepared, scope: Scope, logged: bool) -> None:
    sql = statement.sql if isinstance(statement, Prepared) else statement
    assert not re.search(r"\b(access|standing|admitted)\b", sql), "these names are the guard's"
    made = guarded_sql(sql, scope, logged=logged)
    assert "%(user_id)s" not in made
    assert "%(coach_of)s" not in made
    assert len(re.findall(r"\baccess AS\b", made)) == 1
    assert made.startswith("WITH standing AS")
    assert ("INSERT INTO access_log" in made) is logged
    assert ("FOR NO KEY UPDATE\n), access" in made) is (scope == "plan")
    assert made.count("(SELECT user_id FROM access)") == sql.count("%(user_id)s")


@pytest.mark.parametrize("statement", STATEMENTS.values(), ids=STATEMENTS)
def test_it_is_prepared_under_a_name_of_its_own_and_made_once(statement: str | Prepared) -> None:
    assert guarded(statement, "plan") is guarded(statement, "plan")
    if isinstance(statement, Prepared):
        names = {statement.name}
        for scope, logged in _FORMS:
            made = guarded(statement, scope, logged=logged)
            assert isinstance(made, Prepared)
            names.add(made.name)
            assert len(made.name.encode()) < 64  # beyond which PostgreSQL cuts names
            assert "%(user_id)s" not in made.execute + made.plain
            assert statement.types.items() <= made.types.items()
        assert len(names) == 1 + len(_FORMS)


def test_what_it_begins_with_makes_no_difference() -> None:
    rest = "(SELECT user_id FROM access)"
    for sql, end in (
        ("SELECT %(user_id)s", f") SELECT {rest}"),
        ("\nWITH a AS (SELECT 1) SELECT %(user_id)s", f"), a AS (SELECT 1) SELECT {rest}"),
        ("with a as (select 1) select %(user_id)s", f"), a as (select 1) select {rest}"),
        ("DELETE FROM x WHERE y = %(user_id)s", f") DELETE FROM x WHERE y = {rest}"),
        ("SELECT %(withheld)s, %(user_id)s", f") SELECT %(withheld)s, {rest}"),
    ):
        made = guarded_sql(sql, "read")
        assert made.startswith("WITH standing AS")
        assert "), access AS (\n    INSERT INTO access_log " in made
        assert made.endswith(end), made
    recursive = guarded_sql(" WITH  RECURSIVE a AS (SELECT 1) SELECT %(user_id)s", "read")
    assert recursive.startswith("WITH RECURSIVE standing AS")
    assert recursive.endswith(f"), a AS (SELECT 1) SELECT {rest}")


def test_the_groups_of_a_coach_are_those_whose_memberships_stand() -> None:
    made = guarded_sql("SELECT %(user_id)s WHERE x = ANY (%(coach_of)s::text[]) OR %(coach_of)s IS NULL", "plan")
    assert made.count("ARRAY(SELECT group_external_id FROM standing)") == 2
    assert len(re.findall(r"\bstanding AS\b", made)) == 1


@pytest.mark.parametrize("sql", ["SELECT 1", "SELECT %(user)s", "SELECT %s", "DELETE FROM trainings"])
def test_a_statement_that_names_no_user_is_refused(sql: str) -> None:
    with pytest.raises(ValueError, match="names no user"):
        guarded_sql(sql, "read")
    with pytest.raises(ValueError, match="names no user"):
        guarded(Prepared("p", sql, {}), "plan")


async def test_what_is_no_statement_of_its_own_is_not_offered() -> None:
    database = Guarded(Database(NOWHERE), access_of(uuid4(), uuid4()))
    with pytest.raises(NotImplementedError):
        database.session()
    with pytest.raises(NotImplementedError):
        database.transaction()
    with pytest.raises(ValueError, match="another user"):
        await database.one("SELECT %(user_id)s", {"user_id": uuid4()})


def test_only_addresses_of_a_user_have_a_scope() -> None:
    scoped = [route for route in ALL_ROUTES if route.scope is not None]
    assert all("userId" in route.path_parameters and route.auth and route.role is None for route in scoped)
    assert all(route.scope == "read" for route in scoped if route.method == "GET")
    assert {route.operation_id for route in scoped if route.scope == "plan"} == {
        "createTrainingOfUser",
        "updateTrainingOfUser",
        "deleteTrainingOfUser",
        "createWorkout",
        "updateWorkout",
        "deleteWorkout",
        "planWorkout",
    }
    unscoped = {route.operation_id for route in ALL_ROUTES if "userId" in route.path_parameters} - {
        route.operation_id for route in scoped
    }
    assert {"saveMembership", "revokeMembership", "listMemberships", "listAccesses", "logSession"} <= unscoped

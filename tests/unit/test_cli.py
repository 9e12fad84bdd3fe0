"""The command line: what it understands, where its settings come from, how it fails."""

import argparse
import datetime as dt
from collections.abc import Iterator
from pathlib import Path
from uuid import UUID

import jwt
import orjson
import pytest
from aiokafka import ConsumerRecord

import cli
import settings
from commands.environment import CommandError, read_local, required
from commands.events import line
from commands.tokens import DEVELOPER

USER = "0198c0de-0000-7000-8000-00000000abcd"
SECRET = "a secret of 32 bytes, or of more."


@pytest.fixture(autouse=True)
def elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """No settings but this test's own."""
    monkeypatch.chdir(tmp_path)
    for name in ("DATABASE_URL", "API", "TOKEN", "JWT_SECRET", "JWKS_URL"):
        monkeypatch.delenv(f"TRAINING_{name}", raising=False)
    settings.settings.cache_clear()
    yield
    settings.settings.cache_clear()


@pytest.fixture
def configured(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TRAINING_DATABASE_URL", "postgresql://nowhere")
    monkeypatch.setenv("TRAINING_JWT_SECRET", SECRET)


def every_command(parser: argparse.ArgumentParser) -> Iterator[str]:
    command = parser.get_default("command")
    if command:
        yield command
    for action in parser._actions:
        if isinstance(action, argparse._SubParsersAction):
            for child in action.choices.values():
                yield from every_command(child)


def test_every_command_has_its_function() -> None:
    commands = list(every_command(cli.parser()))
    assert len(commands) == len(set(commands)) > 4
    assert all(callable(cli.find(command)) for command in commands)


@pytest.mark.parametrize(
    "argv",
    [
        [],
        ["import"],
        ["import", "strong"],
        ["import", "log"],
        ["import", "log", "x", "--format", "excel"],
        ["import", "strong", "x", "--unit", "stone"],
        ["import", "strong", "x", "--timezone", "Mars"],
        ["import", "undo", "x"],
        ["archive", "--before", "0y"],
        ["archive", "--before", "2 years"],
        ["events", "--user", "me"],
        ["requests", "--limit", "0"],
        ["token", "--days", "-1"],
        ["token", "--days", "many"],
    ],
)
def test_what_is_not_understood(argv: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as stopped:
        cli.main(argv)
    assert stopped.value.code == 2
    assert "usage: training" in capsys.readouterr().err


def test_an_age_is_counted_back_from_today() -> None:
    days = [dt.datetime.now(dt.UTC).date()]
    before = cli.parser().parse_args(["archive", "--before", "2y"]).before
    days.append(dt.datetime.now(dt.UTC).date())
    assert days[0] - dt.timedelta(days=731) <= before <= days[1] - dt.timedelta(days=730)


@pytest.mark.parametrize(
    ("day", "years", "before"),
    [("2026-11-23", 2, "2024-11-23"), ("2028-02-29", 2, "2026-02-28"), ("2028-02-29", 4, "2024-02-29")],
)
def test_a_year_without_the_day_has_the_one_before(day: str, years: int, before: str) -> None:
    assert cli._years_before(dt.date.fromisoformat(day), years) == dt.date.fromisoformat(before)


def test_settings_of_the_local_stack_are_read(tmp_path: Path) -> None:
    path = tmp_path / "env"
    path.write_text("TRAINING_API=http://127.0.0.1:1\nTRAINING_TOKEN=a.b=\n\nnonsense\nTRAINING_WEB_PORT=9\n")
    environment = {"TRAINING_WEB_PORT": "8"}
    read_local(environment, path)
    assert environment == {
        "TRAINING_API": "http://127.0.0.1:1",
        "TRAINING_TOKEN": "a.b=",
        "TRAINING_WEB_PORT": "8",
    }


@pytest.mark.parametrize("name", ["TRAINING_DATABASE_URL", "TRAINING_API"])
def test_settings_of_two_stacks_are_never_mixed(tmp_path: Path, name: str) -> None:
    path = tmp_path / "env"
    path.write_text("TRAINING_TOKEN=local\nTRAINING_DATABASE_URL=local\n")
    environment = {name: "elsewhere"}
    read_local(environment, path)
    assert environment == {name: "elsewhere"}


def test_no_local_stack_is_needed(tmp_path: Path) -> None:
    environment: dict[str, str] = {}
    read_local(environment, tmp_path / "env")
    assert environment == {}


def test_a_file_that_may_not_be_read_is_said(tmp_path: Path) -> None:
    with pytest.raises(CommandError, match="cannot be read: Is a directory"):
        read_local({}, tmp_path)


def test_an_option_goes_before_the_environment() -> None:
    assert required({"NAME": "b"}, "NAME", "--name", "a") == "a"
    assert required({"NAME": "b"}, "NAME", "--name", None) == "b"
    with pytest.raises(CommandError, match="--name or NAME is needed"):
        required({}, "NAME", "--name", None)


def test_a_missing_setting_is_named(capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["token"]) == 1
    assert capsys.readouterr().err == "training: TRAINING_DATABASE_URL: Field required\n"


def test_settings_that_contradict_each_other_are_said(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TRAINING_DATABASE_URL", "postgresql://nowhere")
    assert cli.main(["worker"]) == 1
    error = capsys.readouterr().err
    assert "TRAINING_JWT_SECRET or TRAINING_JWKS_URL is needed" in error
    assert error.count("\n") == 1


@pytest.mark.usefixtures("configured")
@pytest.mark.parametrize(("argv", "user"), [([], DEVELOPER), (["--user", USER], UUID(USER))])
def test_a_token_names_its_user_for_so_long(argv: list[str], user: UUID, capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["token", "--days", "2", *argv]) == 0
    claims = jwt.decode(capsys.readouterr().out.strip(), SECRET, algorithms=["HS256"])
    assert claims["userId"] == str(user)
    assert claims["exp"] - claims["iat"] == dt.timedelta(days=2).total_seconds()
    assert "roles" not in claims


@pytest.mark.usefixtures("configured")
def test_a_token_carries_roles(capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["token", "--role", "admin", "--role", "analytics"]) == 0
    claims = jwt.decode(capsys.readouterr().out.strip(), SECRET, algorithms=["HS256"])
    assert claims["roles"] == ["admin", "analytics"]
    assert not {"groups", "coach_of"} & claims.keys()


@pytest.mark.usefixtures("configured")
def test_a_token_carries_groups(capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["token", "--group", "team", "--coach-of", "club", "--coach-of", "a b"]) == 0
    claims = jwt.decode(capsys.readouterr().out.strip(), SECRET, algorithms=["HS256"])
    assert (claims["groups"], claims["coach_of"]) == (["team"], ["club", "a b"])


def test_a_token_needs_the_secret(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TRAINING_DATABASE_URL", "postgresql://nowhere")
    monkeypatch.setenv("TRAINING_JWKS_URL", "https://keys.example/set")
    assert cli.main(["token"]) == 1
    assert "TRAINING_JWT_SECRET is needed" in capsys.readouterr().err


@pytest.mark.parametrize(("command", "version"), [("openapi", "3.1."), ("asyncapi", "3.0.")])
def test_the_documents_are_printed(command: str, version: str, capsysbinary: pytest.CaptureFixture[bytes]) -> None:
    assert cli.main([command]) == 0
    assert orjson.loads(capsysbinary.readouterr().out)[command].startswith(version)


def record(key: bytes | None, value: bytes | None) -> "ConsumerRecord[bytes, bytes]":
    return ConsumerRecord("training_events", 3, 17, 0, 0, key, value, None, 0, 0, (("ce_sequence", b"2"),))


def test_a_record_is_one_line_of_json_with_its_value_unchanged() -> None:
    text = line(record(USER.encode(), b'{"weight": 1e2, "note": "\\u00fc"}'))
    assert text.endswith(b'"value":{"weight": 1e2, "note": "\\u00fc"}}\n')
    assert orjson.loads(text) == {
        "topic": "training_events",
        "partition": 3,
        "offset": 17,
        "key": USER,
        "headers": {"ce_sequence": "2"},
        "value": {"weight": 100.0, "note": "ü"},
    }


@pytest.mark.parametrize(
    ("value", "shown"), [(None, None), (b"", ""), (b"{oops", "{oops"), (b"\xff", "\ufffd")], ids=repr
)
def test_a_record_that_is_no_json_is_shown_as_text(value: bytes | None, shown: str | None) -> None:
    assert orjson.loads(line(record(None, value)))["value"] == shown

"""Where a command's settings come from, and how a command fails."""

import os
from collections.abc import Mapping, MutableMapping
from pathlib import Path

from pydantic import ValidationError

from settings import Settings, settings

LOCAL = Path(".state/env")  # `make run` writes it, as lines of NAME=value


class CommandError(Exception):
    """A command cannot do what it was asked; the text is one line for people, the exit code 1."""


def read_local(environment: MutableMapping[str, str] = os.environ, path: Path = LOCAL) -> None:
    """Take the settings of the local stack, unless the environment names a database or an API of its own."""
    if "TRAINING_DATABASE_URL" in environment or "TRAINING_API" in environment or not path.exists():
        return
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except OSError as error:
        raise CommandError(f"{path} cannot be read: {error.strerror}.") from None
    for name, equals, value in (line.partition("=") for line in lines):
        if equals:
            environment.setdefault(name, value)


def service_settings() -> Settings:
    """The service's settings. Raises `CommandError` that names the first one that is missing or wrong."""
    try:
        return settings()
    except ValidationError as error:
        detail = error.errors(include_url=False, include_input=False)[0]
        name = "_".join(["TRAINING", *(str(part).upper() for part in detail["loc"])]) if detail["loc"] else ""
        message = detail["msg"].removeprefix("Value error, ")
        raise CommandError(f"{name}: {message}" if name else message) from None


def required(environment: Mapping[str, str], name: str, option: str, given: str | None) -> str:
    """What an option says, else the environment. Raises `CommandError` where neither says anything."""
    value = given or environment.get(name)
    if not value:
        raise CommandError(f"{option} or {name} is needed (`make run` writes {LOCAL}, which is read too).")
    return value


def one_line(error: BaseException) -> str:
    """What an error says, fit for a `CommandError`."""
    return " ".join(str(error).split()) or type(error).__name__

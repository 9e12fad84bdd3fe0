"""The statements that stand in the storage."""

import importlib
import pkgutil
import re
from collections.abc import Iterator

import storage
from storage.database import Prepared
from storage.training_statements import Write


def _statements(value: object) -> Iterator[str | Prepared]:
    if isinstance(value, Write):
        yield from (value.plain, value.keyed)
    elif isinstance(value, dict):
        for part in value.values():
            yield from _statements(part)
    elif isinstance(value, Prepared) or (isinstance(value, str) and re.match(r"\s*(SELECT|WITH)\b", value)):
        yield value


def statements() -> dict[str, str | Prepared]:
    """Every statement of the storage that names one user, by where it stands."""
    found = {}
    for module in pkgutil.iter_modules(storage.__path__, "storage."):
        for name, value in vars(importlib.import_module(module.name)).items():
            for n, statement in enumerate(_statements(value)):
                sql = statement.sql if isinstance(statement, Prepared) else statement
                if "%(user_id)s" in sql and "access AS" not in sql:
                    found[f"{module.name}.{name}[{n}]"] = statement
    return found

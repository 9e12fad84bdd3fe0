"""The database, for one command."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import psycopg2

from commands.environment import CommandError, one_line
from models.errors import ArchiveUnavailable, DatabaseUnavailable
from storage.database import Database


@asynccontextmanager
async def opened(url: str, options: str = "") -> AsyncIterator[Database]:
    """A pool that is closed at the end; what PostgreSQL says against the block's statements becomes `CommandError`.

    So does an archive that is missing. `options` are those of `Database`.
    """
    database = Database(url, pool_size=2, name="training-cli", options=options)
    try:
        yield database
    except DatabaseUnavailable as error:
        raise CommandError(one_line(error.__cause__ or error)) from None
    except ArchiveUnavailable as error:
        raise CommandError(str(error)) from None
    except psycopg2.Error as error:
        raise CommandError(one_line(error)) from None
    finally:
        await database.close()

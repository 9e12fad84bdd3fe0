"""`python -m chaos.archiver URL FOLDER`: archive all that is settled, however young it is; a process, to be killed.

The URL is the owner's. The command of operators takes whole days of the past alone.
"""

import asyncio
import datetime as dt
import sys
from pathlib import Path

from models.errors import Conflict
from storage import archiving
from storage.database import Database

_ATTEMPTS = 20  # trainings that change while they are archived have it begin anew


async def archive(url: str, folder: Path) -> None:
    """Archive, until nothing that is settled is left. Raises `Conflict` where clients never leave it the time."""
    database = Database(url, pool_size=2, statement_timeout=60.0)
    tomorrow = dt.datetime.now(dt.UTC).date() + dt.timedelta(days=1)
    try:
        for attempt in range(_ATTEMPTS):
            try:
                async for _ in archiving.archive(database, folder, tomorrow):
                    pass
            except Conflict:
                if attempt == _ATTEMPTS - 1:
                    raise
            else:
                return
    finally:
        await database.close()


if __name__ == "__main__":
    asyncio.run(archive(sys.argv[1], Path(sys.argv[2])))

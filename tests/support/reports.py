"""Reports of metrics as a client reads them, and the two stages that they follow."""

from typing import Any

from pydantic import BaseModel

from agents.insights import InsightsFold
from agents.volume import VolumeFold
from storage.database import Database
from tests.support.athletes import TOPIC, Athlete
from tests.support.web import Client, bearer

METRICS = "/api/v1/training/users/{}/metrics/{}"


async def settle(database: Database) -> None:
    """Fold the log, and compute what follows from it."""
    await VolumeFold(database, TOPIC).fold_log()
    await InsightsFold(database, "training_insights").run_due()


async def report(client: Client, athlete: Athlete, name: str, model: type[BaseModel], **query: str) -> dict[str, Any]:
    """The report, which is exactly as its model says."""
    url = METRICS.format(athlete.user_id, name)
    answer = await client.get(url, params=query, headers=bearer(athlete.user_id))
    assert answer.status == 200, await answer.text()
    model.model_validate_json(await answer.read(), strict=True, extra="forbid")
    document: dict[str, Any] = await answer.json()
    return document


async def faults(client: Client, athlete: Athlete, name: str, **query: str) -> list[str | None]:
    """The parameters that the refusal of this request names."""
    answer = await client.get(METRICS.format(athlete.user_id, name), params=query, headers=bearer(athlete.user_id))
    assert answer.status == 422, await answer.text()
    return [fault.get("parameter") for fault in (await answer.json())["errors"]]

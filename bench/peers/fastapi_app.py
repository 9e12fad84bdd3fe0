"""POST /api/v1/trainings as FastAPI's and SQLAlchemy's documentation teach it: the mainstream peer of the service.

FastAPI with pydantic models and dependencies for the session and the user, SQLAlchemy 2's ORM over asyncpg, one commit
a request. It writes the same tables, asks for the same token, gives the same answer and stores the same event. It does
less than the service: no Idempotency-Key, no check of the catalogue, no retry of the same `id`.

Run by `uvicorn bench.peers.fastapi_app:app`; `DATABASE_URL` and `JWT_SECRET` come from the environment.
"""

import datetime as dt
import hashlib
import os
from collections.abc import AsyncIterator
from typing import Annotated, Any
from uuid import UUID
from zoneinfo import ZoneInfo

import jwt
from fastapi import Depends, FastAPI, HTTPException, Response
from fastapi.security import HTTPAuthorizationCredentials, HTTPBearer
from pydantic import AwareDatetime, BaseModel, ConfigDict, Field, model_validator
from sqlalchemy.ext.asyncio import AsyncSession, async_sessionmaker, create_async_engine
from sqlalchemy.orm import DeclarativeBase, Mapped, relationship
from uuid_utils.compat import uuid7

from models import tables
from models.sets import SetType, Side, Unit
from models.trainings import Status

TOPIC = "training_events"

engine = create_async_engine(
    os.environ["DATABASE_URL"].replace("postgresql://", "postgresql+asyncpg://", 1), pool_size=10, max_overflow=0
)
sessions = async_sessionmaker(engine, expire_on_commit=False)
app = FastAPI()


class Base(DeclarativeBase):
    """Base of the mapped classes."""

    metadata = tables.metadata


class Training(Base):
    """A training with its exercises."""

    __table__ = tables.trainings
    exercises: Mapped[list["Exercise"]] = relationship(
        order_by=tables.training_exercises.c.position, back_populates="training"
    )


class Exercise(Base):
    """An exercise of a training with its sets."""

    __table__ = tables.training_exercises
    training: Mapped[Training] = relationship(back_populates="exercises")
    sets: Mapped[list["Set"]] = relationship(order_by=tables.training_sets.c.order, back_populates="of")


class Set(Base):
    """A set of an exercise."""

    __table__ = tables.training_sets
    of: Mapped[Exercise] = relationship(back_populates="sets")


class OutboxRow(Base):
    """A row of the log."""

    __table__ = tables.outbox
    __mapper_args__: dict[str, Any] = {"primary_key": [tables.outbox.c.seq]}  # noqa: RUF012 - SQLAlchemy's own way


class Fields(BaseModel):
    """Base of the documents: read from ORM objects too; an unknown field is an error."""

    model_config = ConfigDict(extra="forbid", from_attributes=True)


class SetIn(Fields):
    """One set of an exercise."""

    id: UUID | None = None
    order: Annotated[int | None, Field(ge=0, le=10_000)] = None
    weight: Annotated[float, Field(ge=-10_000, le=10_000)] = 0
    unit: Unit = Unit.KG
    reps: Annotated[int, Field(ge=0, le=100_000)] = 0
    duration_seconds: Annotated[float | None, Field(ge=0)] = None
    distance_m: Annotated[float | None, Field(ge=0)] = None
    side: Side | None = None
    done: bool = True
    rpe: Annotated[float | None, Field(ge=0, le=10)] = None
    tempo: Annotated[str | None, Field(max_length=20)] = None
    rest_seconds: Annotated[int | None, Field(ge=0, le=86_400)] = None
    type: SetType = SetType.WORKING


class ExerciseIn(Fields):
    """One exercise of a training."""

    id: UUID | None = None
    name: Annotated[str, Field(min_length=1, max_length=200)]
    exercise: Annotated[str | None, Field(max_length=100)] = None
    exercise_revision: Annotated[int | None, Field(ge=1)] = None
    superset: Annotated[int | None, Field(ge=0, le=1_000)] = None
    notes: Annotated[str | None, Field(max_length=10_000)] = None
    sets: Annotated[list[SetIn], Field(max_length=500)] = []

    @model_validator(mode="after")
    def unique_orders(self) -> "ExerciseIn":
        """Every set has a place of its own."""
        for place, one in enumerate(self.sets, 1):
            one.order = place if one.order is None else one.order
        if len({one.order for one in self.sets}) < len(self.sets):
            raise ValueError("`order` must be unique among the sets of an exercise")
        return self


class TrainingIn(Fields):
    """Body of POST /api/v1/trainings."""

    id: UUID | None = None
    source_id: Annotated[str | None, Field(min_length=1, max_length=200)] = None
    status: Status = Status.PLANNED
    date: AwareDatetime
    timezone: str = "UTC"
    title: Annotated[str | None, Field(max_length=200)] = None
    duration_seconds: Annotated[int | None, Field(ge=0, le=10_000_000)] = None
    session_rpe: Annotated[float | None, Field(ge=0, le=10)] = None
    bodyweight_kg: Annotated[float | None, Field(gt=0, le=1_000)] = None
    notes: Annotated[str | None, Field(max_length=10_000)] = None
    exercises: Annotated[list[ExerciseIn], Field(max_length=200)] = []


class SetOut(SetIn):
    """One set as it is stored."""

    id: UUID
    order: int


class ExerciseOut(ExerciseIn):
    """One exercise as it is stored."""

    id: UUID
    sets: list[SetOut]


class Payload(Fields):
    """A training in an event."""

    training_id: UUID
    user_id: UUID
    source_id: str | None
    version: int
    status: Status
    date: dt.datetime
    timezone: str
    day: dt.date
    title: str | None
    duration_seconds: int | None
    session_rpe: float | None
    bodyweight_kg: float | None
    notes: str | None
    exercises: list[ExerciseOut]


class TrainingOut(Fields):
    """The answer."""

    id: UUID
    user_id: UUID
    source_id: str | None
    version: int
    status: Status
    date: dt.datetime
    timezone: str
    day: dt.date
    title: str | None
    duration_seconds: int | None
    session_rpe: float | None
    bodyweight_kg: float | None
    notes: str | None
    exercises: list[ExerciseOut]
    created_at: dt.datetime
    updated_at: dt.datetime


class Event(Fields):
    """The event in the outbox."""

    event_id: UUID
    event_type: str
    timestamp: dt.datetime
    payload: Payload


async def get_session() -> AsyncIterator[AsyncSession]:
    """A session for one request."""
    async with sessions() as session:
        yield session


async def get_user(credentials: Annotated[HTTPAuthorizationCredentials, Depends(HTTPBearer())]) -> UUID:
    """The user that the bearer token names."""
    try:
        claims = jwt.decode(
            credentials.credentials, os.environ["JWT_SECRET"], algorithms=["HS256"], options={"require": ["exp"]}
        )
        return UUID(claims["userId"])
    except (jwt.PyJWTError, KeyError, ValueError):
        raise HTTPException(401, "The token is not valid.", headers={"WWW-Authenticate": "Bearer"}) from None


@app.post("/api/v1/trainings", status_code=201, response_model=TrainingOut, response_model_exclude_none=True)
async def create_training(
    body: TrainingIn,
    response: Response,
    user_id: Annotated[UUID, Depends(get_user)],
    session: Annotated[AsyncSession, Depends(get_session)],
) -> Training:
    """Store a training with its exercises and sets, and the event that tells of it, in one transaction."""
    now = dt.datetime.now(dt.UTC)
    training = Training(
        **body.model_dump(exclude={"id", "exercises"}),
        user_id=user_id,
        id=body.id or uuid7(),
        version=1,
        day=body.date.astimezone(ZoneInfo(body.timezone)).date(),
        digest=hashlib.sha256(body.model_dump_json().encode()).digest(),
        created_at=now,
        updated_at=now,
    )
    for position, exercise in enumerate(body.exercises, 1):
        stored = Exercise(**exercise.model_dump(exclude={"id", "sets"}), id=exercise.id or uuid7(), position=position)
        stored.sets = [Set(**one.model_dump(exclude={"id"}), id=one.id or uuid7()) for one in exercise.sets]
        training.exercises.append(stored)
    event = Event(
        event_id=uuid7(),
        event_type="training_created",
        timestamp=now,
        payload=Payload.model_validate(
            {
                **TrainingOut.model_validate(training).model_dump(exclude={"id", "created_at", "updated_at"}),
                "training_id": training.id,
            }
        ),
    )
    session.add(training)
    session.add(
        OutboxRow(
            event_id=event.event_id,
            topic=TOPIC,
            aggregate_type="training",
            aggregate_id=training.id,
            version=1,
            event_type=event.event_type,
            user_id=user_id,
            actor=str(user_id),
            payload=event.model_dump_json(exclude_none=True),
            created_at=now,
        )
    )
    await session.commit()
    response.headers["ETag"] = '"1"'
    response.headers["Location"] = f"/api/v1/trainings/{training.id}"
    return training

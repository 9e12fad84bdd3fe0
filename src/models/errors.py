"""The one tree of errors. Storage and the models raise them; `web.problems` maps each to problem+json in one place.

TrainingServiceError
├── NotFound                     404
├── Conflict                     409
│   ├── StatusConflict           409  a training never goes backwards
│   ├── IdentityConflict         409  the id or source_id is another's
│   ├── AdviceGone               409  the advice is not given any more
│   └── PlanChanged              409  nothing is left to undo, or later advice is undone first
├── CursorExpired                410
├── UserErased                   410
├── PreconditionFailed           412
├── Unprocessable                422
│   ├── UnknownExercise          422
│   ├── UnknownWorkout           422
│   └── IdempotencyKeyReused     422
├── TooManyRequests              429
├── ArchiveUnavailable           503
└── DatabaseUnavailable          503
    └── StatementEnded           503
"""


class TrainingServiceError(Exception):
    """Base of all errors that a caller of this service can meet; its text is fit to be shown to the caller."""


class NotFound(TrainingServiceError):
    """What was asked for does not exist, was deleted, or belongs to somebody else."""


class Conflict(TrainingServiceError):
    """The request contradicts what is stored."""


class StatusConflict(Conflict):
    """A training's status never goes backwards."""


class IdentityConflict(Conflict):
    """The client's own `id` or `source_id` already names what was created with another body."""


class AdviceGone(Conflict):
    """The advice is not given for the day, or not any more: what it was computed from changed, or it was undone."""


class PlanChanged(Conflict):
    """No training is as the accepted advice left it, or one is as later advice left it."""


class CursorExpired(TrainingServiceError):
    """What a cursor of the changes stands for cannot be told any more: the database was restored or moved since."""


class UserErased(TrainingServiceError):
    """The user was erased: nothing of theirs is taken any more."""


class PreconditionFailed(TrainingServiceError):
    """If-Match names another version than the one that is stored, or If-None-Match asks that there be none.

    `version` is the stored one, so that the caller can be told what to read again.
    """

    def __init__(self, version: int) -> None:
        super().__init__(f"It is at version {version}.")
        self.version = version


class Unprocessable(TrainingServiceError):
    """The request is well formed and cannot be carried out. `pointer` (RFC 6901) names the field, "" the whole."""

    def __init__(self, message: str, pointer: str = "") -> None:
        super().__init__(message)
        self.pointer = pointer


class UnknownExercise(Unprocessable):
    """The catalogue has no such movement, or no such revision of it."""


class UnknownWorkout(Unprocessable):
    """The user has no such workout."""


class IdempotencyKeyReused(Unprocessable):
    """The Idempotency-Key was used before with another request."""


class TooManyRequests(TrainingServiceError):
    """The user asked for this too often. `seconds` is when to ask again."""

    def __init__(self, message: str, seconds: int) -> None:
        super().__init__(message)
        self.seconds = seconds


class ArchiveUnavailable(TrainingServiceError):
    """Rows of the log are in an archive's file, and that cannot be read here: it is not there, or not as it was."""


class DatabaseUnavailable(TrainingServiceError):
    """PostgreSQL cannot be reached, is overloaded, or gave up on the statement. Nothing can be said of a write that
    was under way when the connection broke: the client asks again with the same Idempotency-Key or id."""


class StatementEnded(DatabaseUnavailable):
    """PostgreSQL answers, and ended the statement: as a rule because it took longer than its limit."""

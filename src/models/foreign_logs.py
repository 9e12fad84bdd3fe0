"""A log of another app, as it is read from a file: sessions, and what is wrong with lines."""

from collections.abc import Iterator
from dataclasses import dataclass

from models.trainings import ExerciseBody, TrainingCreate

MAX_BYTES = 5_000_000
MAX_ROWS = 50_000


class ForeignFileError(ValueError):
    """The file as a whole is no log that can be read, or is larger than the caps; the text is fit for people."""


@dataclass(frozen=True, slots=True)
class LineError:
    """What is wrong with one line. `line` counts from 1, the header; `column` is "" where it is the whole line."""

    line: int
    column: str
    message: str

    def __str__(self) -> str:
        return f"line {self.line}{f', {self.column}' if self.column else ''}: {self.message}"


@dataclass(frozen=True, slots=True)
class Session:
    """One workout of the log as the body of POST /trainings, and the line of the file that it begins on."""

    first_line: int
    body: TrainingCreate


@dataclass(frozen=True, slots=True)
class ForeignLog:
    """What a file holds: whole sessions in order of time, and what is wrong with the others, in order of lines.

    A session with a wrong line is held back whole: half of it would count for less than was trained, and its
    `source_id` would be taken for ever. So is one beside a line that can be given to no session, with an error at its
    first line that names the other.
    """

    sessions: tuple[Session, ...]
    errors: tuple[LineError, ...]
    error_lines: int
    """Lines that cannot be read."""
    held_back: int
    """Sessions that errors keep out of `sessions`."""

    @property
    def sets(self) -> int:
        """Sets of all sessions."""
        return sum(len(exercise.sets) for exercise in self._exercises())

    @property
    def exercises(self) -> int:
        """Exercises of different name."""
        return len({exercise.name for exercise in self._exercises()})

    @property
    def reps(self) -> int:
        """Repetitions of all sets."""
        return sum(set_.reps for exercise in self._exercises() for set_ in exercise.sets)

    def _exercises(self) -> Iterator[ExerciseBody]:
        return (exercise for session in self.sessions for exercise in session.body.exercises)

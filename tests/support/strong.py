"""A log in the Strong app's form, made for tests."""

import datetime as dt
from pathlib import Path

HEADER = "Date,Workout Name,Duration,Exercise Name,Set Order,Weight,Reps,Distance,Seconds,Notes,Workout Notes,RPE\n"


def strong_file(path: Path, *, sessions: int) -> Path:
    """Write a log of `sessions` sessions, one a day: each 6 sets of 5 repetitions at 100 kg in 2 exercises."""
    first = dt.datetime(2021, 2, 10, 18, 0)  # noqa: DTZ001 - local time, as Strong writes it
    with path.open("w") as file:
        file.write(HEADER)
        for day in range(sessions):
            date = first + dt.timedelta(days=day)
            for exercise in ("Squat (Barbell)", "Bench Press (Barbell)"):
                for order in (1, 2, 3):
                    file.write(f'{date},"Day",1h 5m,"{exercise}",{order},100.0,5,0,0,"","",\n')
    return path

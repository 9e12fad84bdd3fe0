"""Logs in the Strong app's form: made for tests, or a real one that `TRAINING_TEST_STRONG_LOG` names."""

import csv
import datetime as dt
import os
from collections import defaultdict
from decimal import Decimal
from pathlib import Path
from typing import Any

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


def log_file(folder: Path, *, sessions: int = 400) -> Path:
    """The real log, or one whose weights have digits, over a turn of the year, with rows that are no sets."""
    real = os.environ.get("TRAINING_TEST_STRONG_LOG")
    if real:
        return Path(real)
    path = strong_file(folder / "log.csv", sessions=sessions)
    with path.open("a") as file:
        for order, weight, reps in (("1", "62.5", 8), ("2", "1.25", 7), ("D", "0.0001", 1), ("Rest Timer", "0", 0)):
            file.write(f'2023-01-01 09:00:00,"Sunday",45m,"Row ",{order},{weight},{reps},0,0,"","",\n')
        file.write('2023-01-01 09:00:00,"Sunday",45m,"Plank",1,0,0,0,90,"","",\n')
    return path


def totals(path: Path) -> dict[str, Any]:
    """What a reader of the file alone would add up."""
    found: dict[str, Any] = {"months": defaultdict(Decimal), "weeks": defaultdict(Decimal), "names": defaultdict(int)}
    found |= {"sets": 0, "reps": 0, "sessions": set(), "hold": Decimal()}
    with path.open(newline="") as file:
        for row in csv.DictReader(file):
            if row["Set Order"] in ("Rest Timer", "Note"):
                continue
            day = dt.date.fromisoformat(row["Date"][:10])
            load = Decimal(row["Weight"]) * int(float(row["Reps"]))
            year, week, _ = day.isocalendar()
            found["months"][f"{day:%Y-%m}"] += load
            found["weeks"][f"{year}-W{week:02}"] += load
            found["names"][row["Exercise Name"].strip()] += 1
            found["sets"] += 1
            found["reps"] += int(float(row["Reps"]))
            found["sessions"].add((row["Date"], row["Workout Name"]))
            found["hold"] += Decimal(row["Seconds"]) if row["Reps"] == "0" else 0
    return found

"""Words that all analytics share: a day, and a number of things."""

import datetime as dt


def named(day: dt.date) -> str:
    """The day in words: `Monday, 5 January 2026`."""
    return f"{day:%A}, {day.day} {day:%B %Y}"


def counted(number: int, noun: str) -> str:
    """The number with its noun: `1 week`, `3 weeks`. For nouns whose plural takes an s."""
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"

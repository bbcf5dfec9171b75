"""NCRONTAB expressions: six fields, seconds first; five fields start at the minute. All times are UTC.

https://github.com/atifaziz/NCrontab: unlike in Unix cron, day and day of the week must both match.
"""

import calendar
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta

_MONTHS = {name.lower(): number for number, name in enumerate(calendar.month_abbr) if name}
_WEEKDAYS = {"sun": 0, "mon": 1, "tue": 2, "wed": 3, "thu": 4, "fri": 5, "sat": 6}
_FIELDS: tuple[tuple[str, int, int, dict[str, int]], ...] = (
    ("second", 0, 59, {}),
    ("minute", 0, 59, {}),
    ("hour", 0, 23, {}),
    ("day", 1, 31, {}),
    ("month", 1, 12, _MONTHS),
    ("day of the week", 0, 6, _WEEKDAYS),
)
_HORIZON_DAYS = 366 * 40
"""29 February on a given day of the week comes back within 40 years (there is no leap year in 2100)."""


@dataclass(frozen=True, slots=True)
class Crontab:
    seconds: tuple[int, ...]
    minutes: tuple[int, ...]
    hours: tuple[int, ...]
    days: frozenset[int]
    months: frozenset[int]
    weekdays: frozenset[int]

    def next_after(self, moment: datetime) -> datetime:
        """The first occurrence later than `moment`. Raises ValueError if there never is one."""
        start = moment.astimezone(UTC).replace(microsecond=0) + timedelta(seconds=1)
        day, earliest = start.date(), start.time()
        for _ in range(_HORIZON_DAYS):
            if self._falls_on(day) and (found := self._first_time(earliest)) is not None:
                return datetime.combine(day, found, UTC)
            day, earliest = day + timedelta(days=1), time.min
        raise ValueError("the schedule never occurs")

    def _falls_on(self, day: date) -> bool:
        return day.month in self.months and day.day in self.days and day.isoweekday() % 7 in self.weekdays

    def _first_time(self, earliest: time) -> time | None:
        for hour in self.hours:
            if hour < earliest.hour:
                continue
            minute_floor = earliest.minute if hour == earliest.hour else 0
            for minute in self.minutes:
                if minute < minute_floor:
                    continue
                second_floor = earliest.second if (hour, minute) == (earliest.hour, earliest.minute) else 0
                for second in self.seconds:
                    if second >= second_floor:
                        return time(hour, minute, second)
        return None


def parse_crontab(text: str) -> Crontab:
    """Raises ValueError, naming the field that is wrong."""
    parts = text.split()
    if len(parts) == 5:
        parts = ["0", *parts]
    if len(parts) != len(_FIELDS):
        raise ValueError(f"{text!r} has {len(parts)} fields: write second, minute, hour, day, month and day of the week")
    values = [_values(part, *field) for part, field in zip(parts, _FIELDS, strict=True)]
    seconds, minutes, hours, days, months, weekdays = values
    return Crontab(tuple(seconds), tuple(minutes), tuple(hours), frozenset(days), frozenset(months), frozenset(weekdays))


def _values(text: str, field: str, low: int, high: int, names: dict[str, int]) -> list[int]:
    found: set[int] = set()
    for part in text.split(","):
        span, _, step = part.partition("/")
        first, last = _span(span, field, low, high, names, open_end=bool(step))
        if step and (not step.isdecimal() or int(step) < 1):
            raise ValueError(f"{part!r} is no {field}: the step must be a whole number from 1")
        found.update(range(first, last + 1, int(step or 1)))
    return sorted(found)


def _span(text: str, field: str, low: int, high: int, names: dict[str, int], *, open_end: bool) -> tuple[int, int]:
    if text == "*":
        return low, high
    first_text, dash, last_text = text.partition("-")
    first = _value(first_text, field, low, high, names)
    if not dash:
        return first, high if open_end else first
    last = _value(last_text, field, low, high, names)
    if last < first:
        raise ValueError(f"{text!r} is no range of {field}: it ends before it starts")
    return first, last


def _value(text: str, field: str, low: int, high: int, names: dict[str, int]) -> int:
    value = names.get(text[:3].lower()) if text.isalpha() else None
    if value is None and text.isdecimal():
        value = int(text)
    if value is None or not low <= value <= high:
        raise ValueError(f"{text!r} is no {field}: write {low} to {high}")
    return value

"""What became of the mail: read back through the API, per mailbox. Judges nothing."""

import time
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import timedelta

from pydantic import TypeAdapter

from local.demo.api import Api, Json
from local.samples.people import Person

_DURATION = TypeAdapter(timedelta)
"""ISO 8601, as the API writes it."""


@dataclass(frozen=True, slots=True)
class Watched:
    """A mailbox of the demo, and how many items were delivered to it."""

    person: Person
    mailbox_id: str
    delivered: int


@dataclass(frozen=True, slots=True)
class MailboxOutcome:
    """What the runs of a mailbox counted, and the activities that it lists."""

    watched: Watched
    runs: Sequence[Json]
    activities: Mapping[str, Json] = field(default_factory=dict)
    """Whole activities, by id."""

    @property
    def seen(self) -> int:
        return sum(run["seen"] for run in self.runs)

    @property
    def verdicts(self) -> Counter[tuple[str, str]]:
        """Items per verdict and reason."""
        counts: Counter[tuple[str, str]] = Counter()
        for run in self.runs:
            for name, count in run["verdicts"].items():
                verdict, _, reason = name.partition(":")
                counts[verdict, reason] += count
        return counts

    @property
    def promoted(self) -> int:
        return sum(count for (verdict, _), count in self.verdicts.items() if verdict == "promoted")

    @property
    def seconds(self) -> float:
        return sum(seconds_of(run) for run in self.runs)


def seconds_of(run: Json) -> float:
    return _DURATION.validate_python(run["duration"]).total_seconds()


def runs_of(api: Api, watched: Watched) -> MailboxOutcome:
    return MailboxOutcome(watched, list(api.everything(f"/mailboxes/{watched.mailbox_id}/runs")))


def read(api: Api, watched: Watched) -> MailboxOutcome:
    """Runs and whole activities."""
    listed = api.everything(f"/mailboxes/{watched.mailbox_id}/activities", limit=100)
    activities = {entry["activity_id"]: api.get(f"/activities/{entry['activity_id']}") for entry in listed}
    return MailboxOutcome(watched, runs_of(api, watched).runs, activities)


def wait_until_settled(api: Api, watched: Sequence[Watched], progress: Callable[[Watched, int], None], patience: float) -> bool:
    """Waits until the runs of each mailbox have seen as many items as were delivered; False when patience ran out."""
    deadline = time.monotonic() + patience
    waiting = list(watched)
    while waiting and time.monotonic() < deadline:
        for one in tuple(waiting):
            outcome = runs_of(api, one)
            progress(one, outcome.seen)
            if outcome.seen >= one.delivered:
                waiting.remove(one)
        if waiting:
            time.sleep(0.3)
    return not waiting

"""Finds the activity that a sample became. Pure: samples and activities come in as they are."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from local.demo.api import Json
from local.samples import Sample
from shared.domain.choices import Verdict


@dataclass(frozen=True, slots=True)
class Matched:
    """A promoted sample and the activity that its mailboxes list for it; None where they list none."""

    sample: Sample
    activity: Json | None


def match(samples: Sequence[Sample], activities: Mapping[str, Mapping[str, Json]]) -> Sequence[Matched]:
    """`activities` by mailbox address, then by id. Samples that are to be skipped are left out."""
    return [Matched(sample, _find(sample, activities)) for sample in samples if sample.verdict is Verdict.PROMOTED]


def _find(sample: Sample, activities: Mapping[str, Mapping[str, Json]]) -> Json | None:
    for address in sample.to:
        found = [one for one in activities.get(address, {}).values() if _is(sample, one)]
        if len(found) == 1:
            return found[0]
    return None


def _is(sample: Sample, activity: Json) -> bool:
    if activity["message_id"] != sample.message_id or sample.subject not in (None, activity["subject"]):
        return False
    return sample.message_id is not None or has_text(sample, activity)


def has_text(sample: Sample, activity: Json) -> bool:
    return sample.contains is None or collapsed(sample.contains) in collapsed(activity["body_text"])


def collapsed(text: str) -> str:
    return " ".join(text.split())

"""Every judgement of the tables beside this file, through the real rules. The tables are what an administrator may read."""

from collections.abc import Mapping
from typing import Any

import pytest
import yaml

from shared.domain.choices import ParticipationType
from shared.domain.configuration import OwnerRef
from shared.domain.email import Party
from shared.sync.acceptance import ACCEPTANCES, REFUSALS
from tests.unit.sync.judgements.office import TABLES, Outcome, a_case, an_office

CASES: list[dict[str, Any]] = [
    case
    for path in sorted(TABLES.glob("*.yaml"))
    if path.name != "office.yaml"
    for case in yaml.safe_load(path.read_text("utf-8"))
]


@pytest.mark.parametrize("case", CASES, ids=lambda case: case["case"])
def test_the_judgement(case: dict[str, Any]) -> None:
    expected: dict[str, Any] = case["expected"]
    outcome = a_case(case)
    assert _told(outcome, case, expected) == expected


def test_the_tables_hold_at_least_120_judgements_and_no_sentence_twice() -> None:
    sentences = [case["case"] for case in CASES]
    assert len(sentences) >= 120
    assert len(set(sentences)) == len(sentences)
    assert all({"verdict", "reason"} <= set(case["expected"]) for case in CASES)


def test_every_reason_that_judging_can_give_stands_in_the_tables() -> None:
    reasons = {(case["expected"]["verdict"], case["expected"]["reason"]) for case in CASES}
    promoted = {("promoted", reason.value) for reason in ACCEPTANCES}
    assert reasons == promoted | {("skipped", reason.value) for reason in REFUSALS}


def _told(outcome: Outcome, case: Mapping[str, Any], expected: Mapping[str, Any]) -> dict[str, Any]:
    """The outcome in the words of the tables, as far as the case asks."""
    judgement, resolution = outcome.judgement, outcome.resolution
    correlation = judgement.correlation
    told: dict[str, Any] = {
        "verdict": judgement.verdict.value,
        "reason": judgement.reason.value,
        "accepted_by": _name(judgement.accepted_by),
        "queues": list(judgement.queues),
        "votes": {vote.owner.id: vote.reason.value for vote in judgement.votes},
        "method": correlation.method.name.lower(),
        "continues": an_office(case).name_of(correlation.activity_id),
        "tried": {each.method.name.lower(): each.outcome.value for each in correlation.tried},
        "rule": judgement.rule,
        "stored_as": outcome.direction.name.lower(),
        "owner": _name(resolution.owner),
        "sender": next((_party(each) for each in resolution.parties if each.type is ParticipationType.SENDER), None),
        "recipients": [_party(each) for each in resolution.parties if each.type is not ParticipationType.SENDER],
        "ambiguous_sender": resolution.sender_is_ambiguous,
        "new_contact": outcome.contact,
    }
    return {name: told[name] for name in expected}


def _name(owner: OwnerRef | None) -> str | None:
    return owner.id if owner is not None else None


def _party(party: Party) -> str:
    return f"{party.record_kind} {party.record_id}" if party.record_kind else f"unresolved {party.address}"

"""Everything that an administrator can meet has words."""

from importlib import import_module
from pkgutil import walk_packages

import functions
import shared
from shared.domain.choices import CorrelationMethod, IncomingFilteringMethod, OwnerKind, Reason, RegardingSource, Verdict
from shared.domain.configuration import OwnerRef
from shared.domain.eligibility import Ineligible
from shared.domain.errors import SyncError
from shared.domain.ids import ActivityId, OwnerId
from shared.domain.judgement import CorrelationTry, TryOutcome, Vote
from shared.domain.ledger import TodoKind
from shared.domain.words import (
    FILTERS,
    INELIGIBLE,
    METHODS,
    OUTCOMES,
    REASONS,
    REGARDING,
    TODOS,
    VERDICTS,
    cause_of,
    explain,
    told,
    told_try,
)
from shared.stores.key_vault import VaultRefused


def test_every_verdict_reason_and_ineligibility_is_explained() -> None:
    assert set(VERDICTS) == set(Verdict)
    assert set(REASONS) == set(Reason)
    assert set(INELIGIBLE) == set(Ineligible)


def test_every_vote_and_every_way_to_find_a_conversation_is_explained() -> None:
    assert set(OUTCOMES) == set(TryOutcome)
    assert set(METHODS) == set(CorrelationMethod)
    assert set(FILTERS) == set(IncomingFilteringMethod)


def test_what_remains_to_be_done_and_where_a_regarding_comes_from_is_explained() -> None:
    assert set(TODOS) == set(TodoKind)
    assert set(REGARDING) == set(RegardingSource)


def test_no_two_codes_have_the_same_words() -> None:
    for words in (VERDICTS, REASONS, INELIGIBLE, OUTCOMES, METHODS, FILTERS, TODOS, REGARDING):
        assert len(set(words.values())) == len(words)


def test_a_vote_is_told_in_words() -> None:
    vote = Vote(
        OwnerRef(OwnerKind.QUEUE, OwnerId("support")),
        IncomingFilteringMethod.RESPONSES,
        accepts=False,
        reason=Reason.NO_CORRELATION_MATCH,
    )
    assert told(vote) == (
        "Queue support accepts answers to emails that are activities: no. "
        "Whoever it reached accepts only answers to emails that are activities, and it is none."
    )


def test_a_try_to_find_the_conversation_is_told_in_words() -> None:
    attempt = CorrelationTry(CorrelationMethod.TRACKING_TOKEN, TryOutcome.STRANGER, ActivityId("offer"))
    assert told_try(attempt) == (
        "The tracking token in its subject: it leads to an email in which the sender does not take part, so it proves nothing."
    )


def every_error() -> set[type[SyncError]]:
    """Of all that is installed with Sidesync: its modules are imported, so that none can be forgotten."""
    for package in (shared, functions):
        for module in walk_packages(package.__path__, f"{package.__name__}."):
            if not module.name.endswith("__main__"):
                import_module(module.name)
    found, below = {SyncError}, [SyncError]
    while below:
        fresh = [each for each in below.pop().__subclasses__() if each.__module__.startswith(("shared.", "functions."))]
        found.update(fresh)
        below += fresh
    return found


def test_every_error_of_sidesync_has_a_cause_in_words() -> None:
    errors = every_error()
    assert VaultRefused in errors, "they are found wherever they are defined"
    assert {error.code for error in errors if cause_of(error.code).startswith("Error ")} == set()


def test_an_unknown_code_is_shown_as_it_is() -> None:
    assert cause_of("brand_new") == "Error brand_new."


def test_an_explanation_says_what_became_of_a_message_and_why() -> None:
    assert explain(Verdict.SKIPPED, Reason.DRAFT) == (
        "The message was left in the mailbox only. It is a draft that was not sent yet."
    )

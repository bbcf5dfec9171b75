"""Everything that an administrator can meet has words."""

import pytest

from shared.connectors import connect
from shared.connectors.exchange import destination
from shared.connectors.exchange import errors as exchange
from shared.domain import errors
from shared.domain.choices import Reason, Verdict
from shared.domain.eligibility import Ineligible
from shared.domain.words import INELIGIBLE, REASONS, VERDICTS, cause_of, explain


def test_every_verdict_reason_and_ineligibility_is_explained() -> None:
    assert set(VERDICTS) == set(Verdict)
    assert set(REASONS) == set(Reason)
    assert set(INELIGIBLE) == set(Ineligible)


_ENDS = errors.TransientError | errors.MailboxError | errors.ItemError
_WHERE = (errors, connect, destination, exchange)
_ERRORS = {each for module in _WHERE for each in vars(module).values() if isinstance(each, type) and issubclass(each, _ENDS)}


@pytest.mark.parametrize("error", sorted(_ERRORS, key=str))
def test_every_error_that_a_run_can_end_with_has_a_cause(error: type[errors.SyncError]) -> None:
    assert not cause_of(error.code).startswith("Error")


def test_an_unknown_code_is_shown_as_it_is() -> None:
    assert cause_of("brand_new") == "Error brand_new."


def test_an_explanation_says_what_became_of_a_message_and_why() -> None:
    assert explain(Verdict.SKIPPED, Reason.DRAFT) == (
        "The message was left in the mailbox only. It is a draft that was not sent yet."
    )

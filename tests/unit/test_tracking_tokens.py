"""Tracking tokens: read in subjects, and written into them."""

from dataclasses import replace

import pytest

from shared.domain.choices import CorrelationMethod
from shared.domain.ids import ActivityId
from shared.domain.organisation import OrganisationSettings
from shared.domain.tracking_tokens import token_of, tokens_in, with_token

SETTINGS = OrganisationSettings()
WANTED = OrganisationSettings(token_in_subject=True)
CONVERSATION = ActivityId("0b8a7b1e-9f43-5a0d-8a52-5f0f6f2d7c02")


@pytest.mark.parametrize(
    ("subject", "expected"),
    [
        ("Offer SYNC:0001234", ("sync:0001234",)),
        ("sync:1, Sync:2; SYNC:1", ("sync:1", "sync:2")),
        ("OLD-0001234", ("old-0001234",)),
        ("(SYNC:0001234)", ("sync:0001234",)),
        ("SYNC:0001234x", ()),
        ("SYNC: 0001234", ()),
        ("SYNC:", ()),
        ("1 SYNC:1 SYNC:2 SYNC:3 SYNC:4", ("sync:1", "sync:2", "sync:3")),
    ],
)
def test_tokens(subject: str, expected: tuple[str, ...]) -> None:
    assert tokens_in(subject, replace(SETTINGS, former_tracking_prefixes=("OLD-", "S"))) == expected


def test_a_prefix_of_signs_is_taken_literally() -> None:
    settings = OrganisationSettings(tracking_prefix="[#.*")
    assert tokens_in("x [#.*12", settings) == ("[#.*12",)
    assert tokens_in("x [#yy12", settings) == ()


def test_a_token_that_is_written_is_read() -> None:
    subject = with_token("Offer", CONVERSATION, WANTED)

    assert subject.startswith("Offer SYNC:")
    assert tokens_in(subject, WANTED) == (token_of(CONVERSATION, WANTED).lower(),)


def test_a_conversation_always_has_the_same_token_and_another_one_another() -> None:
    other = ActivityId("6f1ad3a4-58c9-5c55-9d2c-0a4f9e7a1f01")

    assert token_of(CONVERSATION, WANTED) == token_of(CONVERSATION, WANTED) != token_of(other, WANTED)


@pytest.mark.parametrize("digits", [4, 7, 12])
def test_a_token_has_the_digits_of_the_settings(digits: int) -> None:
    token = token_of(CONVERSATION, replace(WANTED, tracking_digits=digits))

    assert len(token) == len("SYNC:") + digits


def test_an_answer_keeps_the_token_that_its_subject_has() -> None:
    assert with_token("Re: Offer SYNC:0001234", CONVERSATION, WANTED) == "Re: Offer SYNC:0001234"


@pytest.mark.parametrize(
    "settings",
    [SETTINGS, replace(WANTED, correlation_methods=(CorrelationMethod.IN_REPLY_TO,)), replace(WANTED, tracking_prefix=" ")],
)
def test_without_the_setting_or_the_method_the_subject_stays(settings: OrganisationSettings) -> None:
    assert with_token("Offer", CONVERSATION, settings) == "Offer"


def test_a_long_subject_is_cut_before_the_token() -> None:
    subject = with_token("word " * 100, CONVERSATION, replace(WANTED, longest_subject=40))

    assert len(subject) <= 40
    assert subject.endswith(f" {token_of(CONVERSATION, WANTED)}")


def test_an_empty_subject_is_the_token_alone() -> None:
    assert with_token("", CONVERSATION, WANTED) == token_of(CONVERSATION, WANTED)


def test_an_answer_that_became_too_long_is_cut_before_the_token_that_it_has() -> None:
    settings = replace(WANTED, longest_subject=40)
    sent = with_token("word " * 100, CONVERSATION, settings)
    answer = with_token(f"Re: {sent}", CONVERSATION, settings)

    assert len(answer) <= 40
    assert answer.startswith("Re: word")
    assert answer.endswith(f" {token_of(CONVERSATION, WANTED)}")
    assert tokens_in(answer, settings) == tokens_in(sent, settings)


def test_the_token_of_others_is_kept_too() -> None:
    cut = with_token(f"Offer sync:0001234 {'word ' * 100}", CONVERSATION, replace(WANTED, longest_subject=40))

    assert (len(cut) <= 40, tokens_in(cut, WANTED)) == (True, ("sync:0001234",))

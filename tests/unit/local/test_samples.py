"""The sample mail is always the same, of every kind, and says what is expected of it."""

from collections import Counter
from datetime import UTC, datetime

from local.samples import START_DATE_AGO, Sample, Shows, sample_mail
from local.samples.people import ANNA, PEOPLE, READY
from shared.domain.choices import Reason, Verdict

NOW = datetime(2026, 11, 22, 18, 0, 0, 123456, tzinfo=UTC)


def _samples() -> list[Sample]:
    return list(sample_mail(NOW, threads=120, large_bytes=1000))


def test_the_same_moment_gives_the_same_bytes() -> None:
    assert [sample.raw for sample in _samples()] == [sample.raw for sample in _samples()]


def test_there_are_several_hundred_messages_of_every_kind() -> None:
    samples = _samples()
    assert len(samples) > 170
    assert {sample.shows for sample in samples} == set(Shows)


def test_every_sample_has_a_name_of_its_own_and_goes_to_people_who_exist() -> None:
    samples = _samples()
    assert [name for name, count in Counter(sample.name for sample in samples).items() if count > 1] == []
    assert {address for sample in samples for address in sample.to} == {person.address for person in PEOPLE}
    assert len(READY) == 5


def test_a_reply_answers_a_message_that_came_before_it() -> None:
    earlier: set[str | None] = set()
    for sample in _samples():
        assert sample.in_reply_to is None or sample.in_reply_to in earlier
        earlier.add(sample.message_id)


def test_what_is_expected_follows_from_what_is_sent() -> None:
    for sample in _samples():
        is_old = sample.received is not None and sample.received < NOW - START_DATE_AGO
        assert is_old == (sample.reason is Reason.BEFORE_START_DATE)
        assert sample.internal == (sample.reason is Reason.INTERNAL_SENDER)
        claims = sample.sender == ANNA.address and not sample.internal
        assert claims == (sample.reason is Reason.SENDER_CLAIMS_OWN_ADDRESS)
        assert (sample.verdict is Verdict.SKIPPED) == (sample.shows in _SKIPPED)


_SKIPPED = {Shows.INTERNAL, Shows.MEETING, Shows.OLD, Shows.PLACED}

"""Consents: one for each mailbox, changed only by who has seen its present state; requests that are answered once."""

from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from shared.domain.choices import OAuthProvider
from shared.domain.configuration import SecretRef
from shared.domain.consents import Consent, ConsentRequest, ConsentTerms
from shared.domain.errors import AlreadyExists, Changed, InvalidRecord
from shared.domain.ids import MailboxId
from shared.ports import Stores
from tests.builders import MONDAY as NOW
from tests.contracts.records import an_id

ANNA = MailboxId(an_id("anna"))
TERMS = ConsentTerms(OAuthProvider.GOOGLE, None, None, "client", ("https://mail.google.com/",), "imap.gmail.com")
MINUTE = timedelta(minutes=1)


def a_consent(name: str = "anna", **changes: Any) -> Consent:
    consent = Consent(MailboxId(an_id(name)), TERMS, SecretRef("consent", "1"), NOW, "ada", NOW)
    return replace(consent, **changes)


def a_request(key: str = "k1", **changes: Any) -> ConsentRequest:
    request = ConsentRequest(key, ANNA, TERMS, "https://app.example/api/consent", "salt", "ada", NOW + MINUTE)
    return replace(request, **changes)


@pytest.mark.parametrize(
    "consent",
    [
        a_consent(),
        a_consent(expires_on=NOW + MINUTE, ended_on=NOW, renewing_until=NOW + MINUTE),
        a_consent(
            terms=ConsentTerms(OAuthProvider.MICROSOFT, "login.example:8443", "contoso.example", "c", ("a", "b"), "pop.example")
        ),
    ],
)
def test_a_consent_reads_as_it_was_written(stores: Stores, consent: Consent) -> None:
    written = stores.consents.put(consent, None)
    assert stores.consents.get(ANNA) == written
    assert written.record == consent


def test_a_mailbox_has_one_consent_at_most(stores: Stores) -> None:
    stores.consents.put(a_consent(), None)
    with pytest.raises(AlreadyExists):
        stores.consents.put(a_consent(), None)
    assert stores.consents.get(MailboxId(an_id("ben"))) is None
    assert stores.consents.get(MailboxId("no/key")) is None


def test_of_two_who_renew_a_consent_the_second_is_told(stores: Stores) -> None:
    seen = stores.consents.put(a_consent(), None)
    renewed = stores.consents.put(a_consent(renewed_on=NOW + MINUTE), seen.etag)
    with pytest.raises(Changed):
        stores.consents.put(a_consent(renewed_on=NOW + 2 * MINUTE), seen.etag)
    assert stores.consents.get(ANNA) == renewed


def test_a_consent_that_was_deleted_is_not_renewed(stores: Stores) -> None:
    seen = stores.consents.put(a_consent(), None)
    for _ in range(2):
        stores.consents.delete(ANNA)
        assert stores.consents.get(ANNA) is None
    with pytest.raises(Changed):
        stores.consents.put(a_consent(), seen.etag)
    stores.consents.delete(MailboxId("no/key"))


def test_consents_are_listed_in_parts_without_the_requests(stores: Stores) -> None:
    names = [f"user-{number}" for number in range(7)]
    for name in names:
        stores.consents.put(a_consent(name), None)
    stores.consents.ask(a_request())
    found, continuation = [], None
    while True:
        part = stores.consents.list(continuation, 3)
        assert len(part.items) <= 3
        found += [stored.record.mailbox_id for stored in part.items]
        if (continuation := part.continuation) is None:
            break
    assert sorted(found) == sorted(an_id(name) for name in names)


def test_an_id_that_cannot_be_a_key_is_refused(stores: Stores) -> None:
    with pytest.raises(InvalidRecord):
        stores.consents.put(a_consent(mailbox_id=MailboxId("a/b")), None)


def test_a_request_is_answered_once(stores: Stores) -> None:
    stores.consents.ask(a_request())
    with pytest.raises(AlreadyExists):
        stores.consents.ask(a_request())
    assert stores.consents.answered("k1") == a_request()
    assert stores.consents.answered("k1") is None
    assert stores.consents.answered("no/key") is None


def test_of_many_answers_at_once_one_counts(stores: Stores) -> None:
    for number in range(4):
        stores.consents.ask(a_request(f"k{number}"))
    with ThreadPoolExecutor(8) as threads:
        answers = list(threads.map(stores.consents.answered, [f"k{number}" for number in range(4)] * 8))
    assert sorted(each.key for each in answers if each is not None) == ["k0", "k1", "k2", "k3"]


def test_requests_that_nobody_answered_go_when_they_expired(stores: Stores) -> None:
    stores.consents.put(a_consent(), None)
    stores.consents.ask(a_request("old", expires_on=NOW - MINUTE))
    stores.consents.ask(a_request("new"))
    assert sum(stores.consents.remove_unanswered(NOW)) == 1
    assert stores.consents.answered("old") is None
    assert stores.consents.answered("new") is not None
    assert stores.consents.get(ANNA) is not None

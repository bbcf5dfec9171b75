"""One bad mailbox, or one bad password, is no trouble for the others."""

import time
from collections.abc import Iterator
from datetime import timedelta

import pytest

from local.mailserver import MailServer
from shared.administration import Administration, Rules
from shared.domain.audit import Caller
from shared.domain.choices import Workload, WorkloadStatus
from shared.domain.configuration import WorkloadSchedule
from shared.domain.email import ListOf
from shared.domain.operations import RunOutcome
from tests.e2e.organisation import PASSWORD, USERNAME, Organisation, an_organisation

NAMES = ("anna", "bruno", "chloe", "david", "emil")


@pytest.fixture
def server() -> Iterator[MailServer]:
    with MailServer() as running:
        running.add_account(USERNAME, PASSWORD, impersonation=True)
        for name in NAMES:
            address = f"{name}@contoso.example"
            running.add_mailbox(address)
            for number in range(3):
                running.deliver(_mail(name, number), [address])
        yield running


def _mail(name: str, number: int) -> bytes:
    return f"From: a@northwind.example\nSubject: {number}\nMessage-ID: <{name}.{number}@northwind.example>\n\ntext\n".encode()


def _listed(organisation: Organisation, name: str) -> int:
    return len(organisation.stores.timeline.list(ListOf.MAILBOX, organisation.mailboxes[name].id).items)


def _schedule(organisation: Organisation, name: str) -> WorkloadSchedule:
    stored = organisation.stores.mailboxes.get(organisation.mailboxes[name].id)
    assert stored is not None
    return stored.schedule[Workload.INCOMING]


def test_a_mailbox_whose_server_answers_nonsense_does_not_delay_the_others(server: MailServer) -> None:
    server.faults.add("nonsense_reply", "bruno@contoso.example", text="<html>Welcome to the hotel's wireless network</html>")
    with an_organisation(server.ews_url) as organisation:
        organisation.add_profile()
        for name in NAMES:
            organisation.add_mailbox(name)
        started = time.monotonic()
        organisation.enumeration.enumerate_all()
        outcomes = organisation.work_off()

        assert time.monotonic() - started < 60
        assert sorted(outcomes) == sorted([RunOutcome.COMPLETED] * 4 + [RunOutcome.FAILED])
        assert {name: _listed(organisation, name) for name in NAMES} == {**dict.fromkeys(NAMES, 3), "bruno": 0}
        failed = _schedule(organisation, "bruno")
        assert (failed.status, failed.last_error, failed.failures) == (WorkloadStatus.FAILURE, "no_mail_server", 1)
        assert failed.due is not None

        server.faults.clear()
        organisation.clock.advance(timedelta(hours=1))
        organisation.enumeration.enumerate_all()
        organisation.work_off()
        assert {name: _listed(organisation, name) for name in NAMES} == dict.fromkeys(NAMES, 3)


def test_a_wrong_shared_password_is_tried_once_not_once_per_mailbox(server: MailServer) -> None:
    with an_organisation(server.ews_url) as organisation:
        profile = organisation.add_profile(password="not the password")
        for name in NAMES:
            organisation.add_mailbox(name)
        for _minute in range(5):
            organisation.enumeration.enumerate_all()
            organisation.work_off()
            organisation.clock.advance(timedelta(minutes=1))

        assert [asked.status for asked in server.requests.of(head="ews")] == [401]
        alerts = organisation.stores.alerts.list().items
        assert [(alert.about, alert.code) for alert in alerts] == [(f"profile:{profile.id}", "authentication_failed")]

        administration = Administration(organisation.stores, organisation.clock, Rules(allow_local_servers=True))
        administration.profiles.put(profile, Caller("ada@contoso.example"), {"credentials/secret": PASSWORD})
        organisation.enumeration.enumerate_all()
        organisation.work_off()
        assert {name: _listed(organisation, name) for name in NAMES} == dict.fromkeys(NAMES, 3)

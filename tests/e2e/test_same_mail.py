"""The same mail is the same activity, whichever way it comes: Exchange, POP3 or IMAP."""

import re
from collections.abc import Mapping
from contextlib import ExitStack
from dataclasses import asdict, dataclass, replace
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from pathlib import Path
from typing import Any

import pytest

from local.mailserver import MailServer
from shared.connectors.connect import Connect
from shared.domain.choices import CredentialSource, IncomingFilteringMethod, ServerType, Workload
from shared.domain.configuration import Credentials, EmailServerProfile, Owner, SecretRef, WorkloadSchedule
from shared.domain.email import IncomingMessage, ListOf
from shared.domain.folders import INBOX
from shared.domain.ids import ProfileId
from shared.domain.operations import RunOutcome
from shared.domain.organisation import OrganisationSettings
from shared.stores.memory import memory_stores
from shared.sync.attachments import spool
from shared.sync.incoming import IncomingSync
from shared.sync.inline import InlineExecutor
from shared.sync.judging import judging_of
from shared.sync.promotion import promote
from tests.builders import a_mailbox, a_profile, a_sync_of, with_organisation
from tests.contracts.exchange_mailboxes import PASSWORD, SERVICE, KnownSecrets

CORPUS = Path(__file__).parents[3] / "shared" / "mail-corpus"
FILES = sorted(path for path in CORPUS.rglob("*.eml") if path.is_file()) if CORPUS.is_dir() else []
ANNA = "anna@contoso.example"
NOON = datetime(2026, 11, 23, 12, tzinfo=UTC)

pytestmark = pytest.mark.skipif(not FILES, reason="the corpus is not beside the repository")

NO_ADDRESS = "who is named has no address: what stands there instead is taken apart differently"
CHARSET = "the text is not in the charset that it names: Exchange puts question marks, and we read it as what it is"
DIFFERENT: Mapping[str, str] = {
    "mail/example13.eml": NO_ADDRESS,
    "mail/mix_caps_content_type.eml": NO_ADDRESS,
    "mail-parser/000-3.eml": NO_ADDRESS,
    "mail-parser/009-3.eml": NO_ADDRESS,
    "mail-parser/033.eml": CHARSET,
}
"""Files of which Exchange tells something else than their MIME form does, with the cause."""

ONLY_EXCHANGE = frozenset({"conversation_index"})
"""Exchange gives every message one; elsewhere a message has what its sender's program wrote."""
OF_A_DATE = frozenset({"sent", "fingerprint", "id"})
"""What differs of a message without Date: to Exchange it was sent when it was received. The id only without a Message-ID."""


def profiles(server: MailServer) -> Mapping[str, EmailServerProfile]:
    mailbox = Credentials(username=ANNA, secret=SecretRef(PASSWORD, "1"))
    internet = {
        "incoming_location": "127.0.0.1",
        "incoming_use_tls": False,
        "credential_source": CredentialSource.PROFILE,
        "credentials": mailbox,
    }
    return {
        "exchange": a_profile(
            incoming_location=server.ews_url, credentials=Credentials(username=SERVICE, secret=SecretRef(PASSWORD, "1"))
        ),
        "pop3": a_profile(server_type=ServerType.POP3_SMTP, incoming_port=server.pop3_port, **internet),
        "imap": a_profile(server_type=ServerType.IMAP_SMTP, incoming_port=server.imap_port, **internet),
    }


def in_transit(raw: bytes, received: datetime) -> bytes:
    """As a server puts it into a mailbox: with the ends of lines and the trace that SMTP gives it (RFC 5321 sections 2.3.8 and
    4.4)."""
    trace = f"Received: from client.example by mail.contoso.example; {format_datetime(received)}\r\n".encode()
    lines = re.sub(rb"\r?\n", b"\r\n", raw)
    return trace + lines + (b"" if lines.endswith(b"\r\n") else b"\r\n")


@dataclass(frozen=True)
class Told:
    """What each source makes of a file."""

    by_source: Mapping[str, Mapping[str, Any]]

    @property
    def differences(self) -> frozenset[str]:
        """Names of fields."""
        first, *others = self.by_source.values()
        return frozenset(name for name in first if any(other[name] != first[name] for other in others)) - ONLY_EXCHANGE

    @property
    def has_date(self) -> bool:
        return self.by_source["imap"]["sent"] is not None


@pytest.fixture(scope="module")
def told() -> Mapping[str, Told]:
    connect = Connect(KnownSecrets(), allow_local_servers=True)
    with MailServer() as server:
        server.add_account(SERVICE, PASSWORD, impersonation=True)
        server.add_mailbox(ANNA)
        server.add_account(ANNA, PASSWORD, mailbox=ANNA)
        for place, path in enumerate(FILES):
            received = NOON + timedelta(seconds=place)
            server.deliver(in_transit(path.read_bytes(), received), [ANNA], received, internal=None)
        found = {name: emails_of(connect, profile) for name, profile in profiles(server).items()}
    connect.close()
    return {
        str(path.relative_to(CORPUS)): Told({name: emails[place] for name, emails in found.items()})
        for place, path in enumerate(FILES)
    }


def emails_of(connect: Connect, profile: EmailServerProfile) -> list[Mapping[str, Any]]:
    """What would be stored of every file, in their order."""
    mailbox = a_mailbox("anna")
    stores = with_organisation(memory_stores(), mailbox, profile=profile)
    judging = judging_of(stores, mailbox, OrganisationSettings(), {}, InlineExecutor())
    emails: list[Mapping[str, Any]] = []
    with connect(profile, mailbox) as mail:
        refs = list(reversed(mail.latest(INBOX, len(FILES))))
        for _, message in mail.fetch(refs):
            assert isinstance(message, IncomingMessage), message
            (judged,) = judging.judge([message])
            with ExitStack() as files:
                hashed = [each.hashed for each in spool(message.attachments, files)]
            email = promote(message, hashed, judged, NOON).email
            content = asdict(email.content)
            told = content | {
                "id": email.activity.id,
                "fingerprint": email.activity.fingerprint,
                "item_class": message.item_class,
            }
            emails.append(told | {"attachments": [(each["name"], each["sha256"]) for each in content["attachments"]]})
    assert len(emails) == len(FILES)
    return emails


def test_every_file_is_the_same_email_through_exchange_pop3_and_imap(told: Mapping[str, Told]) -> None:
    different = {name for name, each in told.items() if each.differences - (frozenset() if each.has_date else OF_A_DATE)}
    assert different == set(DIFFERENT)


def test_pop3_and_imap_never_differ(told: Mapping[str, Told]) -> None:
    assert [name for name, each in told.items() if each.by_source["pop3"] != each.by_source["imap"]] == []


def test_without_a_date_a_message_is_identified_by_its_message_id(told: Mapping[str, Told]) -> None:
    dateless = [each for each in told.values() if not each.has_date and each.by_source["imap"]["message_id"]]
    assert dateless
    assert [each for each in dateless if "id" in each.differences] == []


def test_what_comes_to_one_mailbox_by_exchange_and_to_another_by_pop3_and_imap_is_one_activity() -> None:
    """Three people, three servers, one store."""
    raw = b"Reply-To: list@fabrikam.example\n" + next(path for path in FILES if path.name == "mime-mixed.eml").read_bytes()
    stores = memory_stores()
    connect = Connect(KnownSecrets(), allow_local_servers=True)
    with MailServer() as server:
        server.add_account(SERVICE, PASSWORD, impersonation=True)
        for place, (name, profile) in enumerate(profiles(server).items()):
            address = f"{name}@contoso.example"
            server.add_mailbox(address)
            server.add_account(address, PASSWORD, mailbox=address)
            received = NOON + timedelta(minutes=place)
            server.deliver(in_transit(raw, received), [address], received, internal=None)
            own = Credentials(username=address, secret=SecretRef(PASSWORD, "1"))
            credentials = profile.credentials if name == "exchange" else own
            profile_id = ProfileId(name)
            stores.profiles.create(replace(profile, id=profile_id, credentials=credentials))
            mailbox = a_mailbox(name, profile_id=profile_id, process_email_received_after=NOON - timedelta(days=1))
            assert mailbox.owner is not None
            accepting = IncomingFilteringMethod.ALL
            stores.owners.create(Owner(mailbox.owner.id, mailbox.owner.kind, name, mailbox.address, accepting))
            stores.mailboxes.create(mailbox, {Workload.INCOMING: WorkloadSchedule(due=NOON)})
            outcome = IncomingSync(stores, connect, lambda: NOON + timedelta(hours=1)).run(a_sync_of(mailbox, message_id=name))
            assert outcome is RunOutcome.COMPLETED
    connect.close()
    listed = {
        name: [entry.activity_id for entry in stores.timeline.list(ListOf.MAILBOX, a_mailbox(name).id).items]
        for name in ("exchange", "pop3", "imap")
    }
    (activity_id,) = listed["exchange"]
    assert listed == {name: [activity_id] for name in listed}
    (stored,) = stores.activities.whole([activity_id]).values()
    assert not stored.activity.record.has_variants
    assert [each.address for each in stored.content.reply_to] == ["list@fabrikam.example"]
    assert len(stores.activities.sightings(activity_id)) == 3

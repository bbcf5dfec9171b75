"""What measurements run on: Azurite, the mail server as a process of its own, and Sidesync built over both."""

import base64
import secrets
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from urllib.parse import urlsplit

from local.mailserver.remote import MailServerControl
from local.processes import Child
from shared.domain.choices import IncomingFilteringMethod, ServerType, Workload
from shared.domain.configuration import Credentials, EmailServerProfile, Mailbox, WorkloadSchedule
from shared.ports import Stores
from tests.bench.mail import messages
from tests.builders import a_mailbox, a_profile, an_owner

ROOT = Path(__file__).parents[2]
LOGS = ROOT / "build" / "logs"
USERNAME = "svc-sidesync"
PASSWORD = "sample password"
LONG_AGO = datetime(2000, 1, 1, tzinfo=UTC)
SECRETS_KEY = base64.urlsafe_b64encode(secrets.token_bytes(32)).decode()


@dataclass(frozen=True, slots=True)
class RunningMailServer:
    ews_url: str
    control: MailServerControl
    smtp_port: int
    pid: int

    def add_mailbox(self, name: str, count: int, size: int) -> str:
        """A mailbox with `count` messages of about `size` bytes; returns its address."""
        address = f"{name}@contoso.example"
        self.control.add_mailbox(address)
        for raw, received in messages(count, size, address, datetime.now(UTC)):
            self.control.deliver(raw, [address], received)
        return address


@contextmanager
def a_mail_server() -> Iterator[RunningMailServer]:
    """With a service account that may impersonate everybody."""
    child = Child("the mail server", (sys.executable, "-m", "local.mailserver"), LOGS / "bench-mailserver.log")
    with child, MailServerControl(str(child.greeting["control_url"])) as control:
        control.add_account(USERNAME, PASSWORD, impersonation=True)
        smtp_port = int(str(child.greeting["smtp_port"]))
        yield RunningMailServer(str(child.greeting["ews_url"]), control, smtp_port, child.pid)


@contextmanager
def a_replaying_proxy(url: str) -> Iterator[str]:
    """The same URL at a proxy, a process of its own, that answers from memory what was answered once."""
    command = (sys.executable, "-m", "tests.bench.wire", "--upstream", urlsplit(url).netloc, "--replay")
    with Child("the replaying proxy", command, LOGS / "bench-wire.log") as child:
        yield urlsplit(url)._replace(netloc=f"127.0.0.1:{child.greeting['port']}").geturl()


def a_bench_profile(stores: Stores, ews_url: str) -> EmailServerProfile:
    secret = stores.secrets.set("profile-contoso", PASSWORD)
    credentials = Credentials(username=USERNAME, secret=secret)
    return a_profile(incoming_location=ews_url, credentials=credentials, process_emails_received_after=LONG_AGO)


def an_internet_profile(stores: Stores, server_type: ServerType, port: int, password: str) -> EmailServerProfile:
    """POP3 or IMAP on this machine, in the clear; whoever has a mailbox signs in by its address."""
    return a_profile(
        server_type=server_type,
        incoming_location="127.0.0.1",
        incoming_port=port,
        incoming_use_tls=False,
        credentials=Credentials(secret=stores.secrets.set("profile-contoso", password)),
        process_emails_received_after=LONG_AGO,
    )


def configure(
    stores: Stores, ews_url: str, names: Sequence[str], accepting: IncomingFilteringMethod = IncomingFilteringMethod.ALL
) -> Sequence[Mailbox]:
    """A profile, users whose filter is `accepting`, and their mailboxes, all due."""
    return with_mailboxes(stores, a_bench_profile(stores, ews_url), names, accepting)


def with_mailboxes(
    stores: Stores,
    profile: EmailServerProfile,
    names: Sequence[str],
    accepting: IncomingFilteringMethod = IncomingFilteringMethod.ALL,
) -> Sequence[Mailbox]:
    """As `configure`, of any profile."""
    stores.profiles.create(profile)
    mailboxes = []
    for name in names:
        stores.owners.create(an_owner(name, filtering_method=accepting))
        mailbox = a_mailbox(name)
        stores.mailboxes.create(mailbox, {Workload.INCOMING: WorkloadSchedule(due=datetime.now(UTC))})
        mailboxes.append(mailbox)
    return mailboxes

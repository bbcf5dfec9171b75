"""Sending 1,000 emails of 20 KB that wait in storage: by SMTP against a loop over smtplib on one connection, by EWS against a
loop over exchangelib; the same emails, server and machine, in turns.

The loops have their emails in memory, the text beside the HTML too, and remember nothing of what they sent. Sidesync makes the
text of the HTML, and runs as it does in a worker: its queue message, its intents, receipts and lists in storage, its threads:
most of what an email costs here is the emulator's time for that. What it costs in requests is counted on the wire, in a run of
its own.
"""

import os
import smtplib
import statistics
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from email.message import EmailMessage
from functools import partial
from itertools import count
from uuid import uuid4

from exchangelib import HTMLBody, Message

from local.azurite import Azurite
from local.mailserver.faults import FaultKind
from shared.connectors.connect import Connect
from shared.domain.choices import EmailDeliveryMethod, EmailStatus, ServerType, Workload
from shared.domain.configuration import Credentials, EmailServerProfile, WorkloadSchedule
from shared.messages import SyncMailbox, SyncReason
from shared.ports import Stores
from shared.stores.azure import StorageConnection, azure_stores, create_missing
from shared.sync.budgets import RunBudget
from shared.sync.outgoing import OutgoingSync
from tests.bench.figures import Figures
from tests.bench.machine import (
    PASSWORD,
    SECRETS_KEY,
    USERNAME,
    RunningMailServer,
    a_bench_profile,
    a_mail_server,
)
from tests.bench.plain import PlainProgram
from tests.bench.polls import storage_through_wires
from tests.bench.wire import Wire, through, wire_to
from tests.bench.written import Written, hand_over, written
from tests.builders import a_mailbox, a_profile, an_owner
from tests.tap import tap_on

EMAILS = int(os.environ.get("BENCH_EMAILS", "1000"))
SIZE = 20_000
"""Bytes of an email as it is handed to the server: HTML and text over SMTP, the one body that EWS takes."""
ROUNDS = 3
WARM_UP = 50
COUNTED = 100
DISTANT = 200
_LATENCY = 0.02
"""Seconds. What is far away answers later than that."""
ANNA, BERT = "anna@contoso.example", "bert@contoso.example"

type Profile = Callable[[Stores], EmailServerProfile]
type Loop = Callable[[Sequence[Written]], None]
type Emails = Callable[[int], Sequence[Written]]

_batches = count(1)


def measure() -> Figures:
    with ExitStack() as running:
        azurite = running.enter_context(Azurite())
        server = running.enter_context(a_mail_server())
        for address in (ANNA, BERT):
            server.control.add_mailbox(address, password=PASSWORD)
        storing = running.enter_context(ThreadPoolExecutor(16, thread_name_prefix="storing"))
        sidesync = Sidesync(azurite.connection_string, storing)
        numbers: dict[str, float] = {}
        notes: list[str] = []
        for name, profile, loop, written_for in (
            ("smtp", _by_smtp(server.smtp_port), _over_smtplib(server), _of_two_bodies),
            ("ews", _by_ews(server.ews_url), _over_exchangelib(server), _of_one_body),
        ):
            found = _compare(name, sidesync, profile, loop, written_for)
            numbers |= found.numbers
            notes += found.notes
        numbers["ews_sending_distant_ratio"] = _at_a_distance(server, sidesync)
        numbers |= _requests(azurite, server, storing)
        notes.append(f"distant: {DISTANT} emails by EWS, and each answer of the server takes {_LATENCY * 1000:.0f} ms more")
        return Figures(numbers, notes)


# ---- the loops


def _over_smtplib(server: RunningMailServer) -> Loop:
    def send(emails: Sequence[Written]) -> None:
        with smtplib.SMTP("127.0.0.1", server.smtp_port, local_hostname="contoso.example") as smtp:
            smtp.login(ANNA, PASSWORD)
            for email in emails:
                assert smtp.send_message(_message(email)) == {}

    return send


def _message(email: Written) -> EmailMessage:
    message = EmailMessage()
    message["From"], message["To"], message["Subject"] = email.sender, email.to, email.subject
    message["Date"], message["Message-ID"] = datetime.now(UTC), f"<{email.message_id}>"
    message.set_content(email.text)
    message.add_alternative(email.html, subtype="html")
    return message


def _over_exchangelib(server: RunningMailServer) -> Loop:
    def send(emails: Sequence[Written]) -> None:
        account = PlainProgram(server.ews_url, USERNAME, PASSWORD, "").account(ANNA)
        for email in emails:
            body, sent = HTMLBody(email.html), account.sent
            Message(account=account, folder=sent, subject=email.subject, body=body, to_recipients=[email.to]).send_and_save()

    return send


# ---- Sidesync


def _by_smtp(port: int) -> Profile:
    def profile(stores: Stores) -> EmailServerProfile:
        return a_profile(
            server_type=ServerType.IMAP_SMTP,
            incoming_location="127.0.0.1",
            credentials=Credentials(username=ANNA, secret=stores.secrets.set("profile-contoso", PASSWORD)),
            use_same_settings_for_outgoing=False,
            outgoing_location="127.0.0.1",
            outgoing_port=port,
            outgoing_use_tls=False,
        )

    return profile


def _by_ews(url: str) -> Profile:
    return lambda stores: a_bench_profile(stores, url)


@dataclass(slots=True)
class Sidesync:
    """Each time in an organisation of its own."""

    connection_string: str
    storing: ThreadPoolExecutor

    @contextmanager
    def about_to_send(self, profile: Profile, emails: Sequence[Written]) -> Iterator[Callable[[], None]]:
        """The emails wait in storage; what is yielded sends them."""
        prefix = f"Sending{next(_batches)}"
        account, now = StorageConnection(self.connection_string), datetime.now(UTC)
        create_missing(account, prefix=prefix)
        stores = azure_stores(account, secrets_key=SECRETS_KEY, prefix=prefix)
        stores.profiles.create(profile(stores))
        stores.owners.create(an_owner("anna"))
        mailbox = a_mailbox("anna", outgoing_method=EmailDeliveryMethod.SERVER_SIDE)
        stores.mailboxes.create(mailbox, {Workload.OUTGOING: WorkloadSchedule(due=now)})
        hand_over(stores, mailbox, emails, now, self.storing)
        connect = Connect(stores.secrets, allow_local_servers=True)
        budget = RunBudget(time=timedelta(minutes=10))
        sync = OutgoingSync(stores, connect.outgoing, lambda: datetime.now(UTC), budget, executor=self.storing)

        def send() -> None:
            sync.run(SyncMailbox(uuid4().hex, mailbox.id, Workload.OUTGOING, SyncReason.REQUESTED))

        yield send
        connect.close()
        statuses = [row.record.status for row in stores.activities.find([each.activity_id for each in emails]).values()]
        assert statuses == [EmailStatus.SENT] * len(emails), f"{statuses.count(EmailStatus.SENT)} of {len(emails)} were sent"
        assert stores.outbox.next_due(mailbox.id) is None


# ---- measuring


def _compare(name: str, sidesync: Sidesync, profile: Profile, loop: Loop, written_for: Emails) -> Figures:
    loop(written_for(WARM_UP))
    with sidesync.about_to_send(profile, written_for(WARM_UP)) as send:
        send()
    theirs, ours, cpu = [], [], []
    for _ in range(ROUNDS):
        emails = written_for(EMAILS)
        theirs.append(_timed(partial(loop, emails)))
        with sidesync.about_to_send(profile, written_for(EMAILS)) as send:
            before = time.process_time()
            ours.append(_timed(send))
            cpu.append(time.process_time() - before)
    one, other = statistics.median(theirs), statistics.median(ours)
    return Figures(
        {
            f"{name}_sending_ratio": round(one / other, 2),
            f"{name}_sending_emails_per_second": round(EMAILS / other, 1),
            f"{name}_sending_plain_emails_per_second": round(EMAILS / one, 1),
            f"{name}_sending_cpu_ms_per_email": round(statistics.median(cpu) / EMAILS * 1000, 2),
        },
        (
            f"{name}: {EMAILS} emails of {SIZE // 1000} KB, seconds of each round:"
            f" plain {_listed(theirs)}; Sidesync {_listed(ours)}",
        ),
    )


def _at_a_distance(server: RunningMailServer, sidesync: Sidesync) -> float:
    """The ratio where a request takes the time that it takes over a network, which the machine does not spend on anything."""
    loop, profile, emails = _over_exchangelib(server), _by_ews(server.ews_url), _of_one_body(DISTANT)
    with sidesync.about_to_send(profile, _of_one_body(DISTANT)) as send:
        slow = server.control.faults.add(FaultKind.SLOW_REPLY, seconds=_LATENCY)
        ours = _timed(send)
        theirs = _timed(lambda: loop(emails))
        server.control.faults.clear(slow)
    return round(theirs / ours, 2)


def _requests(azurite: Azurite, server: RunningMailServer, storing: ThreadPoolExecutor) -> dict[str, float]:
    """Of each email: requests to storage, and to the mail server or, with SMTP, times that it is waited for."""
    with storage_through_wires(azurite) as (connection_string, wires), ExitStack() as running:
        sidesync = Sidesync(connection_string, storing)
        tap = running.enter_context(tap_on("127.0.0.1", server.smtp_port))
        ews = running.enter_context(wire_to(server.ews_url))
        by_smtp = _counted(sidesync, _by_smtp(tap.port), wires, tap.reset)
        numbers = {"smtp_sending_storage_requests": by_smtp, "smtp_sending_round_trips": tap.round_trips / COUNTED}
        by_ews = _counted(sidesync, _by_ews(through(server.ews_url, ews)), wires, ews.reset)
        numbers |= {"ews_sending_storage_requests": by_ews, "ews_sending_server_requests": len(ews.requests) / COUNTED}
    return {name: round(value, 2) for name, value in numbers.items()}


def _counted(sidesync: Sidesync, profile: Profile, wires: Sequence[Wire], reset: Callable[[], None]) -> float:
    with sidesync.about_to_send(profile, _of_two_bodies(COUNTED)) as send:
        reset()
        for wire in wires:
            wire.reset()
        send()
        return sum(len(wire.requests) for wire in wires) / COUNTED


def _of_two_bodies(wanted: int) -> Sequence[Written]:
    return list(written(wanted, SIZE // 2, ANNA, BERT, f"{next(_batches)}"))


def _of_one_body(wanted: int) -> Sequence[Written]:
    return list(written(wanted, SIZE, ANNA, BERT, f"{next(_batches)}"))


def _timed(act: Callable[[], None]) -> float:
    started = time.perf_counter()
    act()
    return time.perf_counter() - started


def _listed(seconds: Sequence[float]) -> str:
    return ", ".join(f"{each:.1f}" for each in seconds)

"""The pipeline where every message must be judged: an address book of 50,000 records, answers, and filters that must look.

Every message is for a user who accepts answers only and for a queue that accepts mail of contacts, accounts and leads. Of
2,000 messages 1,400 come from contacts, each another one; 600 come from people whom nobody knows and answer emails that are
stored (two thirds name them, the others only continue their conversation). All of them are stored, so that the plain program
does the same work; nothing is gained by leaving mail alone. The messages of each round are others, in one organisation.
"""

import base64
import os
import random
import statistics
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from io import BytesIO
from uuid import uuid4

from azure.data.tables import TableServiceClient

from local.azurite import Azurite
from shared.administration.loading import FINISHED, Loads
from shared.connectors.connect import Connect
from shared.domain.audit import Caller
from shared.domain.choices import IncomingFilteringMethod, Workload
from shared.domain.configuration import Mailbox, WorkloadSchedule
from shared.domain.email import ListOf
from shared.domain.operations import RunOutcome
from shared.messages import LoadRecords, SyncMailbox
from shared.ports import Stores
from shared.stores.azure import StorageConnection, azure_stores, create_missing
from shared.sync.budgets import RunBudget
from shared.sync.incoming import IncomingSync
from tests.bench.figures import Figures
from tests.bench.machine import PASSWORD, SECRETS_KEY, USERNAME, RunningMailServer, a_mail_server, configure
from tests.bench.mail import a_message
from tests.bench.pipeline import PlainRounds
from tests.bench.plain import PlainProgram
from tests.builders import a_mailbox, a_queue, an_owner

MESSAGES = int(os.environ.get("BENCH_MESSAGES", "2000"))
RECORDS = int(os.environ.get("BENCH_RECORDS", "50000"))
ORIGINALS = MESSAGES * 3 // 10
SIZE = 20_000
ROUNDS = 3
SEED = "seed"
QUEUE = a_queue("support", filtering_method=IncomingFilteringMethod.LEADS_CONTACTS_ACCOUNTS)


@dataclass(frozen=True, slots=True)
class Judged:
    """An organisation that judges: its stores, and runs over them."""

    stores: Stores
    sync: IncomingSync

    def add_mailbox(self, name: str) -> Mailbox:
        """Of a user who accepts answers only."""
        self.stores.owners.create(an_owner(name, filtering_method=IncomingFilteringMethod.RESPONSES))
        mailbox = a_mailbox(name)
        self.stores.mailboxes.create(mailbox, {Workload.INCOMING: WorkloadSchedule(due=datetime.now(UTC))})
        return mailbox

    def run(self, mailbox: Mailbox) -> tuple[float, dict[str, int]]:
        """Seconds, and items per verdict and reason, of reading the mailbox from its beginning."""
        started = time.perf_counter()
        outcome = self.sync.run(SyncMailbox(uuid4().hex, mailbox.id, Workload.INCOMING))
        seconds = time.perf_counter() - started
        assert outcome is RunOutcome.COMPLETED, outcome
        (run,) = self.stores.runs.list(mailbox.id).items
        return seconds, dict(run.verdicts)


def measure() -> Figures:
    with ExitStack() as running:
        server = running.enter_context(a_mail_server())
        _deliver(server, SEED, _originals())
        azurite = running.enter_context(Azurite())
        judged = an_organisation_that_judges(running, azurite, server)
        tables = running.enter_context(TableServiceClient.from_connection_string(azurite.connection_string))
        plain = PlainRounds(PlainProgram(server.ews_url, USERNAME, PASSWORD, azurite.connection_string), tables)
        plain.run(SEED)
        plain_seconds, our_seconds, cpu_seconds = [], [], []
        for number in range(ROUNDS):
            name = _fill(server, number)
            seconds, stored = plain.run(name)
            assert stored == MESSAGES, stored
            plain_seconds.append(seconds)
            before = time.process_time()
            our_seconds.append(_round(judged, name))
            cpu_seconds.append(time.process_time() - before)
        assert _queue_items(judged.stores) == ROUNDS * MESSAGES
    return _figures(plain_seconds, our_seconds, cpu_seconds)


def _round(judged: Judged, name: str) -> float:
    """Seconds of reading a mailbox that the organisation has not read yet."""
    seconds, verdicts = judged.run(judged.add_mailbox(name))
    assert verdicts == _expected(), verdicts
    return seconds


def an_organisation_that_judges(running: ExitStack, azurite: Azurite, server: RunningMailServer) -> Judged:
    """With its address book, the queue, and the emails that are answered later."""
    account = StorageConnection(azurite.connection_string)
    create_missing(account, prefix="Judged")
    stores = azure_stores(account, secrets_key=SECRETS_KEY, prefix="Judged")
    _load(stores)
    stores.owners.create(QUEUE)
    storing = running.enter_context(ThreadPoolExecutor(16, thread_name_prefix="storing"))
    connect = Connect(stores.secrets, allow_local_servers=True)
    running.callback(connect.close)
    budget = RunBudget(time=timedelta(minutes=10), pages_before_backfill=1000, pages=1000)
    judged = Judged(stores, IncomingSync(stores, connect, lambda: datetime.now(UTC), budget, executor=storing))
    (seed,) = configure(stores, server.ews_url, [SEED])
    _, verdicts = judged.run(seed)
    assert verdicts == {"promoted:relevant": ORIGINALS}, verdicts
    return judged


def _fill(server: RunningMailServer, number: int) -> str:
    """A mailbox with mail of its own; returns its name."""
    name = f"round{number}"
    _deliver(server, name, _mail(name, number))
    return name


def _load(stores: Stores) -> None:
    lines = b"".join(
        b'{"type": "contact", "id": "c%d", "name": "Person %d", "addresses": ["person%d@customer%d.example"]}\n'
        % (number, number, number, number % 5000)
        for number in range(RECORDS)
    )
    loads = Loads(stores, lambda: datetime.now(UTC))
    load = loads.start(BytesIO(lines), Caller("bench")).record
    while load.state not in FINISHED:
        loads.run(LoadRecords("bench", load.id))
        load = loads.get(load.id).record
    assert load.loaded == RECORDS, load


def _deliver(server: RunningMailServer, name: str, mail: Iterator[bytes]) -> None:
    address = f"{name}@contoso.example"
    server.control.add_mailbox(address)
    now = datetime.now(UTC)
    for number, raw in enumerate(mail):
        server.control.deliver(raw, [address], now - timedelta(minutes=MESSAGES - number))


def _originals() -> Iterator[bytes]:
    chance = random.Random(0)
    for number in range(ORIGINALS):
        yield _a_message(
            chance, number, f"{SEED}@contoso.example", f"person{number}@customer{number}.example", _original(number)
        )


def _mail(name: str, serial: int) -> Iterator[bytes]:
    chance = random.Random(serial + 1)
    known, answered = 0, 0
    for number in range(MESSAGES):
        message_id = f"Message-ID: <{name}.{number}@northwind.example>\r\n"
        if number % 10 < 3:
            sender, header = f"stranger{number}@elsewhere.example", message_id + _answers(answered)
            answered += 1
        else:
            who = (serial * (MESSAGES - ORIGINALS) + known) % RECORDS
            sender, header = f"person{who}@customer{who % 5000}.example", message_id
            known += 1
        yield _a_message(chance, number, f"{name}@contoso.example>, <{QUEUE.address}", sender, header)


def _a_message(chance: random.Random, number: int, to: str, sender: str, header: str) -> bytes:
    head = f"From: Person <{sender}>\r\nTo: <{to}>\r\nCc: <colleague{number % 7}@northwind.example>\r\n{header}"
    return a_message(chance, number, SIZE, datetime.now(UTC), head)


def _original(number: int) -> str:
    return f"Message-ID: <{_original_id(number)}>\r\nThread-Index: {_index(number)}\r\n"


def _original_id(number: int) -> str:
    return f"original.{number}@northwind.example"


def _answers(number: int) -> str:
    """How the answer to an original says so: two of three name it."""
    if number % 3:
        original = _original_id(number)
        return f"In-Reply-To: <{original}>\r\nReferences: <{original}>\r\n"
    return f"Thread-Index: {_index(number, answer=b'12345')}\r\n"


def _index(number: int, answer: bytes = b"") -> str:
    """A conversation index: its first 22 bytes name the conversation."""
    return base64.b64encode(b"\x01\xdb" + (number + 1).to_bytes(20, "big") + answer).decode()


def _expected() -> dict[str, int]:
    return {"promoted:known_sender": MESSAGES - ORIGINALS, "promoted:response": ORIGINALS}


def _queue_items(stores: Stores) -> int:
    count, continuation = 0, None
    while True:
        part = stores.timeline.list(ListOf.QUEUE, QUEUE.id, continuation, 1000)
        count, continuation = count + len(part.items), part.continuation
        if continuation is None:
            return count


def _figures(plain: list[float], ours: list[float], cpu: list[float]) -> Figures:
    return Figures(
        {
            "judging_ratio": _ratio(plain, ours),
            "judging_messages_per_second": round(MESSAGES / statistics.median(ours), 1),
            "judging_cpu_ms_per_message": round(statistics.median(cpu) / MESSAGES * 1000, 2),
            "judging_records": RECORDS,
        },
        (
            f"{MESSAGES} messages of {SIZE // 1000} KB, seconds of each round:"
            f" plain {', '.join(f'{each:.1f}' for each in plain)};"
            f" Sidesync {', '.join(f'{each:.1f}' for each in ours)}",
        ),
    )


def _ratio(plain: list[float], ours: list[float]) -> float:
    """Of rounds in pairs: what disturbs both says nothing."""
    return round(statistics.median(one / other for one, other in zip(plain, ours, strict=True)), 2)

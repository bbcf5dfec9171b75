"""The whole pipeline: messages from a mailbox into storage, Sidesync against the plain program, same servers, same run.

Both read the same mailbox of 2,000 messages of 20 KB from its beginning, into tables of their own. Both are warmed up on
another mailbox first; then they take turns. Sidesync runs as it does in a worker: its queue message, its continuations,
its threads for storing.
"""

import os
import statistics
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import partial
from uuid import uuid4

from azure.data.tables import TableServiceClient

from local.azurite import Azurite
from shared.connectors.connect import Connect
from shared.domain.choices import Workload
from shared.domain.configuration import EmailServerProfile
from shared.domain.operations import RunOutcome
from shared.messages import SyncMailbox, SyncReason
from shared.ports import Stores
from shared.stores.azure import StorageConnection, azure_stores, create_missing
from shared.sync.budgets import RunBudget
from shared.sync.incoming import IncomingSync
from tests.bench.figures import Figures
from tests.bench.machine import (
    PASSWORD,
    SECRETS_KEY,
    USERNAME,
    RunningMailServer,
    a_bench_profile,
    a_mail_server,
    with_mailboxes,
)
from tests.bench.plain import PlainProgram

MESSAGES = int(os.environ.get("BENCH_MESSAGES", "2000"))
SIZE = 20_000
ROUNDS = 3
WARM_UP = 200


@dataclass(slots=True)
class SidesyncRounds:
    """Sidesync, each time into an organisation of its own."""

    connection_string: str
    profile: Callable[[Stores], EmailServerProfile]
    storing: ThreadPoolExecutor
    rounds: int = 0

    def run(self, name: str) -> tuple[float, int]:
        """Seconds, and messages promoted, of reading one mailbox."""
        self.rounds += 1
        prefix = f"Round{self.rounds}"
        account = StorageConnection(self.connection_string)
        create_missing(account, prefix=prefix)
        stores = azure_stores(account, secrets_key=SECRETS_KEY, prefix=prefix)
        (mailbox,) = with_mailboxes(stores, self.profile(stores), [name])
        connect = Connect(stores.secrets, allow_local_servers=True)
        budget = RunBudget(time=timedelta(minutes=10), pages_before_backfill=1000, pages=1000)
        sync = IncomingSync(stores, connect, lambda: datetime.now(UTC), budget, executor=self.storing)
        started = time.perf_counter()
        outcome = sync.run(SyncMailbox(uuid4().hex, mailbox.id, Workload.INCOMING, SyncReason.DUE))
        seconds = time.perf_counter() - started
        connect.close()
        assert outcome is RunOutcome.COMPLETED, outcome
        promoted = sum(run.verdicts.get("promoted:relevant", 0) for run in stores.runs.list(mailbox.id).items)
        return seconds, promoted


@dataclass(slots=True)
class PlainRounds:
    """The plain program, each time into a table of its own."""

    program: PlainProgram
    tables: TableServiceClient
    rounds: int = 0

    def run(self, name: str) -> tuple[float, int]:
        """Seconds, and messages stored, of reading one mailbox."""
        self.rounds += 1
        table = f"Plain{self.rounds}"
        self.tables.create_table(table)
        started = time.perf_counter()
        stored = self.program.run(f"{name}@contoso.example", table)
        return time.perf_counter() - started, stored


def measure() -> Figures:
    with ExitStack() as running:
        azurite = running.enter_context(Azurite())
        server = running.enter_context(a_mail_server())
        server.add_mailbox("warm", WARM_UP, SIZE)
        server.add_mailbox("anna", MESSAGES, SIZE)
        tables = running.enter_context(TableServiceClient.from_connection_string(azurite.connection_string))
        plain = PlainRounds(PlainProgram(server.ews_url, USERNAME, PASSWORD, azurite.connection_string), tables)
        storing = running.enter_context(ThreadPoolExecutor(16, thread_name_prefix="storing"))
        sidesync = SidesyncRounds(azurite.connection_string, partial(a_bench_profile, ews_url=server.ews_url), storing)
        return _compare(plain.run, sidesync.run)


def _compare(plain: Callable[[str], tuple[float, int]], sidesync: Callable[[str], tuple[float, int]]) -> Figures:
    plain("warm")
    sidesync("warm")
    plain_seconds, our_seconds, cpu_seconds = [], [], []
    for _ in range(ROUNDS):
        seconds, stored = plain("anna")
        assert stored == MESSAGES, stored
        plain_seconds.append(seconds)
        before = time.process_time()
        seconds, promoted = sidesync("anna")
        assert promoted == MESSAGES, promoted
        cpu_seconds.append(time.process_time() - before)
        our_seconds.append(seconds)
    one, other = statistics.median(plain_seconds), statistics.median(our_seconds)
    return Figures(
        {
            "pipeline_ratio": round(one / other, 2),
            "pipeline_messages_per_second": round(MESSAGES / other, 1),
            "pipeline_plain_messages_per_second": round(MESSAGES / one, 1),
            "pipeline_cpu_ms_per_message": round(statistics.median(cpu_seconds) / MESSAGES * 1000, 2),
        },
        (
            f"{MESSAGES} messages of {SIZE // 1000} KB, seconds of each round:"
            f" plain {', '.join(f'{each:.1f}' for each in plain_seconds)};"
            f" Sidesync {', '.join(f'{each:.1f}' for each in our_seconds)}",
        ),
    )


def one_run(server: RunningMailServer, azurite: Azurite, name: str) -> tuple[float, int]:
    """One run alone: for a profiler."""
    with ThreadPoolExecutor(16, thread_name_prefix="storing") as storing:
        profile = partial(a_bench_profile, ews_url=server.ews_url)
        return SidesyncRounds(azurite.connection_string, profile, storing).run(name)

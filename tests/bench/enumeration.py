"""Enumeration of 100,000 mailboxes of which 1,000 are due: time, storage requests, and peak memory of the process.

The enumeration is a process of its own (`python -m tests.bench.enumeration CONNECTION`); requests are counted by proxies in
front of tables and queues in a second enumeration of as many due mailboxes, so that they cost no time in the first.
"""

import json
import os
import subprocess
import sys
import time
from collections import defaultdict
from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from datetime import UTC, datetime, timedelta

from local.azurite import Azurite
from shared.domain.choices import Workload
from shared.domain.configuration import Mailbox, WorkloadSchedule
from shared.ports import Stores
from shared.stores.azure import StorageConnection, azure_stores, create_missing
from shared.stores.entities import mailbox_partition, schedule_row
from shared.stores.tables.gateway import Operation, Verb, operation
from shared.stores.tables.mailboxes import TableMailboxes, _schedule_columns
from shared.stores.tables.table import columns_of
from shared.sync.budgets import EnumerationBudget
from shared.sync.enumeration import Enumeration
from tests.bench.figures import Figures
from tests.bench.machine import ROOT, SECRETS_KEY
from tests.bench.memory import peak_mib
from tests.bench.wire import Wire, through, wire_to
from tests.builders import a_mailbox, a_profile

MAILBOXES = int(os.environ.get("BENCH_MAILBOXES", "100000"))
DUE = MAILBOXES // 100
PREFIX = "Many"
_ROWS = 100


def measure() -> Figures:
    with ExitStack() as running:
        azurite = running.enter_context(Azurite())
        stores = _stores(azurite.connection_string)
        create_missing(StorageConnection(azurite.connection_string), prefix=PREFIX)
        filling = _filled(stores)
        timed = _in_a_process(azurite.connection_string)
        _make_due_again(stores)
        wires = {url: running.enter_context(wire_to(url)) for url in azurite.endpoints.values()}
        counted = _in_a_process(_connected_through(azurite, wires))
        requests = sum(len(wire.requests) for wire in wires.values())
    assert timed["enqueued"] == counted["enqueued"] == DUE
    return Figures(
        {
            "enumeration_mailboxes": MAILBOXES,
            "enumeration_due": DUE,
            "enumeration_seconds": timed["seconds"],
            "enumeration_storage_requests": requests,
            "enumeration_peak_mib": timed["peak_mib"],
            "enumeration_cpu_seconds": timed["cpu_seconds"],
        },
        (f"{MAILBOXES:,} mailboxes were inserted in {filling:.0f} s", "; ".join(_counts(wires.values()))),
    )


def _counts(wires: Iterable[Wire]) -> Iterator[str]:
    kinds: defaultdict[str, int] = defaultdict(int)
    for wire in wires:
        for request in wire.requests:
            what = request.path.partition("?")[0].partition("(")[0].rpartition("/")[2]
            kinds[f"{request.method} {what}"] += 1
    return (f"{kind} {count}" for kind, count in sorted(kinds.items()))


def _connected_through(azurite: Azurite, wires: dict[str, Wire]) -> str:
    connection_string = azurite.connection_string
    for url, wire in wires.items():
        connection_string = connection_string.replace(url, through(url, wire))
    return connection_string


def _stores(connection_string: str) -> Stores:
    return azure_stores(StorageConnection(connection_string), secrets_key=SECRETS_KEY, prefix=PREFIX)


# ---- a hundred thousand mailboxes


def _filled(stores: Stores) -> float:
    """Inserts everything through the store's own rows, a hundred in a transaction; returns the seconds it took."""
    started = time.perf_counter()
    stores.profiles.create(a_profile())
    table = _table(stores)
    transactions: list[list[Operation]] = []
    open_ones: defaultdict[str, list[Operation]] = defaultdict(list)
    for number in range(MAILBOXES):
        mailbox = a_mailbox(f"user{number}")
        partition = mailbox_partition(mailbox.id)
        rows = open_ones[partition]
        rows += _rows(mailbox, _schedule(number))
        if len(rows) >= _ROWS:
            transactions.append(open_ones.pop(partition))
    transactions += open_ones.values()
    with ThreadPoolExecutor(4) as pool:
        for _ in pool.map(table.transact, transactions):
            pass
    return time.perf_counter() - started


def _table(stores: Stores):  # type: ignore[no-untyped-def] # noqa: ANN202
    assert isinstance(stores.mailboxes, TableMailboxes)
    return stores.mailboxes._table


def _rows(mailbox: Mailbox, schedule: WorkloadSchedule) -> list[Operation]:
    partition = mailbox_partition(mailbox.id)
    columns = _schedule_columns({Workload.INCOMING: schedule}, mailbox.profile_id)
    return [
        operation(Verb.INSERT, partition, mailbox.id, columns_of(mailbox)),
        operation(Verb.INSERT, partition, schedule_row(mailbox.id), columns),
    ]


def _schedule(number: int) -> WorkloadSchedule:
    now = datetime.now(UTC)
    return WorkloadSchedule(due=now - timedelta(minutes=1) if number < DUE else now + timedelta(days=1))


def _make_due_again(stores: Stores) -> None:
    def make_due(number: int) -> None:
        stores.mailboxes.reschedule(a_mailbox(f"user{number}").id, Workload.INCOMING, _schedule(number))

    with ThreadPoolExecutor(8) as pool:
        for _ in pool.map(make_due, range(DUE)):
            pass


# ---- the process that enumerates


def _in_a_process(connection_string: str) -> dict[str, float]:
    command = [sys.executable, "-m", "tests.bench.enumeration", connection_string]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)  # noqa: S603
    if done.returncode != 0:
        raise RuntimeError(done.stderr[-3000:])
    answer: dict[str, float] = json.loads(done.stdout.splitlines()[-1])
    return answer


def _enumerate(connection_string: str) -> None:
    budget = EnumerationBudget(time=timedelta(minutes=10))
    enumeration = Enumeration(_stores(connection_string), lambda: datetime.now(UTC), budget)
    started, cpu = time.perf_counter(), time.process_time()
    walk = enumeration.enumerate_all()
    answer = {
        "seconds": round(time.perf_counter() - started, 2),
        "cpu_seconds": round(time.process_time() - cpu, 2),
        "enqueued": walk.enqueued,
        "peak_mib": round(peak_mib(), 1),
    }
    print(json.dumps(answer))  # noqa: T201 - the answer


if __name__ == "__main__":
    _enumerate(sys.argv[1])

"""Bulk load of 100,000 records into the address book: time, storage requests, and peak memory of the process.

The load is a process of its own (`python -m tests.bench.loading CONNECTION PREFIX`), which does what the queue function does,
a message after the other; requests are counted by proxies in front of tables, queues and blobs in a second load, so that they
cost no time in the first.
"""

import json
import os
import subprocess
import sys
import time
from contextlib import ExitStack
from datetime import UTC, datetime
from tempfile import TemporaryFile
from typing import BinaryIO

from local.azurite import Azurite
from shared.administration.loading import FINISHED, Loads
from shared.domain.audit import Caller
from shared.domain.records import LoadState
from shared.messages import LoadRecords, Queue
from shared.stores.azure import StorageConnection, azure_stores, create_missing
from tests.bench.enumeration import _connected_through, _counts
from tests.bench.figures import Figures
from tests.bench.machine import ROOT, SECRETS_KEY
from tests.bench.memory import peak_mib
from tests.bench.wire import wire_to

RECORDS = int(os.environ.get("BENCH_RECORDS", "100000"))


def measure() -> Figures:
    with ExitStack() as running:
        azurite = running.enter_context(Azurite())
        timed = _in_a_process(azurite.connection_string, "Timed")
        wires = {url: running.enter_context(wire_to(url)) for url in azurite.endpoints.values()}
        counted = _in_a_process(_connected_through(azurite, wires), "Counted")
        requests = sum(len(wire.requests) for wire in wires.values())
    assert timed["loaded"] == counted["loaded"] == RECORDS
    return Figures(
        {
            "load_records": RECORDS,
            "load_seconds": timed["seconds"],
            "load_storage_requests": requests,
            "load_peak_mib": timed["peak_mib"],
            "load_cpu_seconds": timed["cpu_seconds"],
        },
        (f"{timed['mib']:.1f} MiB of JSON lines", "; ".join(_counts(wires.values()))),
    )


def _in_a_process(connection_string: str, prefix: str) -> dict[str, float]:
    command = [sys.executable, "-m", "tests.bench.loading", connection_string, prefix]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)  # noqa: S603
    if done.returncode != 0:
        raise RuntimeError(done.stderr[-3000:])
    answer: dict[str, float] = json.loads(done.stdout.splitlines()[-1])
    return answer


# ---- the process that loads


def _load(connection_string: str, prefix: str) -> None:
    connection = StorageConnection(connection_string)
    create_missing(connection, prefix=prefix, queues=[Queue.LOAD_RECORDS])
    loads = Loads(azure_stores(connection, secrets_key=SECRETS_KEY, prefix=prefix), lambda: datetime.now(UTC))
    with TemporaryFile() as file:
        _write(file)
        started, cpu = time.perf_counter(), time.process_time()
        load = loads.start(file, Caller("bench")).record
        while load.state not in FINISHED:
            loads.run(LoadRecords("bench", load.id))
            load = loads.get(load.id).record
    answer = {
        "seconds": round(time.perf_counter() - started, 2),
        "cpu_seconds": round(time.process_time() - cpu, 2),
        "loaded": load.loaded,
        "mib": round(load.size / 1024 / 1024, 1),
        "peak_mib": round(peak_mib(), 1),
    }
    if load.state is not LoadState.COMPLETED:
        raise RuntimeError(load.error)
    print(json.dumps(answer))  # noqa: T201 - the answer


def _write(file: BinaryIO) -> None:
    """Contacts with one address each, every tenth with a second one."""
    for number in range(RECORDS):
        addresses = [f"person{number}@customer{number % 5000}.example"]
        if number % 10 == 0:
            addresses.append(f"home{number}@mail.example")
        record = {"type": "contact", "id": f"{number:032x}", "name": f"Person {number}", "addresses": addresses}
        file.write(json.dumps(record).encode() + b"\n")


if __name__ == "__main__":
    _load(*sys.argv[1:])

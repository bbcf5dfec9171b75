"""Peak memory of a run over a mailbox with fifty messages of 20 MB: the run is a process of its own, and says what it used.
Over EWS from the local mail server, over POP3 and IMAP from Dovecot where that is installed.

`python -m tests.bench.memory PROTOCOL LOCATION NAME CONNECTION` is that process.
"""

import base64
import json
import os
import random
import resource
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from datetime import UTC, datetime, timedelta
from pathlib import Path
from uuid import uuid4

from local.azurite import Azurite
from shared.connectors.connect import Connect
from shared.domain.choices import ServerType, Workload
from shared.messages import SyncMailbox
from shared.stores.azure import StorageConnection, azure_stores, create_missing
from shared.sync.budgets import RunBudget
from shared.sync.incoming import IncomingSync
from tests.bench.figures import Figures
from tests.bench.machine import ROOT, SECRETS_KEY, a_mail_server, an_internet_profile, configure, with_mailboxes
from tests.dovecot import PASSWORD, Dovecot

MESSAGES = int(os.environ.get("BENCH_LARGE", "50"))
BYTES = 20 * 1024 * 1024
_SERVER_TYPES = {"pop3": ServerType.POP3_SMTP, "imap": ServerType.IMAP_SMTP}


def measure() -> Figures:
    with ExitStack() as running:
        azurite = running.enter_context(Azurite())
        server = running.enter_context(a_mail_server())
        server.add_mailbox("small", 20, 20_000)
        server.control.add_mailbox("large@contoso.example")
        now = datetime.now(UTC)
        for number in range(MESSAGES):
            received = now - timedelta(minutes=MESSAGES - number)
            server.control.deliver(_large(number, received), ["large@contoso.example"], received)
        small = _in_a_process("ews", server.ews_url, "small", azurite.connection_string)
        large = _in_a_process("ews", server.ews_url, "large", azurite.connection_string)
    with Azurite() as azurite:
        others = _from_dovecot(azurite.connection_string) if Dovecot.installed() is not None else {}
    return Figures(
        others
        | {
            "large_run_peak_mib": large["peak_mib"],
            "small_run_peak_mib": small["peak_mib"],
            "large_run_extra_mib": round(large["peak_mib"] - small["peak_mib"], 1),
            "large_run_seconds": large["seconds"],
            "large_run_mib_per_second": round(MESSAGES * BYTES / 2**20 / large["seconds"], 1),
        },
        (f"{MESSAGES} messages with an attachment of {BYTES / 2**20:.0f} MiB; the small run reads 20 messages of 20 KB",),
    )


def _from_dovecot(connection_string: str) -> dict[str, float]:
    peaks = {}
    with Dovecot() as dovecot:
        maildir = dovecot.add_mailbox("large@contoso.example")
        now = datetime.now(UTC)
        for number in range(MESSAGES):
            received = now - timedelta(minutes=MESSAGES - number)
            maildir.deliver(_large(number, received), received)
        for protocol, port in (("pop3", dovecot.pop3_port), ("imap", dovecot.imap_port)):
            large = _in_a_process(protocol, str(port), "large", connection_string)
            peaks[f"large_{protocol}_run_peak_mib"] = large["peak_mib"]
            peaks[f"large_{protocol}_run_seconds"] = large["seconds"]
    return peaks


def _large(number: int, received: datetime) -> bytes:
    content = base64.encodebytes(random.Random(number).randbytes(BYTES))
    head = (
        f"From: a@northwind.example\r\nSubject: Film {number}\r\nMessage-ID: <film.{number}@northwind.example>\r\n"
        f"Date: {received:%a, %d %b %Y %H:%M:%S +0000}\r\nContent-Type: multipart/mixed; boundary=x\r\n\r\n--x\r\n\r\ntext\r\n"
        f"--x\r\nContent-Type: video/mp4; name=film.mp4\r\nContent-Transfer-Encoding: base64\r\n\r\n"
    )
    return head.encode() + content + b"--x--\r\n"


def _in_a_process(protocol: str, location: str, name: str, connection_string: str) -> dict[str, float]:
    command = [sys.executable, "-m", "tests.bench.memory", protocol, location, name, connection_string]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)  # noqa: S603
    if done.returncode != 0:
        raise RuntimeError(done.stderr[-3000:])
    answer: dict[str, float] = json.loads(done.stdout.splitlines()[-1])
    return answer


def _run(protocol: str, location: str, name: str, connection_string: str) -> None:
    account = StorageConnection(connection_string)
    prefix = f"Memory{protocol}{name}"
    create_missing(account, prefix=prefix)
    stores = azure_stores(account, secrets_key=SECRETS_KEY, prefix=prefix)
    if protocol == "ews":
        (mailbox,) = configure(stores, location, [name])
    else:
        profile = an_internet_profile(stores, _SERVER_TYPES[protocol], int(location), PASSWORD)
        (mailbox,) = with_mailboxes(stores, profile, [name])
    connect = Connect(stores.secrets, allow_local_servers=True)
    with ThreadPoolExecutor(16, thread_name_prefix="storing") as storing:
        budget = RunBudget(time=timedelta(minutes=20))
        sync = IncomingSync(stores, connect, lambda: datetime.now(UTC), budget, executor=storing)
        started = time.perf_counter()
        outcome = sync.run(SyncMailbox(uuid4().hex, mailbox.id, Workload.INCOMING))
        seconds = time.perf_counter() - started
    promoted = sum(run.verdicts.get("promoted:relevant", 0) for run in stores.runs.list(mailbox.id).items)
    expected = MESSAGES if name == "large" else 20
    assert promoted == expected, (outcome, promoted)
    connect.close()
    print(json.dumps({"peak_mib": round(peak_mib(), 1), "seconds": round(seconds, 1)}))  # noqa: T201 - the answer


def peak_mib() -> float:
    """Of this program. `ru_maxrss` would count what the parent had when it started us."""
    status = Path("/proc/self/status")
    if not status.exists():
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20  # bytes, on a Mac
    line = next(line for line in status.read_text("ascii").splitlines() if line.startswith("VmHWM:"))
    return int(line.split()[1]) / 1024


if __name__ == "__main__":
    _run(*sys.argv[1:])

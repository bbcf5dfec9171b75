"""POP3: a maildrop of 2,000 messages of 20 KB on Dovecot, read by Sidesync into storage and by fetchmail and getmail6 into a
Maildir, side by side.

Sidesync runs its whole pipeline: it judges, keeps a ledger and stores each message as an activity. The others copy files. The
faster one of them is the yardstick: it takes turns with Sidesync, the other runs once.
"""

import os
import statistics
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from datetime import UTC, datetime
from functools import partial

from local.azurite import Azurite
from shared.domain.choices import ServerType
from tests.bench.fetchers import INSTALL as INSTALL_FETCHERS
from tests.bench.fetchers import Fetcher, fetchers
from tests.bench.figures import Figures
from tests.bench.machine import an_internet_profile
from tests.bench.mail import messages
from tests.bench.pipeline import SidesyncRounds
from tests.dovecot import INSTALL, PASSWORD, Dovecot, dovecot_program

MESSAGES = int(os.environ.get("BENCH_MESSAGES", "2000"))
SIZE = 20_000
ROUNDS = 3
WARM_UP = 200


def measure() -> Figures:
    if dovecot_program() is None:
        return Figures({}, (f"skipped: Dovecot is not installed ({INSTALL})",))
    with ExitStack() as running:
        dovecot = running.enter_context(Dovecot())
        azurite = running.enter_context(Azurite())
        storing = running.enter_context(ThreadPoolExecutor(16, thread_name_prefix="storing"))
        for name, count in (("warm", WARM_UP), ("anna", MESSAGES)):
            fill(dovecot, name, count)
        profile = partial(an_internet_profile, server_type=ServerType.POP3_SMTP, port=dovecot.pop3_port, password=PASSWORD)
        sidesync = SidesyncRounds(azurite.connection_string, profile, storing)
        return _compare(sidesync, fetchers(dovecot.pop3_port, PASSWORD))


def fill(dovecot: Dovecot, name: str, count: int) -> None:
    address = f"{name}@contoso.example"
    maildir = dovecot.add_mailbox(address)
    for raw, received in messages(count, SIZE, address, datetime.now(UTC)):
        maildir.deliver(raw, received)


def _compare(sidesync: SidesyncRounds, others: Sequence[Fetcher]) -> Figures:
    sidesync.run("warm")
    warm = {other.run("warm@contoso.example")[0]: other for other in others}
    fastest = warm[min(warm)] if warm else None
    ours, cpu, theirs = [], [], []
    for _ in range(ROUNDS):
        before = time.process_time()
        seconds, promoted = sidesync.run("anna")
        assert promoted == MESSAGES, promoted
        ours.append(seconds)
        cpu.append(time.process_time() - before)
        if fastest is not None:
            theirs.append(_delivered(fastest))
    numbers = {
        "pop3_messages_per_second": round(MESSAGES / statistics.median(ours), 1),
        "pop3_cpu_ms_per_message": round(statistics.median(cpu) / MESSAGES * 1000, 2),
    }
    notes = [f"{MESSAGES} messages of {SIZE // 1000} KB, seconds of each round: Sidesync {_listed(ours)}"]
    if fastest is None:
        notes.append(f"nothing to compare with: {INSTALL_FETCHERS}")
        return Figures(numbers, notes)
    numbers["pop3_ratio"] = round(statistics.median(theirs) / statistics.median(ours), 2)
    numbers[f"pop3_{fastest.name}_messages_per_second"] = round(MESSAGES / statistics.median(theirs), 1)
    notes.append(f"{fastest.name} {_listed(theirs)}")
    for slower in (other for other in others if other is not fastest):
        numbers[f"pop3_{slower.name}_messages_per_second"] = round(MESSAGES / _delivered(slower), 1)
    if len(others) < 2:
        notes.append(f"one of the two programs is missing: {INSTALL_FETCHERS}")
    return Figures(numbers, notes)


def _delivered(fetcher: Fetcher) -> float:
    seconds, delivered = fetcher.run("anna@contoso.example")
    assert delivered == MESSAGES, delivered
    return seconds


def _listed(seconds: Sequence[float]) -> str:
    return ", ".join(f"{each:.1f}" for each in seconds)

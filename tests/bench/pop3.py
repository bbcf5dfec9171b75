"""POP3: a maildrop of 2,000 messages of 20 KB on Dovecot, read by Sidesync into storage and by fetchmail and getmail6 into a
Maildir, side by side.

Sidesync runs its whole pipeline: it judges, keeps a ledger and stores each message as an activity. The others copy files. The
faster one of them over a few messages is the yardstick: it takes turns with Sidesync.
"""

import os
import statistics
import subprocess
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
from tests.dovecot import PASSWORD, Dovecot

MESSAGES = int(os.environ.get("BENCH_MESSAGES", "2000"))
SIZE = 20_000
ROUNDS = 3
WARM_UP = 200


def measure() -> Figures:
    if Dovecot.installed() is None:
        return Figures({}, (f"skipped: Dovecot is not installed ({Dovecot.installing()})",))
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
    numbers, notes = _warm(others)
    fastest = max(others, key=lambda other: numbers.get(_rate_of(other), 0.0), default=None)
    ours, cpu, theirs = [], [], []
    for _ in range(ROUNDS):
        before = time.process_time()
        seconds, promoted = sidesync.run("anna")
        assert promoted == MESSAGES, promoted
        ours.append(seconds)
        cpu.append(time.process_time() - before)
        if fastest is not None:
            seconds, delivered = fastest.run("anna@contoso.example")
            assert delivered == MESSAGES, delivered
            theirs.append(seconds)
    numbers["pop3_messages_per_second"] = round(MESSAGES / statistics.median(ours), 1)
    numbers["pop3_cpu_ms_per_message"] = round(statistics.median(cpu) / MESSAGES * 1000, 2)
    notes.append(f"{MESSAGES} messages of {SIZE // 1000} KB, seconds of each round: Sidesync {_listed(ours)}")
    if fastest is not None:
        numbers["pop3_ratio"] = round(statistics.median(theirs) / statistics.median(ours), 2)
        numbers[_rate_of(fastest)] = round(MESSAGES / statistics.median(theirs), 1)
        notes.append(f"{fastest.name} {_listed(theirs)}")
    if len(others) < 2:
        notes.append(f"not everything to compare with is installed: {INSTALL_FETCHERS}")
    return Figures(numbers, notes)


def _warm(others: Sequence[Fetcher]) -> tuple[dict[str, float], list[str]]:
    """Messages per second of each over a few. getmail6 misses the end of a child at times, waits a minute and gives up."""
    numbers: dict[str, float] = {}
    notes: list[str] = []
    for other in others:
        try:
            seconds, delivered = other.run("warm@contoso.example")
        except subprocess.CalledProcessError as error:
            notes.append(f"{other.name} gave up: {error.stderr.decode(errors='replace').strip()[-200:]}")
            continue
        assert delivered == WARM_UP, delivered
        numbers[_rate_of(other)] = round(WARM_UP / seconds, 1)
        notes.append(f"{other.name}, {WARM_UP} messages: {seconds:.1f} s")
    return numbers, notes


def _rate_of(fetcher: Fetcher) -> str:
    return f"pop3_{fetcher.name}_messages_per_second"


def _listed(seconds: Sequence[float]) -> str:
    return ", ".join(f"{each:.1f}" for each in seconds)

"""The acts of the demo in order: configure, deliver, let the functions work, look at what became of it, report."""

import time
from collections.abc import Iterator, Mapping, Sequence, Set
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import partial
from pathlib import Path

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TaskID, TextColumn, TimeElapsedColumn

from local.demo import organisation, report
from local.demo.administering import check_administration
from local.demo.api import Api, run_function
from local.demo.check import Checks, Finding, equal, none_of
from local.demo.collecting import Collecting
from local.demo.delivery import Post, deliver_all, open_mailboxes
from local.demo.folder import Account, DeliveredFile, account, as_delivered, eml_files
from local.demo.judging import Story
from local.demo.machine import Machine
from local.demo.misuse import check_misuse
from local.demo.outcome import MailboxOutcome, Watched, read, wait_until_settled
from local.demo.sending import Sending
from local.demo.showing import Shown, check_samples
from local.demo.untouched import check_idle, check_untouched
from local.mailserver.remote import MailServerControl
from local.samples import sample_mail
from local.samples.people import ANNA, PEOPLE, Standing

TIMER = "enumerate_mailboxes"
_PATIENCE = 120.0
_PATIENCE_PER_MESSAGE = 0.2
"""Seconds until the demo gives up waiting for the runs."""


@dataclass(slots=True)
class Play:
    """One performance: the machine it runs on, and where it is shown."""

    machine: Machine
    console: Console
    results: Path
    """Where the summary is written."""
    checks: Checks = field(default_factory=Checks)
    started: float = field(default_factory=time.perf_counter)

    @contextmanager
    def at_work(self) -> Iterator[tuple[Api, MailServerControl]]:
        with Api(self.machine.base_url, self.machine.key) as api, MailServerControl(self.machine.control_url) as control:
            yield api, control


def play_samples(play: Play, size: int) -> bool:
    """The sample mail. Returns whether every check is ok."""
    now = datetime.now(UTC)
    samples = sample_mail(now, size)
    with play.at_work() as (api, control), _progress(play.console) as progress:
        mailboxes = _configure(play, api, control, now)
        delivering = progress.add_task("delivering", total=len(samples))
        with Post(control, play.machine.smtp_port) as post:
            counts = deliver_all(post, samples, lambda: progress.advance(delivering))
        story = Story(api, control, lambda: _let_the_timer_enumerate(play))
        story.begin()
        organisation.approve(api, mailboxes)
        watched = [Watched(person, mailboxes[person.address], counts[person.address]) for person in PEOPLE]
        ready = [one for one in watched if one.person.standing is Standing.READY]
        _let_the_timer_enumerate(play)
        _wait(play, api, progress, ready)
        outcomes = _read(api, progress, ready)
        looking = progress.add_task("checking", total=None)
        shown = Shown(samples, {outcome.watched.person.address: outcome for outcome in outcomes})
        check_samples(play.checks, api, shown)
        check_untouched(play.checks, api, control, [one for one in watched if one not in ready])
        check_idle(play.checks, api, control, ready[-1], lambda: _let_the_timer_enumerate(play))
        story.check(play.checks)
        check_administration(play.checks, api, control, play.machine.ews_url, mailboxes)
        Collecting(api, control, play.machine.pop3_port, lambda: _let_the_timer_enumerate(play)).check(play.checks)
        enumerate_now = partial(_let_the_timer_enumerate, play)
        Sending(api, control, play.machine.smtp_port, story.question, enumerate_now).check(play.checks)
        check_misuse(play.checks, api, play.machine.azurite.connection_string, play.machine.host.log)
        _check_operations(play, api, outcomes, alerts={"malformed_message", "test_succeeded", "authentication_failed"})
        explanations = story.explanations()
        progress.update(looking, total=1, completed=1)
    report.print_explanations(play.console, explanations)
    _report(
        play, outcomes, {"delivered": len(samples), "explanations": explanations}, [one for one in watched if one not in ready]
    )
    return play.checks.all_ok


def play_folder(play: Play, folder: Path) -> bool:
    """Somebody's own files. Returns whether each is accounted for."""
    files = eml_files(folder)
    if not files:
        raise ValueError(f"There is no .eml file under {folder}.")
    now = datetime.now(UTC)
    with play.at_work() as (api, control), _progress(play.console) as progress:
        mailboxes = _configure(play, api, control, now)
        delivering = progress.add_task("delivering", total=len(files))
        delivered: list[DeliveredFile] = []
        for path in files:
            raw = path.read_bytes()
            (item_id,) = control.deliver(raw, [ANNA.address], internal=None)
            delivered.append(as_delivered(path, raw, item_id))
            progress.advance(delivering)
        organisation.approve(api, mailboxes)
        watched = [Watched(ANNA, mailboxes[ANNA.address], len(files))]
        _let_the_timer_enumerate(play)
        _wait(play, api, progress, watched)
        outcomes = _read(api, progress, watched)
        accounts = list(account(api, mailboxes[ANNA.address], delivered))
        _check_folder(play.checks, outcomes[0], accounts)
        _check_operations(play, api, outcomes)
    report.print_files(play.console, folder, accounts)
    told = {str(each.file.path.relative_to(folder)): each.told for each in accounts}
    _report(play, outcomes, {"delivered": len(files), "files": told})
    return play.checks.all_ok


def _configure(play: Play, api: Api, control: MailServerControl, now: datetime) -> Mapping[str, str]:
    control.add_account(organisation.SERVICE_ACCOUNT, organisation.SERVICE_PASSWORD, impersonation=True)
    open_mailboxes(control)
    control.add_mailbox(organisation.QUEUE_ADDRESS)
    return organisation.configure(api, play.machine.ews_url, now)


def _let_the_timer_enumerate(play: Play) -> None:
    """The timer fires each minute by itself; this fires it now, so that nobody waits."""
    run_function(play.machine.base_url, play.machine.master_key, TIMER)


def _wait(play: Play, api: Api, progress: Progress, watched: Sequence[Watched]) -> None:
    tasks: dict[str, TaskID] = {one.mailbox_id: progress.add_task(one.person.address, total=one.delivered) for one in watched}

    def show(one: Watched, seen: int) -> None:
        progress.update(tasks[one.mailbox_id], completed=seen)

    delivered = sum(one.delivered for one in watched)
    started = time.perf_counter()
    settled = wait_until_settled(api, watched, show, _PATIENCE + delivered * _PATIENCE_PER_MESSAGE)
    seconds = time.perf_counter() - started
    detail = f"{delivered} messages in {seconds:.1f} s" if settled else f"not within {seconds:.0f} s"
    play.checks.make("everything that was delivered was accounted for in time", lambda: (settled, detail))


def _read(api: Api, progress: Progress, watched: Sequence[Watched]) -> Sequence[MailboxOutcome]:
    reading = progress.add_task("reading the activities", total=len(watched))
    outcomes = []
    for one in watched:
        outcomes.append(read(api, one))
        progress.advance(reading)
    return outcomes


def _check_operations(play: Play, api: Api, outcomes: Sequence[MailboxOutcome], alerts: Set[str] = frozenset()) -> None:
    checks = play.checks
    checks.make(
        "runs are listed, and none failed",
        lambda: none_of(
            [
                f"{run['outcome']} {run['error']}: {run['detail']}"
                for outcome in outcomes
                for run in outcome.runs
                if run["error"]
            ],
            f"{sum(len(outcome.runs) for outcome in outcomes)} runs",
        ),
    )
    checks.make("alerts are listed, those that had to come and no others", lambda: _alerts(api, alerts))
    checks.make(
        "the API describes itself",
        lambda: (len(paths := api.get("/openapi.json")["paths"]) >= 10, f"OpenAPI with {len(paths)} paths"),
    )


def _alerts(api: Api, expected: Set[str]) -> Finding:
    found = list(api.everything("/alerts"))
    codes = {alert["code"] for alert in found}
    return codes == expected, f"{len(found)} alerts" + "".join(f", {alert['code']} about {alert['about']}" for alert in found)


def _check_folder(checks: Checks, outcome: MailboxOutcome, accounts: Sequence[Account]) -> None:
    checks.make("every file was seen once", lambda: equal(len(accounts), outcome.seen))
    checks.make(
        "every file is an activity, or quarantined, or skipped for a reason",
        lambda: none_of([f"{each.file.path.name}: {each.told}" for each in accounts if not each.ok], f"{len(accounts)} files"),
    )


def _report(
    play: Play, outcomes: Sequence[MailboxOutcome], counts: Mapping[str, object], not_read: Sequence[Watched] = ()
) -> None:
    report.print_mailboxes(play.console, outcomes, not_read)
    report.print_checks(play.console, play.checks.made)
    with Api(play.machine.base_url, play.machine.key) as api:
        report.print_urls(play.console, _urls(play, api, outcomes))
    seconds = time.perf_counter() - play.started
    play.console.print(f"\n{seconds:.0f} seconds in all. The summary is also in {play.results}")
    report.write_json(
        play.results, outcomes, play.checks.made, {**counts, "seconds": round(seconds, 1), "processes": play.machine.children}
    )


def _urls(play: Play, api: Api, outcomes: Sequence[MailboxOutcome]) -> Mapping[str, str]:
    urls = {
        "all mailboxes": api.url("/mailboxes"),
        "alerts": api.url("/alerts"),
        "who changed what": api.url("/audit"),
        "the API": api.url("/openapi.json"),
    }
    for outcome in outcomes:
        urls[f"activities of {outcome.watched.person.name}"] = api.url(f"/mailboxes/{outcome.watched.mailbox_id}/activities")
    pictured = [one for outcome in outcomes for one in outcome.activities.values() if len(one["attachments"]) > 2]
    if pictured:
        urls["a message with pictures"] = api.url(f"/activities/{pictured[0]['id']}")
        urls["its body"] = api.url(f"/activities/{pictured[0]['id']}/body")
    urls["log of the host"] = str(play.machine.host.log)
    urls["more mail, over SMTP"] = f"127.0.0.1:{play.machine.smtp_port}, to {ANNA.address}; it is read within a minute"
    return urls


@contextmanager
def _progress(console: Console) -> Iterator[Progress]:
    columns = (TextColumn("{task.description:30}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    with Progress(*columns, console=console) as progress:
        yield progress

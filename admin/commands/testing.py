"""Test & enable: asks for the test of one mailbox or of all of a profile, and waits for what comes of it.

The outcome of a workload is in once an alert tells it, or once its schedule shows another failure than before: the server says
nothing about a request itself, because what it queues may be done twice.
"""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Annotated

import typer
from rich.text import Text

from admin.addresses import MailboxFinder
from admin.commands.reporting import AsJson, session_of
from admin.connection import Fields, path_part
from admin.failures import ExitCode, WrongUsage
from admin.session import Session

LOOK_EVERY = 1.0
"""Seconds."""
WORKLOADS = ("incoming", "outgoing", "act")
_PROFILE_BREAKER = "profile_breaker_open"
_SUCCEEDED = "test_succeeded"
"""Code of the alert that tells it; the schedule may be written a moment later, after a failure too."""
_STYLES = {"success": "green", "failure": "red"}
NO_OUTCOME = "no outcome yet"


def request_test(
    context: typer.Context,
    mailbox: Annotated[str | None, typer.Argument(metavar="[MAILBOX]", help="Id or email address.")] = None,
    profile: Annotated[str | None, typer.Option(help="All mailboxes of this profile instead.")] = None,
    timeout: Annotated[float, typer.Option(min=1, help="Seconds to wait for the outcome.")] = 300,
    as_json: AsJson = False,
) -> None:
    """Test mailboxes for real, enable what works, and say what to change where it does not."""
    session = session_of(context)
    if (mailbox is None) == (profile is None):
        raise WrongUsage("name either a mailbox or a profile", "Write `test MAILBOX` or `test --profile PROFILE`.")
    target = _of_mailbox(session, mailbox) if mailbox is not None else _of_profile(profile or "")
    before = _look(session, target)
    session.api.post(target.request)
    outcomes = _wait(session, target, before, timeout)
    if as_json:
        session.screen.json(outcomes)
    else:
        _show(session, outcomes)
    if any(each["status"] in ("failure", NO_OUTCOME) for each in outcomes):
        raise typer.Exit(ExitCode.REFUSED)


@dataclass(frozen=True, slots=True)
class _Target:
    request: str
    mailbox_id: str | None = None
    profile_id: str | None = None


@dataclass(frozen=True, slots=True)
class _Sight:
    """Mailboxes by id, and alerts by id, at one moment."""

    mailboxes: Mapping[str, Fields]
    alerts: Mapping[str, Fields]


@dataclass(frozen=True, slots=True)
class _News:
    """Alerts by what they are about: those that were raised since, and all that stand."""

    raised: Mapping[str, Sequence[Fields]]
    standing: Mapping[str, Sequence[Fields]]


def _news(before: _Sight, sight: _Sight) -> _News:
    raised = [alert for id_, alert in sight.alerts.items() if _raised(alert) != _raised(before.alerts.get(id_))]
    return _News(_by_subject(raised), _by_subject(sight.alerts.values()))


def _by_subject(alerts: Iterable[Fields]) -> Mapping[str, Sequence[Fields]]:
    found = defaultdict(list)
    for alert in alerts:
        found[alert["about"]].append(alert)
    return found


def _of_mailbox(session: Session, name: str) -> _Target:
    mailbox_id = MailboxFinder(session.api).id_of(name)
    return _Target(f"/api/mailboxes/{path_part(mailbox_id)}/test", mailbox_id=mailbox_id)


def _of_profile(profile_id: str) -> _Target:
    return _Target(f"/api/profiles/{path_part(profile_id)}/test", profile_id=profile_id)


def _look(session: Session, target: _Target) -> _Sight:
    """Mailboxes first: a test raises its alert before it writes the schedule, so no outcome is seen without its alert."""
    if target.mailbox_id is None:
        found = [each for each in session.api.entries("/api/mailboxes") if each["profile_id"] == target.profile_id]
        mailboxes = [each for each in found if each["active"]]
        alerts = list(session.api.entries("/api/alerts"))
    else:
        mailboxes = [session.api.get(f"/api/mailboxes/{path_part(target.mailbox_id)}")]
        subjects = [f"mailbox:{target.mailbox_id}"]
        if mailboxes[0]["profile_id"]:
            subjects.append(f"profile:{mailboxes[0]['profile_id']}")
        alerts = [alert for about in subjects for alert in session.api.entries("/api/alerts", about=about)]
    return _Sight({each["id"]: each for each in mailboxes}, {each["id"]: each for each in alerts})


def _wait(session: Session, target: _Target, before: _Sight, timeout: float) -> Sequence[Fields]:
    expected = [(mailbox, name) for mailbox in before.mailboxes.values() for name in _tested(mailbox)]
    deadline = session.surroundings.now() + timeout
    with session.screen.progress() as progress:
        task = progress.add_task("Testing", total=len(expected))
        while True:
            sight = _look(session, target) if expected else before
            news = _news(before, sight)
            outcomes = [_outcome(mailbox, name, sight.mailboxes.get(mailbox["id"]), news) for mailbox, name in expected]
            missing = sum(each["status"] == NO_OUTCOME for each in outcomes)
            progress.update(task, completed=len(expected) - missing)
            if not missing or session.surroundings.now() >= deadline:
                return outcomes
            session.surroundings.pause(LOOK_EVERY)


def _tested(mailbox: Fields) -> Sequence[str]:
    return [name for name in WORKLOADS if mailbox[f"{name}_method"] == "server_side"]


def _outcome(mailbox: Fields, workload: str, present: Fields | None, news: _News) -> Fields:
    """`mailbox` as it was before, `present` as it is now."""
    outcome = {"mailbox_id": mailbox["id"], "address": mailbox["address"], "workload": workload}
    if present is None:
        return outcome | {"status": NO_OUTCOME, "cause": "", "remedy": "The mailbox is no longer there."}
    shown = present["workloads"][workload]
    told = _about(workload, news.raised.get(f"mailbox:{mailbox['id']}", ()))
    own = next((alert for alert in told if "workload" in alert["parameters"]), None)
    if own is not None:
        status = "success" if own["code"] == _SUCCEEDED else "failure" if own["level"] == "error" else shown["status"]
        return outcome | {"status": status, "cause": own["cause"], "remedy": own["remedy"]}
    failed_anew = _signature(shown) != _signature(mailbox["workloads"][workload]) or any(
        alert["code"] == shown["last_error"] for alert in told
    )
    if shown["status"] == "failure" and failed_anew:
        standing = news.standing.get(f"profile:{mailbox['profile_id']}", ())
        return outcome | _failure(shown, [*told, *_about(workload, standing)])
    return outcome | {"status": NO_OUTCOME, "cause": "", "remedy": "Ask again later; `alerts` says whether queues are stuck."}


def _about(workload: str, alerts: Sequence[Fields]) -> Sequence[Fields]:
    """Those that name the workload, then those that name none."""
    meant = [alert for alert in alerts if alert["parameters"].get("workload", workload) == workload]
    return sorted(meant, key=lambda alert: "workload" not in alert["parameters"])


def _failure(shown: Fields, alerts: Sequence[Fields]) -> Fields:
    """Cause and remedy as the alert of this error tells them, else as the workload itself."""
    alert = next((each for each in alerts if each["code"] == shown["last_error"]), None)
    if alert is not None:
        return {"status": "failure", "cause": alert["cause"], "remedy": alert["remedy"]}
    cause, remedy = shown.get("ineligible_cause"), shown.get("ineligible_remedy")
    return {"status": "failure", "cause": cause or shown["last_error"] or "", "remedy": remedy or ""}


def _raised(alert: Fields | None) -> object:
    return alert and alert["raised_on"]


def _signature(workload: Fields) -> Sequence[object]:
    """What another failure changes. Being enqueued changes the due time alone, and a breaker keeps that from happening."""
    names = ["status", "last_run_on", "last_error", "failures", "breaker"]
    return [workload[name] for name in (*names, "due") if name != "due" or workload["last_error"] == _PROFILE_BREAKER]


def _show(session: Session, outcomes: Sequence[Fields]) -> None:
    rows = (
        [
            each["address"],
            each["workload"],
            Text(each["status"], _STYLES.get(each["status"], "yellow")),
            each["cause"],
            each["remedy"],
        ]
        for each in outcomes
    )
    columns = ("Mailbox", "Workload", "Status", "Cause", "What to do")
    session.screen.table(columns, rows, empty="No mailbox has a workload with server-side synchronization.")

"""The checks on what is left alone: mailboxes that are not to be read, and servers that have nothing new to say."""

import time
from collections.abc import Callable, Sequence
from functools import partial

from local.demo.api import Api
from local.demo.check import Checks, Finding
from local.demo.outcome import Watched
from local.mailserver.remote import MailServerControl

_PATIENCE = 30.0


def check_untouched(checks: Checks, api: Api, control: MailServerControl, watched: Sequence[Watched]) -> None:
    for one in watched:
        name = f"{one.person.name}: the mailbox is {one.person.standing.value}, so it is not read, and says why"
        checks.make(name, partial(_untouched, api, control, one))


def _untouched(api: Api, control: MailServerControl, watched: Watched) -> Finding:
    asked = control.requests.count(mailbox=watched.person.address, head="ews")
    runs = len(list(api.everything(f"/mailboxes/{watched.mailbox_id}/runs")))
    activities = len(list(api.everything(f"/mailboxes/{watched.mailbox_id}/activities")))
    incoming = api.get(f"/mailboxes/{watched.mailbox_id}")["workloads"]["incoming"]
    cause = incoming["ineligible_cause"]
    nothing = (asked, runs, activities) == (0, 0, 0)
    detail = f"{watched.delivered} messages wait, {asked} requests, {runs} runs, {activities} activities. {cause}"
    return nothing and not incoming["eligible"] and bool(cause), detail


def check_idle(
    checks: Checks, api: Api, control: MailServerControl, watched: Watched, enumerate_now: Callable[[], None]
) -> None:
    checks.make(
        "a mailbox with nothing new costs one request per folder (Inbox, Sent Items), and no run is listed",
        lambda: _idle(api, control, watched, enumerate_now),
    )


def _idle(api: Api, control: MailServerControl, watched: Watched, enumerate_now: Callable[[], None]) -> Finding:
    path = f"/mailboxes/{watched.mailbox_id}"
    runs = len(list(api.everything(f"{path}/runs")))
    last_run_on = api.get(path)["workloads"]["incoming"]["last_run_on"]
    asked = control.requests.count(mailbox=watched.person.address, head="ews")
    api.post(f"{path}/sync")
    enumerate_now()
    deadline = time.monotonic() + _PATIENCE
    while api.get(path)["workloads"]["incoming"]["last_run_on"] == last_run_on:
        if time.monotonic() > deadline:
            return False, "the mailbox was not polled again"
        time.sleep(0.2)
    requests = [one.operation for one in control.requests.of(mailbox=watched.person.address, head="ews")[asked:]]
    more_runs = len(list(api.everything(f"{path}/runs"))) - runs
    return len(requests) == 2 and more_runs == 0, f"{', '.join(requests)}; {more_runs} more runs"

"""The checks on mailboxes that are not to be read: nothing of theirs was asked for, and each says why."""

from collections.abc import Sequence
from functools import partial

from local.demo.api import Api
from local.demo.check import Checks, Finding
from local.demo.outcome import Watched
from local.mailserver.remote import MailServerControl


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

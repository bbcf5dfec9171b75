"""Configures the sample organisation the way an administrator does: over HTTP, with the function key."""

from collections.abc import Mapping
from datetime import datetime

from local.demo.api import Api
from local.samples import START_DATE_AGO
from local.samples.judged import EXCLUDED_DOMAIN
from local.samples.people import DOMAIN, PEOPLE, Person, Standing

PROFILE = "contoso-exchange"
SERVICE_ACCOUNT = "svc-sidesync"
SERVICE_PASSWORD = "correct horse battery staple"
QUEUE = "support"
QUEUE_ADDRESS = f"support@{DOMAIN}"


def profile(ews_url: str, now: datetime) -> Mapping[str, object]:
    """One service account that may impersonate everybody."""
    return {
        "name": "Contoso Exchange",
        "server_type": "exchange_server",
        "incoming_location": ews_url,
        "authentication": "basic",
        "credential_source": "profile",
        "credentials": {"username": SERVICE_ACCOUNT, "secret": SERVICE_PASSWORD},
        "use_impersonation": True,
        "process_emails_received_after": (now - START_DATE_AGO).isoformat(),
    }


def configure(api: Api, ews_url: str, now: datetime) -> Mapping[str, str]:
    """Profile, settings, all users and a queue; the mailboxes of users wait for approval. Returns those by address."""
    api.put(f"/profiles/{PROFILE}", profile(ews_url, now))
    judging = {"exclude": [EXCLUDED_DOMAIN], "track_sent_items": True}
    api.patch("/settings", {"default_profile_id": PROFILE, "require_approval_for_queues": False, **judging})
    api.put(f"/queues/{QUEUE}", {"name": "Support", "address": QUEUE_ADDRESS})
    return {person.address: _configure_user(api, person) for person in PEOPLE}


def approve(api: Api, mailboxes: Mapping[str, str]) -> None:
    """From here on mailboxes are read: all but the one that nobody approves."""
    for person in PEOPLE:
        if person.standing is not Standing.NOT_APPROVED:
            api.post(f"/mailboxes/{mailboxes[person.address]}/approve")


def user_id(person: Person) -> str:
    return person.address.partition("@")[0]


def _configure_user(api: Api, person: Person) -> str:
    """The mailbox comes with the user, on the default profile. All mail is accepted: the samples show what mail can be."""
    user = api.put(f"/users/{user_id(person)}", {"name": person.name, "address": person.address, "filtering_method": "all"})
    mailbox_id = str(user["mailbox_id"])
    if person.standing is Standing.WITHOUT_PROFILE:
        api.patch(f"/mailboxes/{mailbox_id}", {"profile_id": None})
    if person.standing is Standing.INACTIVE:
        api.post(f"/mailboxes/{mailbox_id}/deactivate")
    return mailbox_id

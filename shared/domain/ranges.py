"""The ranges of configuration fields: their one home. Rules enforce them, the API and the documentation show them.

A range is a named tuple, so that a rule takes it as its two bounds; both are included.
"""

from collections.abc import Mapping
from datetime import timedelta
from typing import NamedTuple

from shared.domain.configuration import Credentials, EmailServerProfile, Mailbox, Owner
from shared.domain.drafts import Draft, Recipient
from shared.domain.organisation import OrganisationSettings
from shared.domain.records import AddressBookRecord, FolderTrackingRule


class Numbers(NamedTuple):
    low: int
    high: int


class Durations(NamedTuple):
    low: timedelta
    high: timedelta


class Characters(NamedTuple):
    low: int
    high: int


class Entries(NamedTuple):
    low: int
    high: int


type Range = Numbers | Durations | Characters | Entries

NAME = Characters(1, 100)
ADDRESS = Characters(3, 100)
"""mailbox.emailaddress and queue.emailaddress have 100 characters in the model."""
PORT = Numbers(1, 65535)
POLLING_INTERVAL = Durations(timedelta(), timedelta(minutes=1440))
"""minpollingintervalinminutes."""
TIMEOUT = Durations(timedelta(seconds=1), timedelta(seconds=100))
"""timeoutmailboxconnectionafteramount; its zero would mean that no call ever succeeds."""
CONNECTIONS = Numbers(1, 300)
"""maxconcurrentconnections."""
PROFILE_USERNAME = Characters(1, 250)
MAILBOX_USERNAME = Characters(1, 200)
CLIENT_ID = Characters(1, 100)
TRACKING_PREFIX = Characters(1, 20)
TRACKING_DIGITS = Numbers(4, 12)
FORMER_PREFIXES = Entries(0, 20)
CATEGORY = Characters(1, 100)
"""Name of a category in mailboxes; Outlook allows 255 characters."""
LONGEST_SUBJECT = Numbers(255, 400)
"""maximumsubjectlengthonmailserver; Exchange keeps 255 characters of a subject."""
EMAILS_PER_MINUTE = Numbers(1, 6000)
DELIVERY_ATTEMPTS = Numbers(1, 100)
MESSAGE_SIZE = Numbers(1, 150 * 1024 * 1024)
RETENTION = Durations(timedelta(days=1), timedelta(days=3650))
EXCLUDED = Entries(0, 1000)
BLOCKED_ATTACHMENTS = Entries(0, 200)
RECORD_NAME = Characters(1, 160)
"""contact.fullname and account.name have 160 characters in the model."""
RECORD_ADDRESSES = Entries(0, 3)
FOLDER_ID = Characters(1, 1024)
FOLDER_NAME = Characters(1, 256)
"""exchangefoldername."""
RECIPIENT_ADDRESS = Characters(1, 320)
"""activityparty.addressused."""
RECIPIENT_NAME = Characters(0, 200)
"""activityparty.unresolvedpartyname."""
RECIPIENTS = Entries(0, 500)
"""Of each kind, and of all together."""
EMAIL_SUBJECT = Characters(0, 800)
BODY = Characters(0, 2_000_000)
RULES_OF_A_MAILBOX = 25
"""Folder-level tracking rules of one mailbox at most (maxfolderbasedtrackingmappings)."""

RANGES: Mapping[type, Mapping[str, Range]] = {
    OrganisationSettings: {
        "exclude": EXCLUDED,
        "tracking_prefix": TRACKING_PREFIX,
        "former_tracking_prefixes": FORMER_PREFIXES,
        "tracking_digits": TRACKING_DIGITS,
        "longest_subject": LONGEST_SUBJECT,
        "tracked_category": CATEGORY,
        "undeliverable_category": CATEGORY,
        "largest_message": MESSAGE_SIZE,
        "largest_attachment": MESSAGE_SIZE,
        "blocked_attachments": BLOCKED_ATTACHMENTS,
        "keep_runs": RETENTION,
        "keep_ledger_details": RETENTION,
        "keep_alerts": RETENTION,
        "keep_audit": RETENTION,
    },
    EmailServerProfile: {
        "name": NAME,
        "incoming_port": PORT,
        "outgoing_port": PORT,
        "emails_per_minute": EMAILS_PER_MINUTE,
        "delivery_attempts": DELIVERY_ATTEMPTS,
        "min_polling_interval": POLLING_INTERVAL,
        "max_connections": CONNECTIONS,
        "timeout": TIMEOUT,
        "owner_address": ADDRESS,
    },
    Credentials: {"username": PROFILE_USERNAME, "client_id": CLIENT_ID},
    Owner: {"name": NAME, "address": ADDRESS},
    Mailbox: {"name": NAME, "address": ADDRESS},
    FolderTrackingRule: {"folder_id": FOLDER_ID, "folder_name": FOLDER_NAME},
    AddressBookRecord: {"name": RECORD_NAME, "addresses": RECORD_ADDRESSES},
    Recipient: {"address": RECIPIENT_ADDRESS, "name": RECIPIENT_NAME},
    Draft: {
        "to": RECIPIENTS,
        "cc": RECIPIENTS,
        "bcc": RECIPIENTS,
        "subject": EMAIL_SUBJECT,
        "body_html": BODY,
        "body_text": BODY,
    },
}
"""By record and field."""

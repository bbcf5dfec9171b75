"""Identifiers, and how they are derived.

An id that can be derived needs nobody to check whether it exists already: the same input names the same row, in every
process and on every repetition. Namespaces are fixed for ever; changing one orphans every row derived from it.
"""

import hashlib
from typing import NewType
from uuid import UUID, uuid5

from shared.domain.choices import Direction, OwnerKind

ProfileId = NewType("ProfileId", str)
OwnerId = NewType("OwnerId", str)
MailboxId = NewType("MailboxId", str)
ActivityId = NewType("ActivityId", str)
RunId = NewType("RunId", str)

_MAILBOXES = UUID("6f1ad3a4-58c9-5c55-9d2c-0a4f9e7a1f01")
_EMAILS = UUID("0b8a7b1e-9f43-5a0d-8a52-5f0f6f2d7c02")
_CONTACTS = UUID("3d5e0c7a-1b62-5f94-a7c8-92e4b6d10f03")
_WRITTEN = UUID("a2c41f58-7d90-5be3-8f16-4c0d7b93e504")


def mailbox_id_of(kind: OwnerKind, owner: OwnerId) -> MailboxId:
    """The one mailbox of an owner: derived, so a second one cannot exist."""
    return MailboxId(str(uuid5(_MAILBOXES, f"{kind}:{owner}")))


def email_id(message_id: str, direction: Direction) -> ActivityId:
    """The activity id of an email: the same message in ten mailboxes is one activity."""
    return ActivityId(str(uuid5(_EMAILS, f"{direction.value}:{message_id}")))


def variant_id(message_id: str, direction: Direction, fingerprint: str) -> ActivityId:
    """The activity id of an email whose Message-ID is taken by other content, and the folder name of any email's blobs."""
    return ActivityId(str(uuid5(_EMAILS, f"{direction.value}:{message_id}:{fingerprint}")))


def email_folder(content_id: ActivityId) -> str:
    """What the names of all blobs of an email start with: of no other email, for they are named after what it says."""
    return f"emails/{content_id}/"


def contact_id_of(address: str) -> str:
    """The id of the contact that a sender with this normalised address becomes: however often he writes, he becomes one."""
    return str(uuid5(_CONTACTS, address))


def message_id_of(kind: OwnerKind, sender: OwnerId, key: str, domain: str) -> str:
    """The Message-ID of an email that is written here, normalised: whoever repeats the key names the same one."""
    return f"{uuid5(_WRITTEN, f'{kind}:{sender}:{key}')}@{domain}"


def normalised_message_id(value: str | None) -> str | None:
    """A Message-ID without surrounding space and angle brackets. Case is kept: the left part is case-sensitive (RFC 5322)."""
    if value is None:
        return None
    trimmed = value.strip().removeprefix("<").removesuffix(">").strip()
    return trimmed or None


def normalised_address(value: str) -> str:
    """An email address as it is compared: without surrounding space, in lower case (no server in use tells cases apart)."""
    return value.strip().lower()


def short_hash(value: str) -> str:
    """128 bits of SHA-256 in hexadecimal: stands for free text (addresses, ids of servers) in keys."""
    return hashlib.sha256(value.encode("utf-8", "surrogatepass")).hexdigest()[:32]

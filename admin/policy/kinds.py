"""The records that a policy holds: where each stands in the file and in the API, and in which order they are written."""

from dataclasses import dataclass
from enum import Enum
from typing import NamedTuple


class _Place(NamedTuple):
    label: str
    section: str
    """Key of the file: at its top, or within the record that this one belongs to."""
    path: str
    """Of one record; `{}` stands for ids."""
    in_parts: bool = True
    """The list comes in parts."""
    merged: bool = True
    """Changes are sent as a merge patch; else the whole record is put."""
    created: bool = True
    """Created by a PUT; else it is there with its owner, or from the beginning."""


class Kind(Enum):
    """In the order in which they are created: what a record names comes before it."""

    SETTINGS = _Place("settings", "settings", "/api/settings", created=False)
    PROFILE = _Place("profile", "profiles", "/api/profiles/{}", in_parts=False)
    USER = _Place("user", "users", "/api/users/{}")
    QUEUE = _Place("queue", "queues", "/api/queues/{}")
    FORWARD_MAILBOX = _Place("forward mailbox", "forward_mailboxes", "/api/mailboxes/{}", merged=False)
    MAILBOX = _Place("mailbox", "mailbox", "/api/mailboxes/{}", created=False)
    RULE = _Place("tracking rule", "tracking_rules", "/api/mailboxes/{}/rules/{}", in_parts=False)

    @property
    def label(self) -> str:
        return self.value.label

    @property
    def section(self) -> str:
        return self.value.section

    @property
    def template(self) -> str:
        return self.value.path

    @property
    def collection(self) -> str:
        """Path of the list; of one with `{}` that of the record above has to be put in."""
        return self.value.path.removesuffix("/{}")

    @property
    def comes_in_parts(self) -> bool:
        return self.value.in_parts

    @property
    def is_merged(self) -> bool:
        return self.value.merged

    @property
    def is_created(self) -> bool:
        return self.value.created

    @property
    def owns_mailbox(self) -> bool:
        return self in (Kind.USER, Kind.QUEUE)


IDENTIFIED = (Kind.PROFILE, Kind.USER, Kind.QUEUE, Kind.FORWARD_MAILBOX)
"""Kinds whose records stand in the file under ids that the administrator chooses."""
DEFAULT_PROFILE = "default_profile_id"
"""The one setting that names a record; it is written after the profiles."""


@dataclass(frozen=True, slots=True)
class Key:
    """Names one record of the file, before anybody knows ids that the server derives."""

    kind: Kind
    id: str = ""
    of: "Key | None" = None
    """A mailbox's user or queue; a rule's mailbox."""
    step: str = ""
    """The settings are written in two steps."""

    def __str__(self) -> str:
        match self.kind, self.of:
            case Kind.MAILBOX, Key() as owner:
                return f"mailbox of {owner}"
            case Kind.RULE, Key() as mailbox:
                return f"tracking rule {self.id} of {mailbox}"
            case _:
                return f"{self.kind.label} {self.id}".rstrip()

    @property
    def owner(self) -> "Key":
        """The record of IDENTIFIED (or the settings) that this one stands under."""
        return self if self.of is None else self.of.owner

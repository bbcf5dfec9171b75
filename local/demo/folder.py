"""`MAIL=folder`: somebody's own .eml files, delivered as they are to one mailbox, and what became of each."""

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from local.demo.api import Api, Json
from local.mailserver.message import Message, spooled
from shared.domain.ids import normalised_message_id


@dataclass(frozen=True, slots=True)
class DeliveredFile:
    path: Path
    identity: str
    """The Message-ID as the server reads it; the server's id of the item where there is none."""


@dataclass(frozen=True, slots=True)
class Account:
    """What became of a file; `item` is None where nothing is known of it."""

    file: DeliveredFile
    item: Json | None

    @property
    def ok(self) -> bool:
        """An activity, or quarantined, or skipped for a reason."""
        return self.item is not None and self.item["verdict"] in ("promoted", "quarantined", "skipped")

    @property
    def told(self) -> str:
        if self.item is None:
            return "nothing is known of it"
        return f"{self.item['verdict']} ({self.item['reason']})"


def eml_files(folder: Path) -> Sequence[Path]:
    return sorted(path for path in folder.rglob("*") if path.suffix.lower() == ".eml" and path.is_file())


def as_delivered(path: Path, raw: bytes, item_id: str) -> DeliveredFile:
    return DeliveredFile(path, normalised_message_id(Message(spooled(raw)).message_id) or item_id)


def account(api: Api, mailbox_id: str, files: Sequence[DeliveredFile]) -> Iterator[Account]:
    """One account for each file; files that share a Message-ID share out its items."""
    by_identity: Mapping[str, list[DeliveredFile]] = defaultdict(list)
    for file in files:
        by_identity[file.identity].append(file)
    for identity, same in by_identity.items():
        items = list(api.get(f"/mailboxes/{mailbox_id}/explain", message_id=identity)["items"])
        for file in same:
            yield Account(file, items.pop() if items else None)

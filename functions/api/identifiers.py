"""Identifiers in paths and queries: what does not look like one never reaches a store."""

from typing import Annotated

from fastapi import Path

from shared.administration.address_book import TYPE_PATTERN
from shared.administration.rules import ID_PATTERN, ID_REMEDY

UUID_PATTERN = r"^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$"
HASH_PATTERN = r"^[0-9a-f]{32}$"
SHA256_PATTERN = r"^[0-9a-f]{64}$"
SUBJECT_PATTERN = r"^(?:mailbox|profile|queue|load):[A-Za-z0-9._-]{1,64}$"
ANYTHING_PATTERN = r"^\s*\*\s*$"
RECORD_PATTERN = f"{TYPE_PATTERN.removesuffix('$')}:{ID_PATTERN.removeprefix('^')}"
ITEM_PATTERN = r"^[0-9a-f]{32}:[0-9a-f]{32}$"

FORMS = {
    ID_PATTERN: ID_REMEDY,
    SHA256_PATTERN: "Write 64 hexadecimal digits in lower case.",
    SUBJECT_PATTERN: "Write mailbox:, profile:, queue: or load:, and behind it an id or name.",
    ANYTHING_PATTERN: "Write *, or leave it out.",
    TYPE_PATTERN: "Use 1 to 64 lower-case letters, digits and underscores, first a letter, such as contact.",
    RECORD_PATTERN: "Write the type of a record, a colon, and its id, such as account:contoso.",
}
"""What to do about a value that does not match, for patterns that people cannot know from a list."""

ProfilePath = Annotated[
    str, Path(description="Id of the profile, chosen by whoever creates it.", pattern=ID_PATTERN, max_length=64)
]
OwnerPath = Annotated[
    str, Path(description="Id of the user or queue, chosen by whoever creates it.", pattern=ID_PATTERN, max_length=64)
]
MailboxPath = Annotated[
    str,
    Path(
        description="Id of the mailbox: derived from its owner, or of a forward mailbox chosen by whoever creates it.",
        pattern=ID_PATTERN,
        max_length=64,
    ),
]
FolderPath = Annotated[str, Path(description="The server's id of the folder, percent-encoded.", min_length=1, max_length=1024)]
ActivityPath = Annotated[str, Path(description="Id of the activity.", pattern=UUID_PATTERN)]
UploadPath = Annotated[str, Path(description="Id of the upload.", pattern=HASH_PATTERN)]
PartPath = Annotated[int, Path(description="Number of the part, counted from 0.", ge=0, le=10_000)]
AlertPath = Annotated[str, Path(description="Id of the alert.", pattern=HASH_PATTERN)]
AttachmentPath = Annotated[int, Path(description="Number of the attachment, counted from 0.", ge=0, le=100_000)]
ItemPath = Annotated[str, Path(description="Id of the quarantined item, as the list shows it.", pattern=ITEM_PATTERN)]

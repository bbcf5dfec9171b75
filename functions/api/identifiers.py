"""Identifiers in paths and queries: what does not look like one never reaches a store."""

from typing import Annotated

from fastapi import Path

from shared.administration.rules import ID_PATTERN

UUID_PATTERN = r"^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$"

ProfilePath = Annotated[
    str, Path(description="Id of the profile, chosen by whoever creates it.", pattern=ID_PATTERN, max_length=64)
]
UserPath = Annotated[str, Path(description="Id of the user, chosen by whoever creates it.", pattern=ID_PATTERN, max_length=64)]
MailboxPath = Annotated[str, Path(description="Id of the mailbox, derived from its owner.", pattern=UUID_PATTERN)]
ActivityPath = Annotated[str, Path(description="Id of the activity.", pattern=UUID_PATTERN)]
AttachmentPath = Annotated[int, Path(description="Number of the attachment, counted from 0.", ge=0, le=100_000)]

"""Attachments of emails that are written here, on their way in and out: what their blobs are called, and what an upload is by
which an attachment is known before its content is there, while it is, and while it is removed.

Every blob of an attachment lies below the folder of its email, so that it goes with that at the latest.
"""

from dataclasses import replace

from shared.domain.email import Attachment, EmailActivity
from shared.domain.ids import email_folder

_IN_REMOVAL = "removed-"
"""Before the name of an upload that nobody can go on with: its content is being removed."""


def all_parts_folder(email: EmailActivity) -> str:
    return f"{email_folder(email.content_id)}parts/"


def parts_folder(email: EmailActivity, upload: str) -> str:
    return f"{all_parts_folder(email)}{upload}/"


def part_of(email: EmailActivity, upload: str, number: int) -> str:
    return f"{parts_folder(email, upload)}{number}"


def content_folder(email: EmailActivity, upload: str) -> str:
    """Of the whole content: a hash is its name."""
    return f"{email_folder(email.content_id)}{upload}/"


def content_blob(email: EmailActivity, upload: str, sha256: str) -> str:
    return f"{content_folder(email, upload)}{sha256}"


def upload_of(email: EmailActivity, attachment: Attachment) -> str:
    """The upload by which it came; that of one that is complete is the folder of its content. Before there were such folders,
    the upload stood before the hash."""
    if attachment.upload is not None:
        return attachment.upload.removeprefix(_IN_REMOVAL)
    name = attachment.blob.removeprefix(email_folder(email.content_id))
    return name.partition("/")[0].partition("-")[0]


def with_content(attachment: Attachment, blob: str, sha256: str) -> Attachment:
    return replace(attachment, blob=blob, sha256=sha256, upload=None)


def in_removal(email: EmailActivity, attachment: Attachment) -> Attachment:
    """It still names its blob: whoever is cut off finds what is to go."""
    return replace(attachment, upload=_IN_REMOVAL + upload_of(email, attachment))


def is_in_removal(attachment: Attachment) -> bool:
    return attachment.upload is not None and attachment.upload.startswith(_IN_REMOVAL)

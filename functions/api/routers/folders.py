"""The folders of a mailbox over HTTP, for choosing which one a tracking rule is about."""

from typing import Annotated

from fastapi import APIRouter, Query

from functions.api.documented import ACTS
from functions.api.identifiers import MailboxPath
from functions.api.schemas.previews import FoldersShown
from shared.administration import Administration
from shared.domain.ids import MailboxId
from shared.sync.folders import Folders

Anew = Annotated[bool, Query(description="Read them from the mail server now, also where they were read just before.")]


def folders(administration: Administration, use: Folders) -> APIRouter:
    router = APIRouter(prefix="/mailboxes/{mailbox_id}/folders", tags=["tracking rules"])

    @router.get("", summary="List the folders below the Inbox", responses=ACTS)
    def list_folders(mailbox_id: MailboxPath, anew: Anew = False) -> FoldersShown:
        """As they were read in the last quarter of an hour, else as they are now. 409 where the mailbox cannot be opened, with
        the reason."""
        administration.mailboxes.get(MailboxId(mailbox_id))
        return FoldersShown.of(use.below_inbox(MailboxId(mailbox_id), anew=anew))

    return router

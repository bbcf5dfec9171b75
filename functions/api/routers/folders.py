"""The folders of a mailbox over HTTP, for choosing which one a tracking rule is about."""

from fastapi import APIRouter

from functions.api.documented import ACTS
from functions.api.identifiers import MailboxPath
from functions.api.schemas.previews import FoldersShown
from shared.administration import Administration
from shared.domain.ids import MailboxId
from shared.sync.folders import Folders


def folders(administration: Administration, use: Folders) -> APIRouter:
    router = APIRouter(prefix="/mailboxes/{mailbox_id}/folders", tags=["tracking rules"])

    def read(mailbox_id: str, *, anew: bool) -> FoldersShown:
        administration.mailboxes.get(MailboxId(mailbox_id))
        return FoldersShown.of(use.below_inbox(MailboxId(mailbox_id), anew=anew))

    @router.get("", summary="List the folders below the Inbox", responses=ACTS)
    def list_folders(mailbox_id: MailboxPath) -> FoldersShown:
        """As they were read in the last quarter of an hour, else as they are now. 409 where the mailbox cannot be opened, with
        the reason."""
        return read(mailbox_id, anew=False)

    @router.post("/refresh", summary="Read the folders below the Inbox again", responses=ACTS)
    def refresh_folders(mailbox_id: MailboxPath) -> FoldersShown:
        """As they are now, however recently they were read. As often as it is asked for, the mail server is asked: that is for
        administrators. 409 where the mailbox cannot be opened, with the reason."""
        return read(mailbox_id, anew=True)

    return router

"""The folders of a mailbox, for choosing which one a tracking rule is about."""

from datetime import timedelta

from shared.domain.folders import KnownTree
from shared.domain.ids import MailboxId
from shared.ports import Clock, Discover, FolderTree, OpenMailbox, Stores
from shared.sync.visiting import Visiting
from shared.sync.watching import TREE_LIFE


class Folders:
    def __init__(self, stores: Stores, open_mailbox: OpenMailbox, clock: Clock, discover: Discover | None = None) -> None:
        self._stores = stores
        self._clock = clock
        self._visiting = Visiting(stores, open_mailbox, clock, discover)

    def below_inbox(self, mailbox_id: MailboxId, *, anew: bool = False) -> KnownTree:
        """The folders below the Inbox as they were read in the last quarter of an hour, else (or `anew`) as they are now, which
        is kept. None of a mailbox without a tree of folders. Raises MailboxError where it must not or cannot be opened,
        TransientError."""
        now = self._clock()
        known = self._stores.folder_trees.get(mailbox_id)
        if known is not None and not anew and timedelta() <= now - known.read_on < TREE_LIFE:  # clocks are set back, too
            return known
        with self._visiting.visit(mailbox_id) as visit:
            found = tuple(visit.mail.tree()) if isinstance(visit.mail, FolderTree) else ()
        tree = KnownTree(found, now)
        self._stores.folder_trees.put(mailbox_id, tree)
        return tree

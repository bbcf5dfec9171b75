"""Which folders of a mailbox a run reads, and which folder-level tracking rule holds in each.

Watched are the folders that the connector always names (the Inbox), those of active rules, and Sent Items where they are
tracked. The tree below the Inbox is read from the server and remembered, so that a poll costs no request for it.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import timedelta

from shared.domain.folders import SENT_ITEMS, Folder, KnownTree, TreeFolder
from shared.domain.ids import MailboxId
from shared.domain.records import FolderTrackingRule
from shared.ports import Clock, FolderTree, IncomingEmail, Stores

TREE_LIFE = timedelta(minutes=15)
"""How long folders that were read count as what is there."""
TREE_LIFE_WITHOUT_A_FOLDER = timedelta(minutes=1)
"""The same, where the folder of a rule is not among them: it may have been made since."""


@dataclass(frozen=True, slots=True)
class Watch:
    """What a run reads of a mailbox."""

    folders: tuple[Folder, ...]
    rules: Mapping[str, FolderTrackingRule] = field(default_factory=dict)
    """The rule that holds in a folder, by the folder's id."""
    lost: tuple[FolderTrackingRule, ...] = ()
    """Active rules whose folder is not below the Inbox any more, where that was looked up just now."""


class Watching:
    """What one run watches."""

    def __init__(self, stores: Stores, mailbox_id: MailboxId, clock: Clock, *, has_rules: bool) -> None:
        """`has_rules` False: the store says that the mailbox never had any, so that nothing is asked."""
        self._stores = stores
        self._mailbox_id = mailbox_id
        self._clock = clock
        self._has_rules = has_rules

    def watch(self, mail: IncomingEmail, *, sent: bool, anew: bool = False) -> Watch:
        """What to read now. `sent`: Sent Items too. `anew`: a folder that was thought to be there is not, so the tree is read
        again."""
        own = tuple(mail.folders())
        if not isinstance(mail, FolderTree):
            return Watch(own)
        sent_items = (SENT_ITEMS,) if sent else ()
        rules = self._rules()
        if not rules:
            return Watch((*own, *sent_items))
        tree, is_fresh = self._tree(mail, rules, anew=anew)
        holding = rules_that_hold(rules, tree.folders)
        ruled = tuple(Folder(folder.id, folder.name) for folder in tree.folders if folder.id in holding)
        lost = lost_rules(rules, tree.folders) if is_fresh else ()
        return Watch((*own, *ruled, *sent_items), holding, lost)

    def _rules(self) -> list[FolderTrackingRule]:
        if not self._has_rules:
            return []
        return [stored.record for stored in self._stores.tracking_rules.list(self._mailbox_id) if stored.record.active]

    def _tree(self, mail: FolderTree, rules: Sequence[FolderTrackingRule], *, anew: bool) -> tuple[KnownTree, bool]:
        """The tree, and whether it was read just now."""
        now = self._clock()
        known = self._stores.folder_trees.get(self._mailbox_id)
        if known is not None and not anew:
            life = TREE_LIFE_WITHOUT_A_FOLDER if lost_rules(rules, known.folders) else TREE_LIFE
            if timedelta() <= now - known.read_on < life:  # clocks are set back, too
                return known, False
        tree = KnownTree(tuple(mail.tree()), now)
        self._stores.folder_trees.put(self._mailbox_id, tree)
        return tree, True


def rules_that_hold(rules: Sequence[FolderTrackingRule], folders: Sequence[TreeFolder]) -> Mapping[str, FolderTrackingRule]:
    """The rule of every folder that one holds in: its own, else of the nearest one above that includes those below."""
    own = {rule.folder_id: rule for rule in rules}
    parents = {folder.id: folder.parent for folder in folders}
    holding = {}
    for folder in folders:
        if rule := own.get(folder.id) or _rule_from_above(folder, own, parents):
            holding[folder.id] = rule
    return holding


def lost_rules(rules: Sequence[FolderTrackingRule], folders: Sequence[TreeFolder]) -> tuple[FolderTrackingRule, ...]:
    """Rules whose folder is not below the Inbox (any more)."""
    present = {folder.id for folder in folders}
    return tuple(rule for rule in rules if rule.folder_id not in present)


def _rule_from_above(
    folder: TreeFolder, own: Mapping[str, FolderTrackingRule], parents: Mapping[str, str | None]
) -> FolderTrackingRule | None:
    seen = {folder.id}
    above = folder.parent
    while above is not None and above not in seen:  # a tree that was read while it changed may have a ring
        seen.add(above)
        rule = own.get(above)
        if rule is not None and rule.include_subfolders:
            return rule
        above = parents.get(above)
    return None

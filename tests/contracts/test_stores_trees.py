"""The contract of folder trees."""

from collections.abc import Callable, Iterator
from dataclasses import replace

import pytest

from shared.domain.errors import InvalidRecord
from shared.domain.folders import KnownTree, TreeFolder
from shared.domain.ids import MailboxId
from shared.ports import Stores
from shared.stores.account import StorageConnection, account_of
from shared.stores.azure import fast_gateway
from shared.stores.memory.work import MemoryBlobs
from shared.stores.tables.table import Table
from shared.stores.tables.trees import TableFolderTrees
from shared.stores.text_blobs import TextBlobs
from tests.contracts.records import MINUTE, NOW, an_id

ANNA = MailboxId(an_id("anna"))


def a_tree(folders: int = 3, name: str = "Projekte ü 日") -> KnownTree:
    """Each folder below the one before."""
    ids = [None, *(f"AAMk/{number}=" + "x" * 100 for number in range(folders))]
    return KnownTree(tuple(TreeFolder(str(ids[place + 1]), f"{name} {place}", ids[place]) for place in range(folders)), NOW)


class InterruptedBlobs(MemoryBlobs):
    """Something else happens before the next blob is read."""

    before_read: Callable[[], None] | None = None

    def read(self, name: str, offset: int = 0) -> Iterator[bytes]:
        act, self.before_read = self.before_read, None
        if act is not None:
            act()
        return super().read(name, offset)


@pytest.fixture
def blobs() -> InterruptedBlobs:
    return InterruptedBlobs()


@pytest.fixture
def trees(connection: StorageConnection, prefix: str, blobs: InterruptedBlobs) -> TableFolderTrees:
    return TableFolderTrees(Table(fast_gateway(account_of(connection)), f"{prefix}FolderTrees"), TextBlobs(blobs))


@pytest.mark.parametrize("folders", [0, 1, 150, 250, 20_000])
def test_a_tree_of_any_size_reads_as_it_was_written(stores: Stores, folders: int) -> None:
    stores.folder_trees.put(ANNA, a_tree(folders))
    assert stores.folder_trees.get(ANNA) == a_tree(folders)


def test_a_mailbox_whose_folders_were_never_read_has_no_tree(stores: Stores) -> None:
    stores.folder_trees.put(ANNA, a_tree())
    assert stores.folder_trees.get(MailboxId(an_id("bert"))) is None
    assert stores.folder_trees.get(MailboxId("no/key")) is None


def test_a_tree_takes_the_place_of_the_one_before(stores: Stores) -> None:
    for tree in (a_tree(500), a_tree(2), a_tree(600), a_tree(600, "renamed"), replace(a_tree(1), read_on=NOW + MINUTE)):
        stores.folder_trees.put(ANNA, tree)
        assert stores.folder_trees.get(ANNA) == tree


@pytest.mark.parametrize("folders", [3, 500])
def test_a_tree_is_deleted_once_and_for_all(stores: Stores, folders: int) -> None:
    stores.folder_trees.put(ANNA, a_tree(folders))
    for _ in range(2):
        stores.folder_trees.delete(ANNA)
        assert stores.folder_trees.get(ANNA) is None
    stores.folder_trees.delete(MailboxId("no/key"))
    stores.folder_trees.put(ANNA, a_tree(folders))
    assert stores.folder_trees.get(ANNA) == a_tree(folders)


def test_a_deleted_tree_leaves_no_blob(trees: TableFolderTrees, blobs: InterruptedBlobs) -> None:
    trees.put(ANNA, a_tree(500))
    trees.delete(ANNA)
    assert list(blobs.snapshot()) == []


def test_half_a_character_in_a_name_is_replaced(stores: Stores) -> None:
    stores.folder_trees.put(ANNA, a_tree(1, "a\ud800"))
    assert stores.folder_trees.get(ANNA) == a_tree(1, "a\ufffd")


def test_an_id_that_cannot_be_a_key_is_refused(stores: Stores) -> None:
    with pytest.raises(InvalidRecord) as caught:
        stores.folder_trees.put(MailboxId("a/b"), a_tree())
    assert caught.value.field == "mailbox_id"


def test_only_the_blob_of_the_last_tree_stays(trees: TableFolderTrees, blobs: InterruptedBlobs) -> None:
    for tree in (a_tree(500), a_tree(600), a_tree(600)):
        trees.put(ANNA, tree)
        assert len(blobs.snapshot()) == 1
    trees.put(ANNA, a_tree(1))
    assert blobs.snapshot() == {}


def test_a_tree_that_is_replaced_while_it_is_read_is_read_again(trees: TableFolderTrees, blobs: InterruptedBlobs) -> None:
    trees.put(ANNA, a_tree(500))
    blobs.before_read = lambda: trees.put(ANNA, a_tree(600))
    assert trees.get(ANNA) == a_tree(600)
    blobs.before_read = lambda: trees.put(ANNA, a_tree(2))
    assert trees.get(ANNA) == a_tree(2)


def test_a_tree_whose_blob_is_lost_is_none(trees: TableFolderTrees, blobs: InterruptedBlobs) -> None:
    trees.put(ANNA, a_tree(500))
    for name in blobs.snapshot():
        blobs.delete(name)
    assert trees.get(ANNA) is None

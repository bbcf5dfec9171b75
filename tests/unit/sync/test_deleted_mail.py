"""What becomes of a message whose email somebody deleted, when another mailbox brings it again."""

from dataclasses import replace

from shared.domain.choices import Reason
from shared.domain.ids import email_folder
from shared.stores.memory.work import MemoryBlobs
from tests.builders import MONDAY, a_message
from tests.unit.sync.scene import Scene


def blobs(scene: Scene) -> set[str]:
    assert isinstance(scene.stores.blobs, MemoryBlobs)
    return set(scene.stores.blobs.snapshot())


def test_another_copy_of_a_deleted_email_leaves_no_attachment_behind() -> None:
    scene = Scene()
    scene.ben.deliver(a_message("Offer", to=["ben@contoso.example"], attachments=[b"terms"]))
    scene.until_idle("ben")
    stored = scene.activity(scene.activity_ids("ben")[0])
    folder = email_folder(stored.record.content_id)
    assert [name for name in blobs(scene) if name.startswith(folder)]

    scene.stores.blobs.delete_folder(folder)
    scene.stores.activities.erase(replace(stored.record, deleted_on=MONDAY), stored.etag)
    scene.anna.deliver(a_message("Offer", to=["ben@contoso.example"], attachments=[b"terms"]))
    scene.until_idle("anna")
    assert [row.reason for row in scene.ledger().values()] == [Reason.DELETED]
    assert not [name for name in blobs(scene) if name.startswith(folder)]

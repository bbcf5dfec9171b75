"""What becomes of a message whose email somebody deleted, when another mailbox brings it again."""

from collections.abc import Sequence
from dataclasses import replace

import pytest

from shared.domain.choices import Reason
from shared.domain.email import NewEmail, StoredActivity
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


def test_an_email_that_is_deleted_while_another_mailbox_brings_it_gets_no_rows_again(monkeypatch: pytest.MonkeyPatch) -> None:
    scene = Scene()
    scene.ben.deliver(a_message("Offer", to=["ben@contoso.example"]))
    scene.until_idle("ben")
    stored = scene.activity(scene.activity_ids("ben")[0])
    create = scene.stores.activities.create

    def then_deleted(emails: Sequence[NewEmail]) -> Sequence[StoredActivity]:
        """What was read is older than the deletion that comes right behind it."""
        found = create(emails)
        scene.stores.activities.erase(replace(stored.record, deleted_on=MONDAY), stored.etag)
        return found

    monkeypatch.setattr(scene.stores.activities, "create", then_deleted)
    scene.anna.deliver(a_message("Offer", to=["ben@contoso.example"]))
    scene.run()
    assert [row.reason for row in scene.ledger().values()] == [Reason.DELETED]
    assert not scene.activity_ids()
    assert not scene.stores.activities.sightings(stored.record.id)

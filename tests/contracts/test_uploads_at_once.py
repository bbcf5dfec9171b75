"""One upload that several complete at the same time, over blobs that are staged and committed as Azure has it."""

from concurrent.futures import ThreadPoolExecutor
from hashlib import sha256
from threading import Barrier

from shared.administration.outgoing.uploads import PART_BYTES, Uploading
from shared.ports import Stores
from tests.unit.administration.office import ADMIN
from tests.unit.administration.outgoing.post_room import PostRoom, an_attachment

_AT_ONCE = 4


def test_all_who_complete_an_upload_at_the_same_time_get_the_same(on_azurite: Stores) -> None:
    room = PostRoom(stores=on_azurite)
    draft, content = room.has_draft(), bytes(range(256)) * (PART_BYTES // 256) + b"the end"
    upload = room.outgoing.uploads.begin(draft, an_attachment(len(content)), ADMIN)[0].upload
    for number, start in enumerate(range(0, len(content), PART_BYTES)):
        room.outgoing.uploads.put_part(draft, upload, number, content[start : start + PART_BYTES], ADMIN)
    together = Barrier(_AT_ONCE)

    def complete(_: int) -> Uploading:
        together.wait()
        return room.administration.outgoing.uploads.complete(draft, upload, ADMIN)

    with ThreadPoolExecutor(_AT_ONCE) as threads:
        answers = list(threads.map(complete, range(_AT_ONCE)))

    [attachment] = room.content(draft).attachments
    assert [each.attachment for each in answers] == [attachment] * _AT_ONCE
    assert attachment.sha256 == sha256(content).hexdigest()
    assert b"".join(room.administration.activities.attachment(draft, 0)[1]) == content

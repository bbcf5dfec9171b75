"""Several who work at one attachment at once: nobody is refused what another one has done already, and nothing stays behind."""

from collections.abc import Callable, Iterable, Iterator
from typing import NamedTuple

import pytest

from shared.administration.failures import NotPossibleNow, RecordNotFound
from shared.administration.outgoing.uploads import Uploading
from shared.domain.errors import Busy
from shared.domain.ids import ActivityId
from shared.stores.memory.work import MemoryBlobs
from tests.unit.administration.office import ADMIN
from tests.unit.administration.outgoing.post_room import PostRoom, an_attachment


class Interrupted(MemoryBlobs):
    """Has something happen once, at the given read or write, counted from 1."""

    def __init__(self, what: Callable[[], object], read: int = 0, write: int = 0, *, after: bool = False) -> None:
        super().__init__()
        self._what = what
        self._left = {"read": read, "write": write}
        self._after = after

    def read(self, name: str, offset: int = 0) -> Iterator[bytes]:
        self._come("read")
        return super().read(name, offset)

    def write(self, name: str, chunks: Iterable[bytes]) -> int:
        if not self._after:
            self._come("write")
        written = super().write(name, chunks)
        if self._after:
            self._come("write")
        return written

    def _come(self, call: str) -> None:
        self._left[call] -= 1
        if self._left[call] == 0:
            self._what()


@pytest.fixture
def draft(room: PostRoom) -> ActivityId:
    return room.has_draft()


class Place(NamedTuple):
    """Before which reading or writing of a blob, counted from 1, or after it."""

    read: int = 0
    write: int = 0
    after: bool = False


def with_interruption(room: PostRoom, draft: ActivityId, what: Callable[[str], object], place: Place) -> str:
    """The upload, all of whose parts are there, and at which something will come in between."""
    upload = room.outgoing.uploads.begin(draft, an_attachment(), ADMIN)[0].upload
    blobs = Interrupted(lambda: what(upload), place.read, place.write + 1 if place.write else 0, after=place.after)
    object.__setattr__(room.stores, "blobs", blobs)
    room.outgoing.uploads.put_part(draft, upload, 0, b"terms", ADMIN)
    return upload


@pytest.mark.parametrize("place", [Place(read=1), Place(read=2), Place(write=1), Place(write=1, after=True)])
def test_all_who_complete_an_upload_at_once_get_the_same(room: PostRoom, draft: ActivityId, place: Place) -> None:
    others: list[Uploading] = []
    upload = with_interruption(
        room, draft, lambda upload: others.append(room.outgoing.uploads.complete(draft, upload, ADMIN)), place
    )
    mine = room.outgoing.uploads.complete(draft, upload, ADMIN)

    assert [mine.attachment] == [each.attachment for each in others] == list(room.content(draft).attachments)
    assert mine.stored == others[0].stored == room.administration.emails.get(draft)
    assert room.blobs() == [mine.attachment.blob]


def test_a_store_that_says_that_another_one_has_written_the_blob_is_asked_again(room: PostRoom, draft: ActivityId) -> None:
    def refused(_: str) -> None:
        raise Busy("the Blob service answered 400 InvalidBlockList")

    upload = with_interruption(room, draft, refused, Place(write=1))
    assert room.outgoing.uploads.complete(draft, upload, ADMIN).attachment.upload is None


def test_a_part_that_comes_after_the_parts_were_put_together_is_refused_and_leaves_nothing(
    room: PostRoom, draft: ActivityId
) -> None:
    upload = with_interruption(room, draft, lambda upload: room.outgoing.uploads.complete(draft, upload, ADMIN), Place(write=1))
    with pytest.raises(RecordNotFound):
        room.outgoing.uploads.put_part(draft, upload, 0, b"other", ADMIN)
    [attachment] = room.content(draft).attachments
    assert room.blobs() == [attachment.blob]
    assert b"".join(room.administration.activities.attachment(draft, 0)[1]) == b"terms"


@pytest.mark.parametrize("place", [Place(read=1), Place(read=2), Place(write=1), Place(write=1, after=True)])
def test_an_attachment_that_is_removed_while_it_is_put_together_leaves_nothing(
    room: PostRoom, draft: ActivityId, place: Place
) -> None:
    upload = with_interruption(room, draft, lambda _: room.outgoing.uploads.remove(draft, 0, ADMIN), place)
    with pytest.raises((RecordNotFound, NotPossibleNow)):
        room.outgoing.uploads.complete(draft, upload, ADMIN)
    assert room.content(draft).attachments == ()
    assert room.blobs() == []


def test_a_part_that_comes_while_its_upload_is_removed_leaves_nothing(room: PostRoom, draft: ActivityId) -> None:
    upload = with_interruption(room, draft, lambda _: room.outgoing.uploads.remove(draft, 0, ADMIN), Place(write=1))
    with pytest.raises(RecordNotFound):
        room.outgoing.uploads.put_part(draft, upload, 0, b"other", ADMIN)
    assert room.blobs() == []


class Slow(MemoryBlobs):
    """Has something happen before the first folder is removed."""

    what: Callable[[], object] | None = None

    def delete_folder(self, folder: str) -> None:
        what, self.what = self.what, None
        if what is not None:
            what()
        super().delete_folder(folder)


@pytest.mark.parametrize("others", [0, 1])
def test_a_removal_that_ends_late_takes_nothing_of_what_is_uploaded_anew_by_the_same_key(
    room: PostRoom, draft: ActivityId, others: int
) -> None:
    """`others`: how many remove the same attachment meanwhile."""
    use, blobs = room.outgoing.uploads, Slow()
    object.__setattr__(room.stores, "blobs", blobs)

    def upload() -> None:
        uploading, _ = use.begin(draft, an_attachment(), ADMIN, "terms")
        use.put_part(draft, uploading.upload, 0, b"terms", ADMIN)
        use.complete(draft, uploading.upload, ADMIN)

    def meanwhile() -> None:
        for _ in range(others):
            use.remove(draft, 0, ADMIN)
        upload()

    upload()
    blobs.what = meanwhile
    use.remove(draft, 0, ADMIN)

    [attachment] = room.content(draft).attachments
    assert b"".join(room.administration.activities.attachment(draft, 0)[1]) == b"terms"
    assert room.blobs() == [attachment.blob]

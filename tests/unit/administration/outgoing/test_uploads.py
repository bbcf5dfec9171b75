"""Attachments: uploaded in parts, put together, removed."""

import hashlib
import tracemalloc
from collections.abc import Iterable, Iterator, Sequence

import pytest

from shared.administration.failures import NotPossibleNow, RecordNotFound
from shared.administration.outgoing.uploads import MOST_ATTACHMENTS, MOST_BYTES, PART_BYTES, Uploading
from shared.domain.choices import EmailStatus
from shared.domain.email import StoredActivity
from shared.domain.errors import Changed, InvalidRecord
from shared.domain.ids import ActivityId
from shared.domain.steps import Step
from shared.stores.memory.work import MemoryBlobs
from tests.unit.administration.office import ADMIN
from tests.unit.administration.outgoing.post_room import PostRoom, an_attachment

LARGE = PART_BYTES * 2 + 5
CONTENT = bytes(range(256)) * (LARGE // 256 + 1)
CONTENT = CONTENT[:LARGE]
PARTS = [CONTENT[start : start + PART_BYTES] for start in range(0, LARGE, PART_BYTES)]


@pytest.fixture
def draft(room: PostRoom) -> ActivityId:
    return room.has_draft()


def begun(room: PostRoom, draft: ActivityId, size: int = LARGE, key: str | None = None, **given: object) -> Uploading:
    return room.outgoing.uploads.begin(draft, an_attachment(size, **given), ADMIN, key)[0]


def content_of(room: PostRoom, draft: ActivityId, number: int = 0) -> bytes:
    return b"".join(room.administration.activities.attachment(draft, number)[1])


def test_parts_become_one_attachment_in_whatever_order_they_come(room: PostRoom, draft: ActivityId) -> None:
    use, upload = room.outgoing.uploads, begun(room, draft).upload
    for number in (2, 0, 1):
        use.put_part(draft, upload, number, PARTS[number], ADMIN)
    complete = use.complete(draft, upload, ADMIN, hashlib.sha256(CONTENT).hexdigest())

    assert content_of(room, draft) == CONTENT
    assert complete.attachment.sha256 == hashlib.sha256(CONTENT).hexdigest()
    assert complete.attachment.upload is None
    assert room.blobs() == [complete.attachment.blob], "parts are gone"


def test_an_empty_file_has_no_parts(room: PostRoom, draft: ActivityId) -> None:
    upload = begun(room, draft, 0).upload
    room.outgoing.uploads.complete(draft, upload, ADMIN)

    assert content_of(room, draft) == b""


def test_an_attachment_shows_from_its_beginning_and_has_no_content_before_it_is_complete(
    room: PostRoom, draft: ActivityId
) -> None:
    upload = begun(room, draft)

    assert room.email(draft).attachment_count == 1
    assert room.content(draft).attachments[0].upload == upload.upload
    with pytest.raises(RecordNotFound):
        content_of(room, draft)


def test_a_part_that_is_repeated_is_replaced(room: PostRoom, draft: ActivityId) -> None:
    use, upload = room.outgoing.uploads, begun(room, draft, 5).upload
    use.put_part(draft, upload, 0, b"wrong", ADMIN)
    use.put_part(draft, upload, 0, b"right", ADMIN)
    use.complete(draft, upload, ADMIN)

    assert content_of(room, draft) == b"right"


def test_the_same_key_begins_one_upload(room: PostRoom, draft: ActivityId) -> None:
    use = room.outgoing.uploads
    first, is_new = use.begin(draft, an_attachment(), ADMIN, "terms")
    use.put_part(draft, first.upload, 0, b"terms", ADMIN)
    use.complete(draft, first.upload, ADMIN)
    again, is_new_again = use.begin(draft, an_attachment(), ADMIN, "terms")

    assert (is_new, is_new_again, again.upload) == (True, False, first.upload)
    assert len(room.content(draft).attachments) == 1


def test_completing_again_changes_nothing(room: PostRoom, draft: ActivityId) -> None:
    upload = room.has_attachment(draft)
    before = room.administration.emails.get(draft)
    room.outgoing.uploads.complete(draft, upload, ADMIN)

    assert room.administration.emails.get(draft) == before


def test_a_missing_part_is_told_and_the_upload_goes_on(room: PostRoom, draft: ActivityId) -> None:
    use, upload = room.outgoing.uploads, begun(room, draft).upload
    use.put_part(draft, upload, 0, PARTS[0], ADMIN)
    use.put_part(draft, upload, 2, PARTS[2], ADMIN)
    with pytest.raises(NotPossibleNow, match="part 1"):
        use.complete(draft, upload, ADMIN)

    use.put_part(draft, upload, 1, PARTS[1], ADMIN)
    assert use.complete(draft, upload, ADMIN).attachment.size == LARGE


def test_content_with_another_hash_than_announced_is_refused(room: PostRoom, draft: ActivityId) -> None:
    use, upload = room.outgoing.uploads, begun(room, draft, 5).upload
    use.put_part(draft, upload, 0, b"terms", ADMIN)

    with pytest.raises(InvalidRecord) as refused:
        use.complete(draft, upload, ADMIN, "0" * 64)
    assert refused.value.field == "sha256"
    assert room.content(draft).attachments[0].upload == upload


@pytest.mark.parametrize(("number", "octets"), [(0, b"1234"), (0, b"123456"), (1, b""), (-1, b"")])
def test_a_part_of_another_size_or_number_is_refused(room: PostRoom, draft: ActivityId, number: int, octets: bytes) -> None:
    upload = begun(room, draft, 5).upload
    with pytest.raises(InvalidRecord):
        room.outgoing.uploads.put_part(draft, upload, number, octets, ADMIN)
    assert room.blobs() == []


def test_what_is_no_upload_takes_no_part(room: PostRoom, draft: ActivityId) -> None:
    use, done = room.outgoing.uploads, room.has_attachment(draft)
    with pytest.raises(RecordNotFound):
        use.put_part(draft, "0" * 32, 0, b"terms", ADMIN)
    with pytest.raises(NotPossibleNow):
        use.put_part(draft, done, 0, b"other", ADMIN)
    assert content_of(room, draft) == b"terms"


@pytest.mark.parametrize(
    ("given", "field"),
    [
        ({"name": ""}, "name"),
        ({"name": "a\r\nBcc: eve@evil.example"}, "name"),
        ({"name": "../terms.txt"}, "name"),
        ({"name": "c:\\terms.txt"}, "name"),
        ({"name": "x" * 256}, "name"),
        ({"content_type": "text"}, "content_type"),
        ({"content_type": "text/plain\r\nX-Evil: 1"}, "content_type"),
        ({"content_type": "multipart/mixed"}, "content_type"),
        ({"content_id": "logo>\r\nX-Evil: 1"}, "content_id"),
        ({"content_id": "<logo@contoso>"}, "content_id"),
        ({"content_id": ""}, "content_id"),
        ({"content_id": "x" * 201}, "content_id"),
        ({"size": -1}, "size"),
        ({"size": MOST_BYTES + 1}, "size"),
        ({"name": "setup.EXE "}, "name"),
        ({"size": 1001}, "size"),
    ],
)
def test_an_attachment_that_cannot_be_sent_is_refused_when_it_is_announced(
    room: PostRoom, draft: ActivityId, given: dict[str, object], field: str
) -> None:
    room.has_settings(blocked_attachments=("exe",), largest_attachment=1000)
    with pytest.raises(InvalidRecord) as refused:
        begun(room, draft, **({"size": 5} | given))  # type: ignore[arg-type]  # the size is one
    assert refused.value.field == field
    assert room.content(draft).attachments == ()


def test_attachments_are_bounded_in_bytes_and_number_together(room: PostRoom, draft: ActivityId) -> None:
    begun(room, draft, MOST_BYTES - 1)
    with pytest.raises(InvalidRecord):
        begun(room, draft, 2)
    for _ in range(MOST_ATTACHMENTS - 1):
        begun(room, draft, 0)
    with pytest.raises(InvalidRecord):
        begun(room, draft, 0)


def test_a_removed_attachment_takes_its_content_along_and_no_other(room: PostRoom, draft: ActivityId) -> None:
    room.has_attachment(draft, b"terms")
    room.has_attachment(draft, b"terms", name="copy.txt")
    unfinished = begun(room, draft, 5).upload
    room.outgoing.uploads.put_part(draft, unfinished, 0, b"terms", ADMIN)

    room.outgoing.uploads.remove(draft, 2, ADMIN)
    room.outgoing.uploads.remove(draft, 0, ADMIN)

    assert [each.name for each in room.content(draft).attachments] == ["copy.txt"]
    assert content_of(room, draft) == b"terms"
    assert len(room.blobs()) == 1
    with pytest.raises(RecordNotFound):
        room.outgoing.uploads.remove(draft, 1, ADMIN)


def test_of_two_who_remove_the_same_attachment_one_does_and_no_other_one_goes(room: PostRoom, draft: ActivityId) -> None:
    for name in ("first.txt", "second.txt"):
        room.has_attachment(draft, b"terms", name=name)
    advance = room.stores.activities.advance

    def after_another(steps: Sequence[Step]) -> Sequence[StoredActivity | Changed]:
        room.stores.activities.advance = advance  # type: ignore[method-assign]  # only once
        room.outgoing.uploads.remove(draft, 0, ADMIN)
        return advance(steps)

    room.stores.activities.advance = after_another  # type: ignore[method-assign]  # put in between
    with pytest.raises(Changed):
        room.outgoing.uploads.remove(draft, 0, ADMIN)
    assert [each.name for each in room.content(draft).attachments] == ["second.txt"]
    assert len(room.blobs()) == 1


@pytest.mark.parametrize("status", [EmailStatus.PENDING_SEND, EmailStatus.SENDING, EmailStatus.SENT])
def test_what_waits_or_was_sent_keeps_its_attachments(room: PostRoom, draft: ActivityId, status: EmailStatus) -> None:
    use, upload = room.outgoing.uploads, room.has_attachment(draft)
    room.has_status(draft, status)
    for act in (
        lambda: begun(room, draft),
        lambda: use.put_part(draft, upload, 0, b"other", ADMIN),
        lambda: use.complete(draft, upload, ADMIN),
        lambda: use.remove(draft, 0, ADMIN),
    ):
        with pytest.raises(NotPossibleNow):
            act()


def test_a_part_that_comes_while_the_email_is_deleted_leaves_nothing(room: PostRoom, draft: ActivityId) -> None:
    upload = begun(room, draft, 5).upload

    class Deleting(MemoryBlobs):
        def write(self, name: str, chunks: object) -> int:
            room.administration.emails.delete(draft, ADMIN)
            return super().write(name, chunks)  # type: ignore[arg-type]  # handed on

    object.__setattr__(room.stores, "blobs", Deleting())
    with pytest.raises(RecordNotFound):
        room.outgoing.uploads.put_part(draft, upload, 0, b"terms", ADMIN)
    assert room.blobs() == []


def test_a_part_that_is_replaced_while_they_are_put_together_does_not_make_another_content(
    room: PostRoom, draft: ActivityId
) -> None:
    upload = begun(room, draft, 5).upload
    room.outgoing.uploads.put_part(draft, upload, 0, b"first", ADMIN)

    class Replacing(MemoryBlobs):
        reads = 0

        def read(self, name: str, offset: int = 0) -> Iterator[bytes]:  # noqa: ARG002 - the form of the port
            self.reads += 1
            return iter([b"first" if self.reads == 1 else b"other"])

    object.__setattr__(room.stores, "blobs", Replacing())
    with pytest.raises(InvalidRecord):
        room.outgoing.uploads.complete(draft, upload, ADMIN, hashlib.sha256(b"first").hexdigest())
    assert room.content(draft).attachments[0].upload == upload
    assert room.blobs() == []


def test_putting_together_holds_no_file_in_memory(room: PostRoom, draft: ActivityId) -> None:
    """Over blobs that stream, as those of Azure do: a part of 4 MiB at a time is read in chunks."""
    upload = begun(room, draft, PART_BYTES * 8).upload

    class Streaming(MemoryBlobs):
        def read(self, name: str, offset: int = 0) -> Iterator[bytes]:  # noqa: ARG002 - the form of the port
            return (bytes(64 * 1024) for _ in range(PART_BYTES // (64 * 1024)))

        def write(self, name: str, chunks: Iterable[bytes]) -> int:  # noqa: ARG002 - the form of the port
            return sum(len(chunk) for chunk in chunks)

    object.__setattr__(room.stores, "blobs", Streaming())
    tracemalloc.start()
    complete = room.outgoing.uploads.complete(draft, upload, ADMIN)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()

    assert complete.attachment.upload is None
    assert peak < PART_BYTES

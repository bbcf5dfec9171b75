"""The contract of blobs and secrets, in memory and on Azurite; and of queues, whose reader is the Functions host."""

import base64
import io
import os
import tracemalloc
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import cast

import pytest

from shared.domain.configuration import SecretRef
from shared.domain.errors import InvalidRecord, SyncError
from shared.ports import Stores
from shared.stores.account import StorageConnection, account_of
from shared.stores.azure import azure_stores, create_missing
from shared.stores.memory import memory_stores
from shared.stores.memory.work import MemoryQueues
from tests.contracts.conftest import SECRETS_KEY

MIB = 1024 * 1024


@pytest.fixture(params=["memory", "azurite"])
def stores(request: pytest.FixtureRequest) -> Stores:
    if request.param == "memory":
        return memory_stores()
    return cast(Stores, request.getfixturevalue("on_azurite"))


def content(stores: Stores, name: str) -> bytes:
    return b"".join(stores.blobs.read(name))


# ---- blobs


@pytest.mark.parametrize("name", ["emails/x/body.html", "ü & 日本/100%.txt", "it's/a+b c#d?e"])
def test_a_blob_reads_as_it_was_written(stores: Stores, name: str) -> None:
    stores.blobs.put(name, b"\x00content\xff")
    assert content(stores, name) == b"\x00content\xff"


def test_a_blob_is_read_from_a_byte_on(stores: Stores) -> None:
    content = bytes(range(256)) * 10_000
    stores.blobs.put("name", content)
    for offset in (0, 1, MIB, len(content) - 1, len(content), len(content) + 1):
        assert b"".join(stores.blobs.read("name", offset)) == content[offset:]
    stores.blobs.write("empty", [])
    assert list(stores.blobs.read("empty", 1)) == []


def test_a_blob_is_put_once(stores: Stores) -> None:
    stores.blobs.put("name", b"first")
    stores.blobs.put("name", b"second")
    stores.blobs.put("name", io.BytesIO(b"third" * MIB))
    assert content(stores, "name") == b"first"


def test_a_blob_is_put_from_where_the_file_stands(stores: Stores) -> None:
    file = io.BytesIO(b"headcontent")
    file.seek(4)
    stores.blobs.put("name", file)
    assert content(stores, "name") == b"content"


def test_an_empty_blob_is_a_blob(stores: Stores) -> None:
    stores.blobs.put("put", b"")
    assert stores.blobs.write("written", []) == 0
    assert content(stores, "put") == content(stores, "written") == b""


def test_a_folder_is_deleted_with_all_that_is_in_it_and_nothing_else(stores: Stores) -> None:
    for name in ("emails/a/one", "emails/a/two/deep", "emails/ab/one", "emails/b"):
        stores.blobs.put(name, b"x")
    stores.blobs.delete_folder("emails/a/")
    stores.blobs.delete_folder("emails/nothing/")
    for name in ("emails/a/one", "emails/a/two/deep"):
        with pytest.raises(KeyError):
            stores.blobs.read(name)
    assert content(stores, "emails/ab/one") == content(stores, "emails/b") == b"x"


def test_what_is_not_there_cannot_be_read_but_may_be_deleted(stores: Stores) -> None:
    with pytest.raises(KeyError):
        stores.blobs.read("nothing")
    stores.blobs.delete("nothing")
    stores.blobs.put("name", b"x")
    stores.blobs.delete("name")
    stores.blobs.delete("name")
    with pytest.raises(KeyError):
        stores.blobs.read("name")


def test_writing_replaces_what_is_there(stores: Stores) -> None:
    assert stores.blobs.write("name", [b"abc", b"", b"def"]) == 6
    assert stores.blobs.write("name", iter([b"new"])) == 3
    assert content(stores, "name") == b"new"


def test_a_blob_is_read_in_chunks_of_a_mebibyte(stores: Stores) -> None:
    whole = os.urandom(9 * MIB + 17)
    stores.blobs.put("put", whole)
    assert stores.blobs.write("written", (whole[start : start + 70_001] for start in range(0, len(whole), 70_001))) == len(
        whole
    )
    for name in ("put", "written"):
        chunks = list(stores.blobs.read(name))
        assert max(len(chunk) for chunk in chunks) <= MIB
        assert b"".join(chunks) == whole


def test_a_writer_that_fails_leaves_the_old_content(stores: Stores) -> None:
    def chunks() -> Iterator[bytes]:
        yield b"x" * 5 * MIB
        raise ConnectionResetError

    stores.blobs.write("name", [b"old"])
    with pytest.raises(ConnectionResetError):
        stores.blobs.write("name", chunks())
    assert content(stores, "name") == b"old"


def test_large_files_stream_through_little_memory(on_azurite: Stores, tmp_path: Path) -> None:
    on_azurite.blobs.put("warm", b"up")
    (tmp_path / "large").write_bytes(os.urandom(25_000_000))
    tracemalloc.start()
    with (tmp_path / "large").open("rb") as file:
        on_azurite.blobs.put("large", file)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert sum(len(each) for each in on_azurite.blobs.read("large")) == 25_000_000
    assert peak < 18 * MIB


def test_large_content_streams_through_little_memory(on_azurite: Stores) -> None:
    on_azurite.blobs.put("warm", b"up")
    chunk = b"x" * 100_000
    tracemalloc.start()
    on_azurite.blobs.write("large", (chunk for _ in range(250)))
    assert sum(len(each) for each in on_azurite.blobs.read("large")) == 25_000_000
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 18 * MIB


# ---- queues


def test_messages_are_received_in_base64_as_the_host_expects_them(
    on_azurite: Stores, connection: StorageConnection, prefix: str
) -> None:
    on_azurite.queues.send("sync-incoming", '{"v":1,"ü":"日本"}')
    on_azurite.queues.send_many("sync-incoming", ["one", "two", "three"])
    on_azurite.queues.send_many("sync-incoming", [])
    received = _received(connection, f"{prefix}sync-incoming")
    assert sorted(base64.b64decode(text).decode() for text in received) == ["one", "three", "two", '{"v":1,"ü":"日本"}']


def test_a_delayed_message_is_not_there_yet(on_azurite: Stores, connection: StorageConnection, prefix: str) -> None:
    on_azurite.queues.send("sync-incoming", "later", delay=timedelta(minutes=5))
    on_azurite.queues.send("sync-incoming", "much later", delay=timedelta(days=30))
    on_azurite.queues.send("sync-incoming", "now", delay=timedelta(seconds=-5))
    assert [base64.b64decode(text) for text in _received(connection, f"{prefix}sync-incoming")] == [b"now"]


def test_a_message_may_have_what_the_service_takes_and_no_more(stores: Stores) -> None:
    stores.queues.send("sync-incoming", "ü" * 24 * 1024)
    with pytest.raises(InvalidRecord):
        stores.queues.send("sync-incoming", "ü" * 24 * 1024 + "x")
    with pytest.raises(InvalidRecord):
        stores.queues.send_many("sync-incoming", ["fits", "x" * 48 * 1024 + "x"])


def test_queues_in_memory_hand_out_what_was_sent() -> None:
    queues = MemoryQueues()
    queues.send("one", "a", timedelta(seconds=3))
    queues.send_many("one", ["b", "c"])
    assert [(each.text, each.delay.seconds) for each in queues.waiting("one")] == [("a", 3), ("b", 0), ("c", 0)]
    assert queues.receive("one", limit=2) == ["a", "b"]
    assert queues.receive("one") == ["c"]
    assert queues.receive("two") == []


def test_everything_missing_is_created_twice_without_harm(connection: StorageConnection, prefix: str) -> None:
    create_missing(connection, prefix=prefix, queues=["sync-incoming"])
    create_missing(connection, prefix=prefix, queues=["sync-incoming"])
    assert _received(connection, f"{prefix}sync-incoming") == _received(connection, f"{prefix}sync-incoming-poison") == []


def _received(connection: StorageConnection, queue: str) -> list[str]:
    from azure.storage.queue import QueueClient

    account = account_of(connection)
    with QueueClient(account.queue_endpoint, queue, credential=account.credential) as client:
        return [message.content for message in client.receive_messages(max_messages=32)]


# ---- secrets


def test_every_version_of_a_secret_can_be_read(stores: Stores) -> None:
    first = stores.secrets.set("profile/ü#1", "pässword")
    second = stores.secrets.set("profile/ü#1", "")
    assert first.version != second.version
    assert (stores.secrets.get(first), stores.secrets.get(second)) == ("pässword", "")


def test_a_version_says_nothing_about_its_secret(stores: Stores) -> None:
    assert stores.secrets.set("one", "same").version != stores.secrets.set("two", "same").version


def test_a_version_knows_when_it_was_set(stores: Stores) -> None:
    before = datetime.now(UTC)
    first = stores.secrets.set("name", "one")
    second = stores.secrets.set("name", "two")
    since_first, since_second = stores.secrets.set_on(first), stores.secrets.set_on(second)
    assert since_first is not None
    assert since_second is not None
    assert before <= since_first <= since_second <= datetime.now(UTC)
    assert stores.secrets.set_on(replace(first, version="0" * 32)) is None
    assert stores.secrets.set_on(SecretRef("a/b", "c/d")) is None


def test_what_was_never_set_cannot_be_read(stores: Stores) -> None:
    known = stores.secrets.set("name", "value")
    for unknown in (SecretRef("other", known.version), replace(known, version="0" * 32), SecretRef("a/b", "c")):
        with pytest.raises(KeyError):
            stores.secrets.get(unknown)


def test_a_secret_that_does_not_fit_is_refused_without_being_told(stores: Stores) -> None:
    with pytest.raises(InvalidRecord) as caught:
        stores.secrets.set("name", "hush" * 10_000)
    assert "hush" not in str(caught.value)


def test_another_key_names_the_setting(on_azurite: Stores, connection: StorageConnection, prefix: str) -> None:
    ref = on_azurite.secrets.set("name", "value")
    other = azure_stores(connection, secrets_key=base64.urlsafe_b64encode(b"x" * 32).decode(), prefix=prefix)
    with pytest.raises(SyncError, match="SIDESYNC_SECRETS_KEY"):
        other.secrets.get(ref)
    assert azure_stores(connection, secrets_key=SECRETS_KEY, prefix=prefix).secrets.get(ref) == "value"


@pytest.mark.parametrize("key", ["", "short", "ü", base64.urlsafe_b64encode(b"x" * 31).decode(), "!" * 44])
def test_a_key_that_is_none_names_the_setting(connection: StorageConnection, key: str) -> None:
    with pytest.raises(SyncError, match="SIDESYNC_SECRETS_KEY"):
        azure_stores(connection, secrets_key=key)

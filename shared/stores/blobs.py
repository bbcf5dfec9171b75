"""Blobs on Azure Storage, in one container that is created when first missed. Memory holds one block at a time."""

import io
from collections.abc import Iterable, Iterator
from http import HTTPStatus
from typing import TYPE_CHECKING, BinaryIO
from uuid import uuid4

from shared.stores.account import Account
from shared.stores.failures import PATIENCE, mapped

if TYPE_CHECKING:
    from azure.storage.blob import BlobClient, ContainerClient

_CONTAINER = "sidesync"
_BLOCK = 4 * 1024 * 1024
_CHUNK = 1024 * 1024


class StorageBlobs:
    """`prefix` stands before the name of the container."""

    def __init__(self, account: Account, prefix: str = "") -> None:
        self._account = account
        self._prefix = prefix
        self._opened: ContainerClient | None = None

    def put(self, name: str, content: BinaryIO | bytes) -> None:
        from azure.core.exceptions import AzureError, ResourceNotFoundError

        blob = self._blob(name)
        stream = io.BytesIO(content) if isinstance(content, bytes) else content
        start = stream.tell()
        size = stream.seek(0, io.SEEK_END) - start
        stream.seek(start)
        try:
            if size > _BLOCK and blob.exists():
                return  # nothing large is sent only to be refused
            try:
                blob.upload_blob(stream, length=size, overwrite=False)
            except ResourceNotFoundError:
                self.create_container()
                stream.seek(start)
                blob.upload_blob(stream, length=size, overwrite=False)
        except AzureError as error:
            # Other conflicts, such as that of a container being deleted, are conflicts too, but nothing is there then.
            if getattr(error, "error_code", None) != "BlobAlreadyExists":
                raise mapped(error, "Blob") from error

    def write(self, name: str, chunks: Iterable[bytes]) -> int:
        """Blocks are staged one by one; the blob changes when the last one is there."""
        from azure.core.exceptions import AzureError
        from azure.storage.blob import BlobBlock

        blob = self._blob(name)
        blocks: list[BlobBlock] = []
        size = 0
        try:
            for block in _blocks(chunks):
                identity = f"{len(blocks):06d}-{uuid4().hex}"
                self._stage(blob, identity, block)
                blocks.append(BlobBlock(identity))
                size += len(block)
            if blocks:
                blob.commit_block_list(blocks)
            else:
                self._write_empty(blob)
        except AzureError as error:
            raise mapped(error, "Blob") from error
        return size

    def read(self, name: str, offset: int = 0) -> Iterator[bytes]:
        from azure.core.exceptions import AzureError, HttpResponseError, ResourceNotFoundError

        try:
            download = self._blob(name).download_blob(offset or None)
        except ResourceNotFoundError as error:
            raise KeyError(name) from error
        except AzureError as error:
            if isinstance(error, HttpResponseError) and error.status_code == HTTPStatus.REQUESTED_RANGE_NOT_SATISFIABLE:
                return iter(())
            raise mapped(error, "Blob") from error
        return _mapping_errors(download.chunks())

    def delete(self, name: str) -> None:
        from azure.core.exceptions import AzureError, ResourceNotFoundError

        try:
            self._blob(name).delete_blob()
        except ResourceNotFoundError:
            return
        except AzureError as error:
            raise mapped(error, "Blob") from error

    def delete_folder(self, folder: str) -> None:
        from azure.core.exceptions import AzureError, ResourceNotFoundError

        try:
            names = list(self._container().list_blob_names(name_starts_with=folder))
        except ResourceNotFoundError:
            return
        except AzureError as error:
            raise mapped(error, "Blob") from error
        for name in names:
            self.delete(name)

    def create_container(self) -> None:
        """One that is there already is success."""
        from azure.core.exceptions import AzureError, ResourceExistsError

        try:
            self._container().create_container()
        except ResourceExistsError:
            return
        except AzureError as error:
            raise mapped(error, "Blob") from error

    def _stage(self, blob: "BlobClient", identity: str, block: bytes) -> None:
        from azure.core.exceptions import ResourceNotFoundError

        try:
            blob.stage_block(identity, block)
        except ResourceNotFoundError:
            self.create_container()
            blob.stage_block(identity, block)

    def _write_empty(self, blob: "BlobClient") -> None:
        from azure.core.exceptions import ResourceNotFoundError

        try:
            blob.upload_blob(b"", overwrite=True)
        except ResourceNotFoundError:
            self.create_container()
            blob.upload_blob(b"", overwrite=True)

    def _blob(self, name: str) -> "BlobClient":
        return self._container().get_blob_client(name)

    def _container(self) -> "ContainerClient":
        if self._opened is None:
            from azure.storage.blob import ContainerClient

            self._opened = ContainerClient(
                self._account.blob_endpoint,
                self._prefix + _CONTAINER,
                credential=self._account.credential,
                **PATIENCE,
                max_single_put_size=_BLOCK,
                max_block_size=_BLOCK,
                min_large_block_upload_threshold=1,  # streams blocks as they are, without holding several
                max_single_get_size=_CHUNK,
                max_chunk_get_size=_CHUNK,
            )
        return self._opened


def _blocks(chunks: Iterable[bytes]) -> Iterator[bytes]:
    """The same bytes in blocks of 4 MiB."""
    waiting = bytearray()
    for chunk in chunks:
        waiting += chunk
        while len(waiting) >= _BLOCK:
            with memoryview(waiting) as view:
                block = view[:_BLOCK].tobytes()
            yield block
            del waiting[:_BLOCK]
    if waiting:
        yield bytes(waiting)


def _mapping_errors(chunks: Iterator[bytes]) -> Iterator[bytes]:
    from azure.core.exceptions import AzureError

    try:
        yield from chunks
    except AzureError as error:
        raise mapped(error, "Blob") from error

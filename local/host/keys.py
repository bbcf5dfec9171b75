"""The keys of the host: one for functions, one for everything. Stored as the real host stores them, so that they stay."""

import hmac
import json
import secrets
from dataclasses import dataclass, field

from azure.core.exceptions import ResourceExistsError, ResourceNotFoundError
from azure.storage.blob import BlobClient, BlobServiceClient

CONTAINER = "azure-webjobs-secrets"


@dataclass(frozen=True, slots=True)
class Keys:
    master: str = field(repr=False)
    function: str = field(repr=False)

    def allow(self, level: str, given: str | None) -> bool:
        """Whether the key `given` opens something of the level: anonymous, function or admin."""
        if level == "anonymous":
            return True
        accepted = [self.master] if level == "admin" else [self.function, self.master]
        given_bytes = (given or "").encode()
        return any([hmac.compare_digest(key.encode(), given_bytes) for key in accepted])  # noqa: C419 - no early exit


def stored_keys(blobs: BlobServiceClient, host_id: str) -> Keys:
    """The host's keys, made and stored at its first start. Raises AzureError."""
    blob = blobs.get_blob_client(CONTAINER, f"{host_id}/host.json")
    try:
        return _read(blob)
    except ResourceNotFoundError:
        _create(blob)
        return _read(blob)


def _read(blob: BlobClient) -> Keys:
    content = json.loads(blob.download_blob(encoding="utf-8").readall())
    return Keys(content["masterKey"]["value"], content["functionKeys"][0]["value"])


def _create(blob: BlobClient) -> None:
    content = {
        "masterKey": _key("master"),
        "functionKeys": [_key("default")],
        "systemKeys": [],
    }
    try:
        blob.upload_blob(json.dumps(content, indent=2).encode())
    except ResourceExistsError:
        return  # another host of this id was faster; its keys count


def _key(name: str) -> dict[str, object]:
    return {"name": name, "value": secrets.token_urlsafe(40), "encrypted": False}

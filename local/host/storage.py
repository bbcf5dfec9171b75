"""The storage account behind the host: connection strings, clients, and whether anybody answers there."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from azure.core.exceptions import AzureError, ResourceExistsError, ResourceNotFoundError
from azure.storage.blob import BlobServiceClient
from azure.storage.queue import QueueClient, QueueServiceClient

from local.host.errors import HostError
from local.host.settings import FILE, SAMPLE

EMULATOR = (
    "DefaultEndpointsProtocol=http;AccountName=devstoreaccount1;"
    "AccountKey=Eby8vdM02xNOcqFlqUwJPLlmEtlCDXJ1OUzFT50uSRZ6IFsuFq2UVErCz4I6tq/K1SZFPTOtr/KBHBeksoGMGw==;"
    "BlobEndpoint=http://127.0.0.1:10000/devstoreaccount1;"
    "QueueEndpoint=http://127.0.0.1:10001/devstoreaccount1;"
    "TableEndpoint=http://127.0.0.1:10002/devstoreaccount1;"
)
"""The account of the storage emulator. Name and key are public and the same everywhere; the Python SDK does not know
`UseDevelopmentStorage=true`."""

_FEW_RETRIES: dict[str, Any] = {
    "retry_total": 2,
    "initial_backoff": 0.3,
    "increment_base": 1,
    "random_jitter_range": 0,
    "connection_timeout": 5,
    "read_timeout": 60,
}
"""Two more attempts within two seconds: the listeners go on trying by themselves, and a stop does not wait for long."""


@dataclass(frozen=True, slots=True)
class Storage:
    """The clients of one connection; close it when done."""

    queues: QueueServiceClient
    blobs: BlobServiceClient

    def queue(self, name: str) -> QueueClient:
        return self.queues.get_queue_client(name)

    def close(self) -> None:
        self.queues.close()
        self.blobs.close()


def open_storage(connection: str, environment: Mapping[str, str]) -> Storage:
    """The account that the setting `connection` names. Raises HostError: setting missing, malformed, nobody answers."""
    text = connection_string(connection, environment)
    try:
        storage = Storage(
            QueueServiceClient.from_connection_string(text, **_FEW_RETRIES),
            BlobServiceClient.from_connection_string(text, **_FEW_RETRIES),
        )
    except ValueError as error:
        raise HostError(f"The setting {connection} is no connection string of a storage account: {error}") from error
    try:
        storage.queues.get_service_properties()
    except AzureError as error:
        storage.close()
        where = storage.queues.primary_endpoint
        raise HostError(
            f"The storage account at {where} does not answer: {error.__class__.__name__}. Start Azurite there,"
            f" or correct the setting {connection}."
        ) from error
    return storage


def send(queue: QueueClient, text: str) -> None:
    """Sends a message as it is, to a queue that need not exist. Raises AzureError."""
    try:
        queue.send_message(text)
    except ResourceNotFoundError:
        create_queue(queue)
        queue.send_message(text)


def create_queue(queue: QueueClient) -> None:
    try:
        queue.create_queue()
    except ResourceExistsError:
        return  # somebody else was faster


def connection_string(connection: str, environment: Mapping[str, str]) -> str:
    """Raises HostError if there is none."""
    text = environment.get(connection) or environment.get(f"AzureWebJobs{connection}")
    if not text:
        raise HostError(
            f"The setting {connection} is missing: write the connection string of a storage account there"
            f" (UseDevelopmentStorage=true for Azurite on its usual ports). Copy {SAMPLE} to {FILE} to start from."
        )
    return EMULATOR if text.strip().rstrip(";").lower() == "usedevelopmentstorage=true" else text

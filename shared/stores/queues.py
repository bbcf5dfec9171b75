"""Work queues on Azure Storage: base64 messages, as the Functions host expects them; created when first missed."""

from datetime import timedelta
from typing import TYPE_CHECKING

from shared.stores.account import Account
from shared.stores.failures import PATIENCE, mapped
from shared.stores.limits import checked_message
from shared.stores.parallel import Parallel

if TYPE_CHECKING:
    from collections.abc import Sequence

    from azure.storage.queue import QueueClient

_LONGEST_DELAY = timedelta(days=7)


class StorageQueues:
    """`prefix` stands before the name of every queue."""

    def __init__(self, account: Account, parallel: Parallel, prefix: str = "") -> None:
        self._account = account
        self._parallel = parallel
        self._prefix = prefix
        self._clients: dict[str, QueueClient] = {}

    def send(self, queue: str, text: str, delay: timedelta = timedelta()) -> None:
        from azure.core.exceptions import AzureError, ResourceNotFoundError

        seconds = int(min(max(delay, timedelta()), _LONGEST_DELAY).total_seconds())
        client = self._client(queue)
        try:
            try:
                client.send_message(checked_message(text), visibility_timeout=seconds)
            except ResourceNotFoundError:
                self.create(queue)
                client.send_message(text, visibility_timeout=seconds)
        except AzureError as error:
            raise mapped(error, "Queue") from error

    def send_many(self, queue: str, texts: "Sequence[str]") -> None:
        for text in texts:
            checked_message(text)
        if texts:
            self.send(queue, texts[0])  # creates the queue, once
        self._parallel.each(lambda text: self.send(queue, text), texts[1:])

    def create(self, queue: str) -> None:
        """One that is there already is success."""
        from azure.core.exceptions import AzureError, ResourceExistsError

        try:
            self._client(queue).create_queue()
        except ResourceExistsError:
            return
        except AzureError as error:
            raise mapped(error, "Queue") from error

    def _client(self, queue: str) -> "QueueClient":
        if queue not in self._clients:
            from azure.storage.queue import QueueClient, TextBase64EncodePolicy

            self._clients[queue] = QueueClient(
                self._account.queue_endpoint,
                self._prefix + queue,
                credential=self._account.credential,
                **PATIENCE,
                message_encode_policy=TextBase64EncodePolicy(),
            )
        return self._clients[queue]

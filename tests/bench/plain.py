"""The yardstick: what a good engineer writes in an afternoon with exchangelib and azure-data-tables.

It reads an Inbox with `sync_items`, fetches the new messages in full and upserts one table row for each. It knows its
library: the endpoint, version and authentication are given rather than discovered, pages are as large as the server
allows, only ids are asked for while listing, and messages are fetched in the library's own chunks. It keeps no ledger,
resolves nobody, notices no duplicate, and loses its place when it stops half-way.
"""

import json
from dataclasses import dataclass

from azure.data.tables import TableClient, UpdateMode
from exchangelib import (
    BASIC,
    IMPERSONATION,
    UTC,
    Account,
    Build,
    Configuration,
    Credentials,
    FaultTolerance,
    FileAttachment,
    Message,
    Version,
)

EXCHANGE_2019 = Version(build=Build(15, 2))
_TEXT_LIMIT = 32_000


@dataclass(frozen=True, slots=True)
class PlainProgram:
    """One mailbox into one table."""

    ews_url: str
    username: str
    password: str
    connection_string: str

    def run(self, address: str, table_name: str) -> int:
        """Returns how many messages were stored."""
        inbox = self.account(address).inbox
        with TableClient.from_connection_string(self.connection_string, table_name) as table:
            ids = [
                (item.id, item.changekey)
                for change, item in inbox.sync_items(only_fields=["id", "changekey"], max_changes_returned=512)
                if change == "create"
            ]
            stored = 0
            for message in inbox.account.fetch(ids):
                if isinstance(message, Message):
                    table.upsert_entity(as_entity(address, message), mode=UpdateMode.REPLACE)
                    stored += 1
        return stored

    def account(self, address: str) -> Account:
        configuration = Configuration(
            service_endpoint=self.ews_url,
            credentials=Credentials(self.username, self.password),
            auth_type=BASIC,
            version=EXCHANGE_2019,
            retry_policy=FaultTolerance(max_wait=60),
            max_connections=4,
        )
        return Account(
            primary_smtp_address=address,
            config=configuration,
            autodiscover=False,
            access_type=IMPERSONATION,
            default_timezone=UTC,
        )


def as_entity(address: str, message: Message) -> dict[str, object]:
    return {
        "PartitionKey": address,
        "RowKey": message.id.replace("/", "-").replace("+", "_"),
        "Subject": message.subject or "",
        "Sender": message.sender.email_address if message.sender else "",
        "Recipients": json.dumps(
            [one.email_address for one in (*(message.to_recipients or ()), *(message.cc_recipients or ()))]
        ),
        "Received": message.datetime_received.isoformat(),
        "Sent": message.datetime_sent.isoformat() if message.datetime_sent else "",
        "MessageId": message.message_id or "",
        "InReplyTo": message.in_reply_to or "",
        "References": message.references or "",
        "Importance": message.importance or "",
        "Body": str(message.body or "")[:_TEXT_LIMIT],
        "Attachments": json.dumps([one.name for one in message.attachments if isinstance(one, FileAttachment)]),
    }

"""EWS replies to records: Sidesync's connector against stock exchangelib, on the very same kind of replies.

A proxy answers both from memory, so that only the client's work is timed: building the request, the transfer over
loopback, parsing, making records. The ratios compare equal work: stock is asked for the very columns and fields that
Sidesync asks for. What stock does when it is simply told to fetch (all fields of the item) stands beside them.
Rounds alternate, the median counts.
"""

import statistics
import time
from collections.abc import Callable, Sequence
from contextlib import ExitStack

from exchangelib import Account, Message
from exchangelib.services import SyncFolderItems

from shared.connectors.connect import Connect
from shared.domain.email import IncomingMessage, ItemRef
from shared.domain.folders import INBOX
from shared.ports import IncomingEmail
from shared.stores.memory import memory_stores
from tests.bench.figures import Figures
from tests.bench.machine import PASSWORD, USERNAME, a_bench_profile, a_mail_server, a_replaying_proxy
from tests.bench.plain import PlainProgram
from tests.builders import a_mailbox

ITEMS = 512
FETCHED = 500
SIZE = 20_000
SYNC_ROUNDS = 7
GET_ROUNDS = 3
_COLUMNS = ("id", "changekey", "item_class", "message_id", "author", "datetime_received", "size", "is_draft", "is_from_me")
"""What Sidesync's listing asks for, by exchangelib's names."""
_FIELDS = (
    *(
        "subject",
        "body",
        "attachments",
        "datetime_received",
        "datetime_sent",
        "size",
        "importance",
        "in_reply_to",
        "message_id",
    ),
    *("references", "conversation_index", "author", "sender", "to_recipients", "cc_recipients"),
)
"""What Sidesync's fetching asks for."""


def measure() -> Figures:
    with ExitStack() as running:
        server = running.enter_context(a_mail_server())
        address = server.add_mailbox("anna", ITEMS, SIZE)
        url = running.enter_context(a_replaying_proxy(server.ews_url))
        stores = memory_stores()
        connect = Connect(stores.secrets, allow_local_servers=True)
        running.callback(connect.close)
        ours = running.enter_context(connect(a_bench_profile(stores, url), a_mailbox("anna")))
        stock = PlainProgram(url, USERNAME, PASSWORD, "").account(address)
        return _compare(stock, ours)


def _compare(stock: Account, ours: IncomingEmail) -> Figures:
    refs = [item.ref for item in ours.changes(INBOX, None, ITEMS).items][:FETCHED]
    stock_sync, our_sync = _alternating(lambda: _stock_sync(stock), lambda: _our_sync(ours), SYNC_ROUNDS)
    stock_get, our_get = _alternating(lambda: _stock_get(stock, refs, _FIELDS), lambda: _our_get(ours, refs), GET_ROUNDS)
    stock_full, _ = _alternating(lambda: _stock_get(stock, refs[:100], None), lambda: None, GET_ROUNDS)
    return Figures(
        {
            "ews_sync_ratio": round(stock_sync / our_sync, 1),
            "ews_sync_items_per_second": round(ITEMS / our_sync),
            "ews_sync_stock_items_per_second": round(ITEMS / stock_sync),
            "ews_getitem_ratio": round(stock_get / our_get, 1),
            "ews_getitem_messages_per_second": round(len(refs) / our_get),
            "ews_getitem_stock_messages_per_second": round(len(refs) / stock_get),
            "ews_getitem_stock_full_messages_per_second": round(100 / stock_full),
        },
        (
            f"SyncFolderItems: {ITEMS} items with {len(_COLUMNS)} columns:"
            f" stock {stock_sync * 1000:.0f} ms, ours {our_sync * 1000:.1f} ms",
            f"GetItem: {len(refs)} messages of {SIZE // 1000} KB with {len(_FIELDS)} fields:"
            f" stock {stock_get * 1000:.0f} ms, ours {our_get * 1000:.0f} ms",
        ),
    )


def _alternating(one: Callable[[], None], other: Callable[[], None], rounds: int) -> tuple[float, float]:
    """Median seconds of each; the first two rounds warm the proxy's memory and both clients."""
    times: list[tuple[float, float]] = [(_timed(one), _timed(other)) for _ in range(rounds + 2)][2:]
    return statistics.median(first for first, _ in times), statistics.median(second for _, second in times)


def _timed(act: Callable[[], None]) -> float:
    started = time.perf_counter()
    act()
    return time.perf_counter() - started


def _stock_sync(account: Account) -> None:
    folder = account.inbox
    fields = list(folder.normalize_fields(list(_COLUMNS)))
    changes = SyncFolderItems(account=account).call(
        folder=folder,
        shape="IdOnly",
        additional_fields=fields,
        sync_state=None,
        ignore=None,
        max_changes_returned=ITEMS,
        sync_scope=None,
    )
    assert sum(1 for _ in changes) == ITEMS


def _our_sync(mail: IncomingEmail) -> None:
    assert len(mail.changes(INBOX, None, ITEMS).items) == ITEMS


def _stock_get(account: Account, refs: Sequence[ItemRef], fields: Sequence[str] | None) -> None:
    found = list(account.fetch([(ref.id, None) for ref in refs], folder=account.inbox, only_fields=fields))
    assert all(isinstance(message, Message) and message.body for message in found)
    assert len(found) == len(refs)


def _our_get(mail: IncomingEmail, refs: Sequence[ItemRef]) -> None:
    found = [message for _, message in mail.fetch(refs)]
    assert all(isinstance(message, IncomingMessage) and message.body_html for message in found)
    assert len(found) == len(refs)

"""What Exchange can answer instead of mail, and what that means to the run: every fault switch of the local mail server."""

from collections.abc import Callable, Iterator
from datetime import timedelta

import pytest

from shared.connectors.connect import Connect
from shared.domain.email import IncomingMessage, ItemRef
from shared.domain.errors import (
    AccessDenied,
    AuthenticationFailed,
    Busy,
    Disabled,
    FolderNotFound,
    ItemError,
    ItemGone,
    ItemTooLarge,
    ItemUnreadable,
    MailboxNotFound,
    SyncError,
    Throttled,
    TransientError,
    Unreachable,
    WatermarkExpired,
)
from shared.domain.folders import INBOX, Folder
from shared.ports import IncomingEmail
from tests.contracts.exchange_mailboxes import (
    ServedByExchange,
    Symptoms,
    a_mailbox,
    a_new_mailbox,
    a_profile,
)
from tests.contracts.incoming_email import a_message, content, everything, fetched


@pytest.fixture
def incoming(connect: Connect, served: ServedByExchange) -> Iterator[IncomingEmail]:
    with connect(a_profile(served.server.ews_url), a_mailbox(served.address)) as opened:
        yield opened


def refs_of(incoming: IncomingEmail, served: ServedByExchange, count: int) -> dict[str, ItemRef]:
    """`count` delivered messages by name: m0, m1, ... in the order they are fetched."""
    for number in range(count):
        served.deliver(bytes(a_message(f"m{number}")))
    found = {item.message_id or "": item.ref for item in everything(incoming)[0]}
    return {f"m{number}": found[f"m{number}"] for number in range(count)}


WHOLE_REQUESTS: list[tuple[str, Symptoms, type[SyncError], float | None]] = [
    ("server_busy", {"seconds": 297.7}, Throttled, 297.7),
    ("server_busy", {}, Throttled, None),
    ("unavailable", {"seconds": 120}, Throttled, 120),
    ("unavailable", {}, Busy, None),
    ("too_many_requests", {"seconds": 30}, Throttled, 30),
    ("unauthorized", {}, AuthenticationFailed, None),
    ("forbidden", {}, AccessDenied, None),
    ("connection_reset", {}, Unreachable, None),
    ("reply_lost", {}, Unreachable, None),
    ("truncated_reply", {}, Unreachable, None),
    ("nonsense_reply", {}, Unreachable, None),
    ("nonsense_reply", {"text": "<a><b></a>"}, Unreachable, None),
    ("nonsense_reply", {"text": "<html><body>Sign in</body></html>"}, Unreachable, None),
    ("nonsense_reply", {"text": '<!DOCTYPE a [<!ENTITY b "c">]><a>&b;</a>'}, Unreachable, None),
    ("nonsense_reply", {"text": " "}, Unreachable, None),
]


@pytest.mark.parametrize(("kind", "how", "expected", "wait"), WHOLE_REQUESTS)
@pytest.mark.parametrize("call", ["changes", "fetch", "raw", "discard"])
def test_a_failed_request_says_what_the_run_does_next(
    incoming: IncomingEmail,
    served: ServedByExchange,
    call: str,
    kind: str,
    how: Symptoms,
    expected: type[SyncError],
    wait: float | None,
) -> None:
    ref = refs_of(incoming, served, 1)["m0"]
    calls: dict[str, Callable[[], object]] = {
        "changes": lambda: incoming.changes(INBOX, None),
        "fetch": lambda: list(incoming.fetch([ref])),
        "raw": lambda: list(incoming.raw(ref)),
        "discard": lambda: incoming.discard([ref]),
    }
    served.server.faults.add(kind, served.address, **how)
    with pytest.raises(expected) as raised:
        calls[call]()
    if isinstance(raised.value, TransientError):
        assert raised.value.retry_after == (None if wait is None else timedelta(seconds=wait))


@pytest.mark.parametrize(
    ("code", "expected"),
    [
        ("ErrorInvalidSyncStateData", WatermarkExpired),
        ("ErrorSyncFolderNotFound", FolderNotFound),
        ("ErrorFolderNotFound", FolderNotFound),
        ("ErrorItemNotFound", FolderNotFound),
        ("ErrorCorruptData", Busy),
        ("ErrorAccessDenied", AccessDenied),
        ("ErrorMailboxStoreUnavailable", Busy),
        ("ErrorInternalServerTransientError", Busy),
        ("ErrorTimeoutExpired", Unreachable),
        ("ErrorNonExistentMailbox", MailboxNotFound),
        ("ErrorAccountDisabled", Disabled),
        ("ErrorPasswordExpired", AuthenticationFailed),
        ("ErrorTooManyObjectsOpened", Busy),
        ("ErrorExceededConnectionCount", Throttled),
        ("ErrorInvalidRequest", TransientError),
    ],
)
@pytest.mark.parametrize("form", ["error", "soap_fault"])
def test_an_error_of_the_listing_is_an_error_of_the_mailbox(
    incoming: IncomingEmail, served: ServedByExchange, code: str, expected: type[SyncError], form: str
) -> None:
    served.server.faults.add(form, served.address, code=code)
    before = len(served.server.requests)
    with pytest.raises(expected) as raised:
        incoming.changes(INBOX, None)
    assert raised.value.__cause__ is not None
    assert len(served.server.requests) == before + 1, "a failure is not repeated"


@pytest.mark.parametrize("kinds", [["invalid_sync_state"], ["invalid_sync_state", "error_without_sync_state"]])
def test_an_expired_watermark_is_told_in_either_form(
    incoming: IncomingEmail, served: ServedByExchange, kinds: list[str]
) -> None:
    _, watermark = everything(incoming)
    for kind in kinds:
        served.server.faults.add(kind, served.address)
    with pytest.raises(WatermarkExpired):
        incoming.changes(INBOX, watermark)


def test_a_watermark_of_another_mailbox_has_expired(
    connect: Connect, incoming: IncomingEmail, served: ServedByExchange
) -> None:
    other = a_new_mailbox(served.server)
    with connect(a_profile(served.server.ews_url), a_mailbox(other.address)) as opened:
        _, watermark = everything(opened)
        assert opened.source != incoming.source
    with pytest.raises(WatermarkExpired):
        incoming.changes(INBOX, watermark)


def test_a_folder_that_is_gone_is_told(incoming: IncomingEmail, served: ServedByExchange) -> None:
    served.server.faults.add("folder_gone", served.address)
    with pytest.raises(FolderNotFound):
        incoming.changes(INBOX, None)


def test_a_folder_of_its_own_is_listed_until_it_is_removed(incoming: IncomingEmail, served: ServedByExchange) -> None:
    folder = Folder(served.server.add_folder(served.address, "Projects", "inbox"), "Projects")
    served.server.deliver(bytes(a_message("m1")), [served.address], folder=folder.id)
    page = incoming.changes(folder, None)
    assert [(item.message_id, item.ref.folder) for item in page.items] == [("m1", folder.id)]
    served.server.remove_folder(served.address, folder.id)
    with pytest.raises(FolderNotFound):
        incoming.changes(folder, page.watermark)


# ---- one bad item never blocks the others


@pytest.mark.parametrize(
    ("code", "expected"),
    [
        ("ErrorCorruptData", ItemUnreadable),
        ("ErrorItemCorrupt", ItemUnreadable),
        ("ErrorContentConversionFailed", ItemUnreadable),
        ("ErrorMimeContentConversionFailed", ItemUnreadable),
        ("ErrorMessageSizeExceeded", ItemTooLarge),
        ("ErrorItemNotFound", ItemGone),
        ("ErrorInternalServerError", ItemUnreadable),
        ("ErrorAccessDenied", ItemUnreadable),
        ("ErrorSomethingNew", ItemUnreadable),
    ],
)
def test_an_unreadable_item_is_that_items_error(
    incoming: IncomingEmail, served: ServedByExchange, code: str, expected: type[ItemError]
) -> None:
    refs = refs_of(incoming, served, 5)
    served.server.faults.add("unreadable_item", served.address, item=refs["m2"].id, code=code)
    outcomes = dict(incoming.fetch(list(refs.values())))
    assert type(outcomes.pop(refs["m2"])) is expected
    assert all(isinstance(outcome, IncomingMessage) for outcome in outcomes.values())


def test_an_item_that_breaks_the_connection_costs_only_itself(
    incoming: IncomingEmail, served: ServedByExchange, monkeypatch: pytest.MonkeyPatch
) -> None:
    refs = refs_of(incoming, served, 40)
    killers = {refs["m7"].id, refs["m8"].id, refs["m30"].id}
    break_when_full_item_is_read(monkeypatch, killers)
    outcomes = list(incoming.fetch(list(refs.values())))
    assert [ref for ref, _ in outcomes] == list(refs.values())
    assert {ref.id for ref, outcome in outcomes if isinstance(outcome, ItemUnreadable)} == killers
    assert sum(isinstance(outcome, IncomingMessage) for _, outcome in outcomes) == 37


def break_when_full_item_is_read(monkeypatch: pytest.MonkeyPatch, killers: set[str]) -> None:
    """The server closes the connection whenever it is asked for the body of one of these items."""
    from local.mailserver.ews.endpoint import EwsEndpoint
    from local.mailserver.listener import Disconnect
    from local.mailserver.web import Reply, Request

    handle = EwsEndpoint.handle

    def breaking(endpoint: EwsEndpoint, request: Request) -> Reply:
        if b"item:Body" in request.body and any(killer.encode() in request.body for killer in killers):
            raise Disconnect
        return handle(endpoint, request)

    monkeypatch.setattr(EwsEndpoint, "handle", breaking)


@pytest.mark.parametrize("kind", ["connection_reset", "truncated_reply", "nonsense_reply", "unavailable"])
def test_a_failure_that_passes_costs_no_message(incoming: IncomingEmail, served: ServedByExchange, kind: str) -> None:
    refs = list(refs_of(incoming, served, 30).values())
    served.server.faults.add(kind, served.address, operation="GetItem", count=1)
    assert len(fetched(incoming, refs)) == 30
    served.server.faults.add(kind, served.address, operation="GetItem", count=1)
    assert len(fetched(incoming, refs[:1])) == 1


def test_what_was_read_before_a_throttled_request_is_kept(incoming: IncomingEmail, served: ServedByExchange) -> None:
    refs = list(refs_of(incoming, served, 60).values())
    served.server.faults.add("server_busy", served.address, operation="GetItem", after=1, seconds=90)
    got: list[IncomingMessage | ItemError] = []
    with pytest.raises(Throttled) as raised:
        got.extend(outcome for _, outcome in incoming.fetch(refs))
    assert raised.value.retry_after == timedelta(seconds=90)
    assert len(got) == 25


def test_a_stop_in_the_middle_of_a_batch_is_not_repeated_from_the_start(
    incoming: IncomingEmail, served: ServedByExchange
) -> None:
    refs = refs_of(incoming, served, 20)
    served.server.faults.add("unreadable_item", served.address, item=refs["m9"].id, code="ErrorBatchProcessingStopped", count=1)
    before = served.server.requests.count("GetItem")
    assert [ref for ref, _ in incoming.fetch(list(refs.values()))] == list(refs.values())
    assert served.server.requests.count("GetItem") - before == 2, "20 asked for, then the eleven left"


def test_items_before_a_throttled_one_are_kept_and_nothing_is_asked_again(
    incoming: IncomingEmail, served: ServedByExchange
) -> None:
    refs = refs_of(incoming, served, 8)
    served.server.faults.add("unreadable_item", served.address, item=refs["m5"].id, code="ErrorServerBusy")
    before = served.server.requests.count("GetItem")
    got: list[ItemRef] = []
    with pytest.raises(Throttled):
        got.extend(ref for ref, _ in incoming.fetch(list(refs.values())))
    assert got == list(refs.values())[:5]
    assert served.server.requests.count("GetItem") == before + 1


def test_a_message_beyond_all_bounds_is_too_large_and_costs_only_itself(
    incoming: IncomingEmail, served: ServedByExchange, monkeypatch: pytest.MonkeyPatch
) -> None:
    refs = refs_of(incoming, served, 3)
    served.deliver(bytes(a_message("huge", text="words and words\r\n" * 10_000)))
    huge = next(item.ref for item in everything(incoming)[0] if item.message_id == "huge")
    monkeypatch.setattr("shared.connectors.exchange.session.LARGEST_REPLY", 50_000)
    outcomes = dict(incoming.fetch([refs["m0"], huge, refs["m1"], refs["m2"]]))
    assert isinstance(outcomes.pop(huge), ItemTooLarge)
    assert all(isinstance(outcome, IncomingMessage) for outcome in outcomes.values())
    monkeypatch.setattr("shared.connectors.exchange.session.LARGEST_REPLY", 500)
    with pytest.raises(Busy):
        incoming.changes(INBOX, None)


def test_ids_and_watermarks_that_no_xml_can_carry_are_refused_by_the_server(incoming: IncomingEmail) -> None:
    with pytest.raises(WatermarkExpired):
        incoming.changes(INBOX, "c3RhdGU=\x00\ud800")
    outcomes = [outcome for _, outcome in incoming.fetch([ItemRef("AAMk\x0b", INBOX.id)])]
    assert isinstance(outcomes[0], ItemError)


# ---- versions


@pytest.mark.parametrize("call", ["changes", "raw"])
def test_an_older_server_is_asked_in_its_own_version_and_then_always(
    incoming: IncomingEmail, served: ServedByExchange, call: str
) -> None:
    ref = refs_of(incoming, served, 1)["m0"]
    calls: dict[str, Callable[[], object]] = {
        "changes": lambda: incoming.changes(INBOX, None),
        "raw": lambda: list(incoming.raw(ref)),
    }
    served.server.faults.add("soap_fault", served.address, code="ErrorInvalidServerVersion", count=2)
    before = len(served.server.requests)
    assert calls[call]()
    assert len(served.server.requests) == before + 3
    assert incoming.changes(INBOX, None).items


def test_a_server_that_knows_no_version_is_given_up(incoming: IncomingEmail, served: ServedByExchange) -> None:
    served.server.faults.add("soap_fault", served.address, code="ErrorInvalidServerVersion")
    with pytest.raises(Unreachable):
        incoming.changes(INBOX, None)


# ---- attachments


def test_an_unreadable_attachment_is_an_item_error_when_it_is_read(incoming: IncomingEmail, served: ServedByExchange) -> None:
    message = a_message("m1")
    message.add_attachment(b"terms", maintype="text", subtype="plain", filename="terms.txt")
    served.deliver(bytes(message))
    (item,), _ = everything(incoming)
    served.server.faults.add("unreadable_attachment", served.address, item=item.ref.id, code="ErrorCorruptData")
    (got,) = fetched(incoming)
    with pytest.raises(ItemUnreadable):
        content(got.attachments[0])


@pytest.mark.parametrize("kind", ["connection_reset", "truncated_reply", "nonsense_reply"])
def test_an_attachment_that_breaks_the_connection_is_an_item_error(
    incoming: IncomingEmail, served: ServedByExchange, kind: str
) -> None:
    message = a_message("m1")
    message.add_attachment(b"terms" * 100_000, maintype="text", subtype="plain", filename="terms.txt")
    served.deliver(bytes(message))
    served.server.faults.add(kind, served.address, operation="GetAttachment")
    (got,) = fetched(incoming)
    with pytest.raises(ItemUnreadable):
        content(got.attachments[0])


@pytest.mark.parametrize(
    ("bound", "value", "kind"),
    [("LARGEST_STREAM", 1 << 20, ItemTooLarge), ("LONGEST_STREAM", timedelta(seconds=-1), ItemUnreadable)],
)
def test_an_attachment_that_does_not_end_is_an_item_error(
    incoming: IncomingEmail,
    served: ServedByExchange,
    monkeypatch: pytest.MonkeyPatch,
    bound: str,
    value: object,
    kind: type[ItemError],
) -> None:
    message = a_message("m1")
    message.add_attachment(bytes(2 << 20), maintype="application", subtype="pdf", filename="a.pdf")
    served.deliver(bytes(message))
    (attachment,) = fetched(incoming)[0].attachments
    monkeypatch.setattr(f"shared.connectors.exchange.session.{bound}", value)
    with pytest.raises(kind):
        content(attachment)


def test_an_attachment_of_a_server_that_is_down_is_no_item_error(incoming: IncomingEmail, served: ServedByExchange) -> None:
    message = a_message("m1")
    message.add_attachment(b"terms" * 100_000, maintype="text", subtype="plain", filename="terms.txt")
    served.deliver(bytes(message))
    (got,) = fetched(incoming)
    served.server.faults.add("connection_reset", served.address)
    with pytest.raises(Unreachable):
        content(got.attachments[0])


def test_a_slow_server_is_unreachable_after_the_profiles_timeout(connect: Connect, served: ServedByExchange) -> None:
    profile = a_profile(served.server.ews_url, timeout=timedelta(seconds=0.3))
    served.server.faults.add("slow_reply", served.address, seconds=2)
    with connect(profile, a_mailbox(served.address)) as incoming, pytest.raises(Unreachable):
        incoming.changes(INBOX, None)


def test_an_idle_poll_is_one_request(incoming: IncomingEmail, served: ServedByExchange) -> None:
    _, watermark = everything(incoming)
    before = len(served.server.requests)
    assert incoming.changes(INBOX, watermark).items == ()
    assert [asked.operation for asked in served.server.requests][before:] == ["SyncFolderItems"]

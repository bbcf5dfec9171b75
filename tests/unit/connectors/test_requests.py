"""What is asked of Exchange is valid by Microsoft's schema, and is no more than needed."""

from collections.abc import Callable, Iterator, Mapping

import pytest
from lxml import etree

from shared.connectors.connect import Connect
from shared.connectors.exchange.drafts import CreateItem, Draft, FindDraft, GetDraft, Parcel, SendItem
from shared.connectors.exchange.folders import CreateFolder, FindFolder, FindItem, GetFolder
from shared.connectors.exchange.marking import GetCategories, MoveItem, UpdateItem
from shared.connectors.exchange.pool import RequestBody
from shared.connectors.exchange.services import DeleteItem, GetAttachment, GetItem, SyncFolderItems
from shared.connectors.exchange.session import Session
from shared.connectors.exchange.uploading import CreateAttachment
from shared.domain.email import Address, ItemRef
from shared.domain.errors import Unreachable
from shared.domain.folders import DRAFTS, INBOX, SENT_ITEMS, Folder
from tests.contracts.exchange_mailboxes import KnownSecrets, a_mailbox, a_profile
from tests.unit.connectors.exchange_messages import EVERYTHING, keyed
from tests.unit.connectors.outgoing_messages import an_attachment
from tests.unit.connectors.replies import assert_valid

REF = ItemRef("AAMk&<>", INBOX.id)
DRAFT = Draft("AAMk&<>", "CQAA&")
WITH_ATTACHMENT = Parcel(EVERYTHING, ((an_attachment(b"terms", content_id="picture", is_inline=True), b"terms"),))
TYPES = "{http://schemas.microsoft.com/exchange/services/2006/types}"

OPERATIONS: dict[str, Callable[[Session], object]] = {
    "the whole Inbox": lambda session: SyncFolderItems(session).page(INBOX, None, 512),
    "changes of a folder": lambda session: SyncFolderItems(session).page(Folder("AQMk", "Projects"), "c3RhdGU=", 10),
    "messages": lambda session: GetItem(session).fetch([REF, REF]),
    "envelopes": lambda session: GetItem(session).envelopes([REF, REF]),
    "an item by its Message-ID": lambda session: FindItem(session).of_message("AQMk", "one&two@fabrikam.example"),
    "the latest items": lambda session: FindItem(session).latest(INBOX, 200),
    "the folders below the Inbox": lambda session: FindFolder(session).below_inbox(),
    "a folder beside the Inbox": lambda session: FindFolder(session).beside_inbox("Undeliverable"),
    "a new folder": lambda session: CreateFolder(session).beside_inbox("Undeliverable <&>"),
    "categories": lambda session: GetCategories(session).of(REF),
    "categories set": lambda session: UpdateItem(session).ask(UpdateItem(session).request(REF, "CQAA", ("Tracked", "A&B"))),
    "no categories left": lambda session: UpdateItem(session).ask(UpdateItem(session).request(REF, None, ())),
    "a move": lambda session: MoveItem(session).move(REF, "AQMk"),
    "sent items": lambda session: SyncFolderItems(session).page(SENT_ITEMS, None, 10),
    "existence": lambda session: GetItem(session).exists(REF),
    "the MIME form": lambda session: list(GetItem(session).mime(REF)),
    "files": lambda session: GetAttachment(session).files(["A1", "A2"]),
    "attached items": lambda session: GetAttachment(session).items(["A1"], with_mime=True),
    "an attached item's properties": lambda session: GetAttachment(session).items(["A1"], with_mime=False),
    "a large file": lambda session: list(GetAttachment(session).content("A1", of_item=False)),
    "a large attached item": lambda session: list(GetAttachment(session).content("A1", of_item=True)),
    "a deletion": lambda session: DeleteItem(session).delete([REF]),
    "drafts": lambda session: CreateItem(session).drafts([Parcel(keyed()), Parcel(EVERYTHING)]),
    "a draft with attachments": lambda session: CreateItem(session).drafts(
        [Parcel(EVERYTHING, ((an_attachment(b"terms"), b"terms"),))]
    ),
    "an attachment of a draft": lambda session: CreateAttachment(session).attach(DRAFT, an_attachment(b"terms" * 50_000)),
    "drafts sent": lambda session: SendItem(session).send([DRAFT, Draft("AAMk", "")], save_copy=True),
    "drafts sent without a copy": lambda session: SendItem(session).send([DRAFT], save_copy=False),
    "what became of drafts": lambda session: GetDraft(session).present([DRAFT, DRAFT]),
    "a draft by its key": lambda session: FindDraft(session).of(["k&1"]),
    "drafts by their keys": lambda session: FindDraft(session).of(["k&1", "k2"]),
    "rights on the drafts": lambda session: GetFolder(session).takes_items(DRAFTS),
}


@pytest.fixture
def connect() -> Iterator[Connect]:
    connecting = Connect(KnownSecrets(), allow_local_servers=False)
    yield connecting
    connecting.close()


def asked(
    connect: Connect, ask: Callable[[Session], object], monkeypatch: pytest.MonkeyPatch, *, use_impersonation: bool = True
) -> list[bytes]:
    """The requests that would go to the server, which is not there."""
    bodies: list[bytes] = []

    def refuse(_: Session, body: RequestBody, headers: Mapping[str, bytes]) -> bytes:
        assert headers["X-AnchorMailbox"] == "zoë@contoso.example".encode()
        bodies.append(body if isinstance(body, bytes) else b"".join(body))
        raise Unreachable("nobody there")

    monkeypatch.setattr(Session, "reply", refuse)
    monkeypatch.setattr(Session, "chunks", refuse)
    profile = a_profile("https://mail.contoso.example/EWS/Exchange.asmx", use_impersonation=use_impersonation)
    session = connect._pools().session(profile, a_mailbox("Zoë@contoso.example"))
    with pytest.raises(Unreachable):
        ask(session)
    return bodies


@pytest.mark.parametrize("ask", OPERATIONS.values(), ids=OPERATIONS.keys())
@pytest.mark.parametrize("use_impersonation", [True, False])
def test_every_request_is_valid_and_asked_once(
    connect: Connect, monkeypatch: pytest.MonkeyPatch, ask: Callable[[Session], object], use_impersonation: bool
) -> None:
    (body,) = asked(connect, ask, monkeypatch, use_impersonation=use_impersonation)
    assert_valid(body)


def test_impersonation_names_the_mailbox_in_the_header_only(connect: Connect, monkeypatch: pytest.MonkeyPatch) -> None:
    (body,) = asked(connect, OPERATIONS["the whole Inbox"], monkeypatch)
    root = etree.fromstring(body)
    assert root.findtext(f".//{TYPES}ConnectingSID/{TYPES}PrimarySmtpAddress") == "zoë@contoso.example"
    assert root.find(f".//{TYPES}DistinguishedFolderId/{TYPES}Mailbox") is None


def test_a_delegate_names_the_mailbox_with_the_folder(connect: Connect, monkeypatch: pytest.MonkeyPatch) -> None:
    (body,) = asked(connect, OPERATIONS["the whole Inbox"], monkeypatch, use_impersonation=False)
    root = etree.fromstring(body)
    assert root.findtext(f".//{TYPES}DistinguishedFolderId/{TYPES}Mailbox/{TYPES}EmailAddress") == "zoë@contoso.example"
    assert root.find(f".//{TYPES}ExchangeImpersonation") is None


@pytest.mark.parametrize(
    ("use_impersonation", "named"),
    [(True, [None, "sales@contoso.example"]), (False, ["Zoë@contoso.example", "sales@contoso.example"])],
)
def test_who_sends_is_named_where_the_server_would_not_know(
    connect: Connect, monkeypatch: pytest.MonkeyPatch, use_impersonation: bool, named: list[str | None]
) -> None:
    own = keyed(from_=Address("Zoë@contoso.example"))
    (body,) = asked(
        connect,
        lambda session: CreateItem(session).drafts([Parcel(own), Parcel(EVERYTHING)]),
        monkeypatch,
        use_impersonation=use_impersonation,
    )
    items = etree.fromstring(body).iterfind(f".//{TYPES}Message")
    assert [item.findtext(f"{TYPES}From/{TYPES}Mailbox/{TYPES}EmailAddress") for item in items] == named
    assert etree.fromstring(body).find(f".//{TYPES}Sender") is None


@pytest.mark.parametrize("use_impersonation", [True, False])
def test_copies_go_to_the_mailbox_that_sends_and_not_to_that_of_who_signs_in(
    connect: Connect, monkeypatch: pytest.MonkeyPatch, use_impersonation: bool
) -> None:
    (body,) = asked(connect, OPERATIONS["drafts sent"], monkeypatch, use_impersonation=use_impersonation)
    (folder,) = etree.fromstring(body).iterfind(f".//{TYPES}DistinguishedFolderId")
    owner = folder.findtext(f"{TYPES}Mailbox/{TYPES}EmailAddress")
    assert (folder.get("Id"), owner) == ("sentitems", None if use_impersonation else "zoë@contoso.example")

"""What Exchange answers where drafts are looked for that are not there any more, and the local mail server does not."""

from collections.abc import Callable, Iterator, Mapping

import pytest
from lxml import etree

from shared.connectors.connect import Connect
from shared.connectors.exchange.outgoing import ExchangeOutgoing
from shared.connectors.exchange.pool import RequestBody
from shared.connectors.exchange.session import Session
from shared.domain.errors import Busy, NoAnswer, SyncError, Throttled
from shared.domain.outgoing import Trace
from tests.contracts.exchange_mailboxes import KnownSecrets, a_mailbox, a_profile, failure
from tests.unit.connectors.replies import a_reply, assert_valid, folders

KEY = (
    '<t:ExtendedProperty><t:ExtendedFieldURI PropertySetId="7f2c6ad1-43b5-4a0e-9d61-2f86c1b7e5d4" PropertyName="SidesyncKey"'
    ' PropertyType="String"/><t:Value>k1</t:Value></t:ExtendedProperty>'
)
NOTHING = "<m:RootFolder><t:Items/></m:RootFolder>"
FOLDER = '<t:Folder><t:FolderId Id="F1"/><t:ParentFolderId Id="F0"/><t:DisplayName>Project</t:DisplayName></t:Folder>'

type Answers = tuple[bytes | SyncError, ...]
type Replying = Callable[..., ExchangeOutgoing]


def holding(*, is_draft: bool = True, is_submitted: bool = False) -> str:
    """A folder in which an item carries the key."""
    flags = f"<t:IsSubmitted>{str(is_submitted).lower()}</t:IsSubmitted><t:IsDraft>{str(is_draft).lower()}</t:IsDraft>"
    item = f'<t:Message><t:ItemId Id="A1" ChangeKey="C1"/>{flags}{KEY}</t:Message>'
    return f"<m:RootFolder><t:Items>{item}</t:Items></m:RootFolder>"


def near(sent: str = NOTHING, outbox: str = NOTHING, deleted: str = NOTHING, drafts: str = NOTHING) -> bytes:
    return a_reply("FindItem", drafts, outbox, sent, deleted)


def refused(reply: bytes, number: int, code: str) -> bytes:
    """The reply with an error for one of its folders."""
    envelope = etree.fromstring(reply)
    message = envelope.findall(".//{*}FindItemResponseMessage")[number]
    message.set("ResponseClass", "Error")
    status, content = message
    status.text = code
    message.remove(content)
    return etree.tostring(envelope)


@pytest.fixture
def replying(monkeypatch: pytest.MonkeyPatch) -> Iterator[Replying]:
    connecting = Connect(KnownSecrets(), allow_local_servers=False)
    asked: list[bytes] = []

    def outgoing(*replies: bytes | SyncError) -> ExchangeOutgoing:
        for reply in replies:
            if isinstance(reply, bytes):
                assert_valid(reply)
        waiting = iter(replies)

        def answer(_: Session, body: RequestBody, headers: Mapping[str, bytes]) -> bytes:
            assert headers
            asked.append(body if isinstance(body, bytes) else b"".join(body))
            reply = next(waiting)
            if isinstance(reply, SyncError):
                raise reply
            return reply

        monkeypatch.setattr(Session, "reply", answer)
        profile = a_profile("https://mail.contoso.example/EWS/Exchange.asmx")
        return ExchangeOutgoing(connecting._pools().session(profile, a_mailbox("anna@contoso.example")))

    yield outgoing
    connecting.close()
    for request in asked:
        assert_valid(etree.tostring(etree.fromstring(request)))


@pytest.mark.parametrize(
    ("reply", "expected"),
    [
        (near(sent=holding(is_draft=False)), Trace.SENT),
        (near(drafts=holding(is_submitted=True)), Trace.SENT),
        (near(outbox=holding(is_submitted=True)), Trace.SENT),
        (near(outbox=holding()), Trace.SENT),
        (near(deleted=holding(is_draft=False)), Trace.SENT),
        (near(sent=holding(is_draft=False), deleted=holding()), Trace.SENT),
        (near(deleted=holding()), Trace.TAKEN),
        (near(drafts=holding()), Trace.TAKEN),
        (near(), None),
    ],
    ids=[
        *("a copy", "submitted", "in the outbox", "about to be submitted", "a copy that was deleted", "a copy and a draft"),
        *("a discarded draft", "a draft with another id", "nothing"),
    ],
)
def test_a_draft_still_is_one_only_where_nothing_says_that_it_leaves_or_left(
    replying: Replying, reply: bytes, expected: Trace | None
) -> None:
    assert replying(reply).trace(["k1"], has_copies=False).get("k1") is expected


@pytest.mark.parametrize("code", ["ErrorAccessDenied", "ErrorFolderNotFound", "ErrorInternalServerError", "ErrorItemCorrupt"])
@pytest.mark.parametrize("place", [1, 2])
def test_nobody_is_said_to_have_taken_a_draft_where_a_folder_cannot_be_searched(
    replying: Replying, place: int, code: str
) -> None:
    found = replying(refused(near(deleted=holding()), place, code)).trace(["k1"], has_copies=False)
    assert found == {}


def test_what_is_seen_as_sent_was_sent_whatever_else_cannot_be_searched(replying: Replying) -> None:
    reply = refused(near(sent=holding(is_draft=False)), 3, "ErrorAccessDenied")
    assert replying(reply).trace(["k1"], has_copies=True) == {"k1": Trace.SENT}


@pytest.mark.parametrize(
    "rest",
    [
        (NoAnswer("FindFolder"),),
        (folders(FOLDER), NoAnswer("FindItem")),
        (folders(FOLDER), refused(a_reply("FindItem", NOTHING), 0, "ErrorAccessDenied")),
    ],
    ids=["no folders", "no answer", "a closed folder"],
)
def test_a_search_of_everything_that_does_not_come_to_an_end_keeps_nothing_from_going_on(
    replying: Replying, rest: Answers
) -> None:
    assert replying(near(deleted=holding()), *rest).trace(["k1"], has_copies=True) == {}


@pytest.mark.parametrize("found", [{}, {"sent": holding(is_draft=False)}])
def test_nobody_is_said_to_have_taken_a_draft_where_the_server_does_not_give_all_it_found(
    replying: Replying, found: dict[str, str]
) -> None:
    reply = near(deleted=holding().replace("<m:RootFolder", '<m:RootFolder IncludesLastItemInRange="false"'), **found)
    assert replying(reply).trace(["k1"], has_copies=False) == ({"k1": Trace.SENT} if found else {})


def test_nobody_is_said_to_have_taken_a_draft_where_there_are_more_folders_than_are_searched(
    replying: Replying, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("shared.connectors.exchange.traces._MOST_FOLDERS", 1)
    replies = near(deleted=holding()), folders(FOLDER, FOLDER.replace("F1", "F2")), a_reply("FindItem", NOTHING)
    assert replying(*replies).trace(["k1"], has_copies=True) == {}


@pytest.mark.parametrize(
    ("code", "kind"),
    [("ErrorServerBusy", Throttled), ("ErrorMailboxStoreUnavailable", Busy), ("ErrorMailboxMoveInProgress", Busy)],
)
def test_a_server_that_is_busy_or_a_mailbox_that_moves_is_asked_later(
    replying: Replying, code: str, kind: type[SyncError]
) -> None:
    outgoing = replying(refused(near(deleted=holding()), 0, code))
    assert isinstance(failure(lambda: outgoing.trace(["k1"], has_copies=False)), kind)


# ---- what is removed


def worked_on(minutes: int) -> str:
    times = (
        "<t:DateTimeCreated>2026-11-23T10:00:00Z</t:DateTimeCreated>"
        f"<t:LastModifiedTime>2026-11-23T10:{minutes:02}:00Z</t:LastModifiedTime>"
    )
    flags = "<t:IsSubmitted>false</t:IsSubmitted><t:IsDraft>true</t:IsDraft>"
    return f'<t:Message><t:ItemId Id="A1"/>{flags}{times}</t:Message>'


@pytest.mark.parametrize(("minutes", "is_removed"), [(0, True), (14, True), (16, False)])
def test_a_draft_that_somebody_has_worked_on_is_not_removed(
    replying: Replying, monkeypatch: pytest.MonkeyPatch, minutes: int, is_removed: bool
) -> None:
    deleted: list[bytes] = []
    found = a_reply("FindItem", f"<m:RootFolder><t:Items>{worked_on(minutes)}</t:Items></m:RootFolder>")
    outgoing = replying(found, a_reply("DeleteItem", ""), a_reply("FindItem", NOTHING))
    answer = Session.reply

    def noting(session: Session, body: RequestBody, headers: Mapping[str, str | bytes]) -> bytes:
        assert isinstance(body, bytes)
        if b"DeleteItem" in body:
            deleted.append(body)
        return answer(session, body, headers)

    monkeypatch.setattr(Session, "reply", noting)
    outgoing.withdraw(["k1"])
    assert bool(deleted) is is_removed
    assert all(b'DeleteType="SoftDelete"' in request for request in deleted), "a person can recover it"


def test_a_draft_that_is_listed_though_it_was_removed_is_removed_once(replying: Replying) -> None:
    found = a_reply("FindItem", f"<m:RootFolder><t:Items>{worked_on(0)}</t:Items></m:RootFolder>")
    replying(found, a_reply("DeleteItem", ""), found).withdraw(["k1"])

"""What Exchange answers about drafts, and the local mail server does not: on their way, incomplete, or cut short."""

from collections.abc import Callable, Iterator, Mapping

import pytest

from shared.connectors.connect import Connect
from shared.connectors.exchange.drafts import Created, CreateItem, Draft, FindDraft, GetDraft, Parcel, SendItem
from shared.connectors.exchange.folders import GetFolder
from shared.connectors.exchange.outgoing import ExchangeOutgoing
from shared.connectors.exchange.pool import RequestBody
from shared.connectors.exchange.session import Session
from shared.connectors.exchange.uploading import CreateAttachment
from shared.domain.errors import (
    AccessDenied,
    DelegateAccessMissing,
    DeliveryPostponed,
    DeliveryUnknown,
    SyncError,
    Unreachable,
)
from shared.domain.folders import DRAFTS
from shared.domain.outgoing import Receipt
from tests.contracts.exchange_mailboxes import KnownSecrets, a_mailbox, a_profile, failure
from tests.unit.connectors.exchange_messages import keyed
from tests.unit.connectors.outgoing_messages import an_attachment
from tests.unit.connectors.replies import a_reply, an_item_error, assert_valid

WAITING = (
    '<t:Message><t:ItemId Id="A1" ChangeKey="C2"/><t:IsSubmitted>false</t:IsSubmitted><t:IsDraft>true</t:IsDraft></t:Message>'
)
SUBMITTED = WAITING.replace("A1", "A2").replace(">false<", ">true<")
NO_DRAFT = WAITING.replace("A1", "A3").replace("<t:IsDraft>true<", "<t:IsDraft>false<")
MESSAGE = '<t:Message><t:ItemId Id="A1" ChangeKey="C1"/>{}</t:Message>'
ATTACHMENT = '<t:FileAttachment><t:AttachmentId Id="A1-1"{}/></t:FileAttachment>'
DRAFT = Draft("A1", "C1")

type Replying = Callable[..., Session]
"""A session whose server gives these replies, one after the other."""


@pytest.fixture
def replying(monkeypatch: pytest.MonkeyPatch) -> Iterator[Replying]:
    connecting = Connect(KnownSecrets(), allow_local_servers=False)

    def session(*replies: bytes, use_impersonation: bool = True) -> Session:
        for reply in replies:
            assert_valid(reply)
        waiting = iter(replies)

        def answer(_: Session, body: RequestBody, headers: Mapping[str, bytes]) -> bytes:
            assert headers
            assert b"".join(body) if not isinstance(body, bytes) else body
            return next(waiting)

        monkeypatch.setattr(Session, "reply", answer)
        profile = a_profile("https://mail.contoso.example/EWS/Exchange.asmx", use_impersonation=use_impersonation)
        return connecting._pools().session(profile, a_mailbox("anna@contoso.example"))

    yield session
    connecting.close()


def items(operation: str, *found: str) -> bytes:
    return a_reply(operation, *(f"<m:Items>{each}</m:Items>" for each in found))


def test_what_is_on_its_way_or_sent_is_no_draft_any_more(replying: Replying) -> None:
    session = replying(items("GetItem", WAITING, SUBMITTED, NO_DRAFT))
    assert GetDraft(session).present([DRAFT, Draft("A2", ""), Draft("A3", "")]) == [Draft("A1", "C2"), None, None]


def test_what_is_on_its_way_is_not_withdrawn(replying: Replying) -> None:
    found = f"<m:RootFolder><t:Items>{SUBMITTED}{WAITING}</t:Items></m:RootFolder>"
    session = replying(a_reply("FindItem", found))
    assert [each.id for each in FindDraft(session).of(["k1"])] == ["A1"]


def test_the_attachments_that_a_server_took_along_are_counted(replying: Replying) -> None:
    both = MESSAGE.format(f"<t:Attachments>{ATTACHMENT.format('') * 2}</t:Attachments>")
    session = replying(items("CreateItem", both, MESSAGE.format("")))
    assert CreateItem(session).drafts([Parcel(keyed())] * 2) == [Created(DRAFT, 2), Created(DRAFT, 0)]


@pytest.mark.parametrize(
    ("attributes", "change_key"), [(' RootItemId="A1" RootItemChangeKey="C2"', "C2"), ("", "")], ids=["known", "unknown"]
)
def test_an_attachment_gives_the_draft_another_version(replying: Replying, attributes: str, change_key: str) -> None:
    session = replying(a_reply("CreateAttachment", f"<m:Attachments>{ATTACHMENT.format(attributes)}</m:Attachments>"))
    assert CreateAttachment(session).attach(DRAFT, an_attachment(b"terms")) == Draft("A1", change_key)


def test_a_draft_of_unknown_version_is_sent_in_the_one_that_the_server_has(replying: Replying) -> None:
    refused = a_reply("SendItem", "").replace(b"NoError", b"ErrorChangeKeyRequired").replace(b"Success", b"Error")
    session = replying(refused, items("GetItem", WAITING), a_reply("SendItem", ""))
    assert ExchangeOutgoing(session).submit(["A1 "], save_copy=True) == [Receipt()]


def refused(operation: str, code: bytes) -> bytes:
    return a_reply(operation, "").replace(b"NoError", code).replace(b"Success", b"Error")


@pytest.mark.parametrize("code", [b"ErrorTimeoutExpired", b"ErrorInternalServerTransientError", b"ErrorStaleObject"])
@pytest.mark.parametrize("gone", [an_item_error("ErrorItemNotFound"), items("GetItem", SUBMITTED)], ids=["gone", "going"])
def test_nobody_knows_of_what_was_put_off_and_is_gone_whether_it_was_sent(replying: Replying, code: bytes, gone: bytes) -> None:
    checked = [] if code == b"ErrorStaleObject" else [folder("true")]
    session = replying(refused("SendItem", code), *checked, gone)
    (outcome,) = ExchangeOutgoing(session).submit(["A2 C1"], save_copy=True)
    assert isinstance(outcome, DeliveryUnknown)


def test_what_the_server_puts_off_and_keeps_waits(replying: Replying) -> None:
    session = replying(refused("SendItem", b"ErrorTimeoutExpired"), folder("true"), items("GetItem", WAITING))
    (outcome,) = ExchangeOutgoing(session).submit(["A1 C1"], save_copy=True)
    assert isinstance(outcome, DeliveryPostponed)


def test_a_response_that_says_neither_yes_nor_no_says_nothing(replying: Replying) -> None:
    reply = a_reply("SendItem", "").replace(b"<m:ResponseCode>NoError</m:ResponseCode>", b"")
    session = replying(reply)
    assert isinstance(failure(lambda: ExchangeOutgoing(session).submit(["A1 C1"], save_copy=True)), Unreachable)


ONE_TOO_FEW: dict[str, Callable[[Session], object]] = {
    "CreateItem": lambda session: CreateItem(session).drafts([Parcel(keyed())] * 2),
    "SendItem": lambda session: SendItem(session).send([DRAFT, DRAFT], save_copy=True),
    "GetItem": lambda session: GetDraft(session).present([DRAFT, DRAFT]),
}


@pytest.mark.parametrize("operation", ONE_TOO_FEW)
def test_a_reply_that_leaves_one_out_says_nothing_about_any(replying: Replying, operation: str) -> None:
    session = replying(items(operation, WAITING) if operation != "SendItem" else a_reply(operation, ""))
    assert isinstance(failure(lambda: ONE_TOO_FEW[operation](session)), Unreachable)


def test_a_new_draft_without_an_id_is_a_failed_request(replying: Replying) -> None:
    session = replying(items("CreateItem", "<t:Message/>"))
    assert isinstance(failure(lambda: CreateItem(session).drafts([Parcel(keyed())])), Unreachable)


def folder(create: str) -> bytes:
    kinds = ["CreateAssociated", "CreateContents", "CreateHierarchy", "Delete", "Modify", "Read"]
    rights = "".join(f"<t:{kind}>{create if kind == 'CreateContents' else 'true'}</t:{kind}>" for kind in kinds)
    shown = f"<t:EffectiveRights>{rights}</t:EffectiveRights>" if create else ""
    return a_reply("GetFolder", f'<m:Folders><t:Folder><t:FolderId Id="F1"/>{shown}</t:Folder></m:Folders>')


@pytest.mark.parametrize(("create", "takes"), [("true", True), ("false", False), ("", True)])
def test_a_folder_says_whether_it_takes_items(replying: Replying, create: str, takes: bool) -> None:
    assert GetFolder(replying(folder(create))).takes_items(DRAFTS) is takes


@pytest.mark.parametrize(("use_impersonation", "expected"), [(True, AccessDenied), (False, DelegateAccessMissing)])
def test_drafts_that_may_be_read_only_cannot_be_sent_from(
    replying: Replying, use_impersonation: bool, expected: type[SyncError]
) -> None:
    session = replying(folder("false"), use_impersonation=use_impersonation)
    assert type(failure(ExchangeOutgoing(session).check)) is expected

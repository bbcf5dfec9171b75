"""The HTTP endpoint of EWS: from a POST to the reply. Sign-in, impersonation, faults, then the operation."""

import gzip
import logging
import threading
from collections.abc import Callable, Collection

from local.mailserver.accounts import Account
from local.mailserver.backend import Backend
from local.mailserver.ews import (
    attaching,
    attachments,
    convert,
    creating,
    envelope,
    find,
    folder_changes,
    folders,
    items,
    submission,
    sync,
    update,
)
from local.mailserver.ews.authentication import Challenge, authenticate, unauthorized
from local.mailserver.ews.call import Call
from local.mailserver.ews.envelope import NAMES, Envelope
from local.mailserver.ews.errors import ResponseError, SoapFault
from local.mailserver.faults import FaultKind
from local.mailserver.journal import Asked
from local.mailserver.listener import Disconnect
from local.mailserver.model import Mailbox, NoSuchMailbox
from local.mailserver.web import Body, Reply, Request, Stream

_log = logging.getLogger(__name__)

OPERATIONS: dict[str, Callable[[Call], list[bytes | Stream]]] = {
    "ConvertId": convert.convert_id,
    "CopyItem": items.copy_item,
    "CreateAttachment": attaching.create_attachment,
    "CreateFolder": folder_changes.create_folder,
    "CreateItem": creating.create_item,
    "DeleteFolder": folder_changes.delete_folder,
    "DeleteItem": items.delete_item,
    "FindFolder": folders.find_folder,
    "FindItem": find.find_item,
    "GetAttachment": attachments.get_attachment,
    "GetFolder": folders.get_folder,
    "GetItem": items.get_item,
    "MoveFolder": folder_changes.move_folder,
    "MoveItem": items.move_item,
    "SendItem": submission.send_item,
    "SyncFolderHierarchy": sync.sync_folder_hierarchy,
    "SyncFolderItems": sync.sync_folder_items,
    "UpdateFolder": folder_changes.update_folder,
    "UpdateItem": update.update_item,
}
_NAMED = ".//t:Mailbox/t:EmailAddress"
_XML = "text/xml; charset=utf-8"
_NONSENSE = "<!DOCTYPE html><html><head><title>Outlook</title></head><body><form>Please sign in<br></form></body></html>"
_COMPRESSED_FROM = 1024
"""Bytes; smaller replies are not worth it."""


class EwsEndpoint:
    def __init__(
        self,
        backend: Backend,
        schemes: Collection[str],
        *,
        compress: bool,
    ) -> None:
        self._backend = backend
        self._store = backend.store
        self._accounts = backend.accounts
        self._faults = backend.faults
        self._journal = backend.requests
        self._schemes = schemes
        self._compress = compress
        self._stopping = threading.Event()

    def stop(self) -> None:
        """Ends the waits of slow replies."""
        self._stopping.set()

    def handle(self, request: Request) -> Reply:
        asked = _read(request)
        operation = asked.operation if isinstance(asked, Envelope) else ""
        signed_in = authenticate(request, self._accounts, self._schemes)
        account = signed_in if isinstance(signed_in, Account) else None
        target = self._target(asked, request, account)

        def record(status: int, code: str) -> None:
            self._journal.record(Asked("ews", operation, target, status, code, account.username if account else None))

        try:
            reply, code = self._reply(asked, signed_in, target, operation)
        except Disconnect:
            record(0, "Disconnect")
            raise
        record(reply.status, code)
        return self._finished(reply, request)

    def _reply(
        self, asked: Envelope | SoapFault, signed_in: Account | Challenge, target: str | None, operation: str
    ) -> tuple[Reply, str]:
        broken = self._broken(target, operation)
        if broken is not None:
            return broken, ""
        if isinstance(signed_in, Challenge):
            return signed_in.reply, ""
        reply, code = self._answer(asked, signed_in, target)
        return self._spoiled(reply, target, operation), code

    def _answer(self, asked: Envelope | SoapFault, account: Account, target: str | None) -> tuple[Reply, str]:
        if isinstance(asked, SoapFault):
            return _refused(asked)
        try:
            return self._carried_out(asked, account, target)
        except SoapFault as fault:
            return _refused(fault)
        except Disconnect:
            raise
        except Exception as error:  # noqa: BLE001  # a server answers, whatever happened to it
            _log.exception("request_failed")
            return _refused(SoapFault("ErrorInternalServerError", f"{type(error).__name__}: {error}"))

    def _carried_out(self, asked: Envelope, account: Account, target: str | None) -> tuple[Reply, str]:
        self._refuse_if_busy(target, asked.operation)
        if not account.enabled:
            raise SoapFault("ErrorAccountDisabled")
        operation = OPERATIONS.get(asked.operation)
        if operation is None:
            raise SoapFault("ErrorInvalidRequest", f"The operation {asked.operation} is not served.")
        error = self._faults.hit(FaultKind.ERROR, target, asked.operation)
        forced = ResponseError(error.code or "ErrorInternalServerError", error.text) if error is not None else None
        call = Call(asked, account, self._backend, self._acting_as(asked, account), target, forced)
        body = envelope.reply(asked.operation, operation(call))
        return Reply(200, body, _XML), next((code for code in call.codes if code != "NoError"), "NoError")

    def _refuse_if_busy(self, target: str | None, operation: str) -> None:
        busy = self._faults.hit(FaultKind.SERVER_BUSY, target, operation)
        if busy is not None:
            back_off = (("BackOffMilliseconds", str(int(busy.seconds * 1000))),) if busy.seconds else ()
            raise SoapFault("ErrorServerBusy", values=back_off)
        refused = self._faults.hit(FaultKind.SOAP_FAULT, target, operation)
        if refused is not None:
            raise SoapFault(refused.code or "ErrorInternalServerError", refused.text)

    def _acting_as(self, asked: Envelope, account: Account) -> Mailbox | None:
        if asked.impersonated is None:
            return self._mailbox(account.mailbox) if account.mailbox else None
        kind, value = asked.impersonated
        mailbox = self._mailbox(value) if kind != "SID" else None
        if mailbox is None:
            raise SoapFault("ErrorNonExistentMailbox")
        if not account.can_impersonate(mailbox.address):
            raise SoapFault("ErrorImpersonateUserDenied")
        if not mailbox.enabled:
            raise SoapFault("ErrorAccountDisabled")
        return mailbox

    def _mailbox(self, address: str) -> Mailbox | None:
        try:
            return self._store.mailbox(address)
        except NoSuchMailbox:
            return None

    def _target(self, asked: Envelope | SoapFault, request: Request, account: Account | None) -> str | None:
        """Whose mailbox a request is about: impersonated, named, told by its ids, else the caller's own."""
        own = account.mailbox if account is not None else request.headers.get("x-anchormailbox")
        if isinstance(asked, SoapFault):
            return own
        named = asked.impersonated[1] if asked.impersonated else asked.element.findtext(_NAMED, None, NAMES)
        if named:
            mailbox = self._mailbox(named)
            return named if mailbox is None else mailbox.address
        for element in asked.element.iterfind(".//*[@Id]", NAMES):
            try:
                return self._store.mailbox_of_id(element.get("Id", "")).address
            except (ValueError, NoSuchMailbox):
                continue
        return own

    def _broken(self, target: str | None, operation: str) -> Reply | None:
        """What happens instead of an answer, while such a fault is on."""
        faults = self._faults
        if faults.hit(FaultKind.CONNECTION_RESET, target, operation) is not None:
            raise Disconnect
        for kind, status in ((FaultKind.UNAVAILABLE, 503), (FaultKind.TOO_MANY_REQUESTS, 429)):
            fault = faults.hit(kind, target, operation)
            if fault is not None:
                headers = [("Retry-After", str(int(fault.seconds)))] if fault.seconds else []
                return Reply(status, [b"The service is unavailable."], "text/html", headers)
        if faults.hit(FaultKind.UNAUTHORIZED, target, operation) is not None:
            return unauthorized(self._schemes)
        if faults.hit(FaultKind.FORBIDDEN, target, operation) is not None:
            return Reply(403, [b"EWS is not enabled for this mailbox."], "text/plain")
        return None

    def _spoiled(self, reply: Reply, target: str | None, operation: str) -> Reply:
        """The answer as it reaches the client, while a fault of the way back is on."""
        faults = self._faults
        slow = faults.hit(FaultKind.SLOW_REPLY, target, operation)
        if slow is not None:
            self._stopping.wait(slow.seconds)
        if faults.hit(FaultKind.REPLY_LOST, target, operation) is not None:
            raise Disconnect
        nonsense = faults.hit(FaultKind.NONSENSE_REPLY, target, operation)
        if nonsense is not None:
            return Reply(200, [(nonsense.text or _NONSENSE).encode()], "text/html; charset=utf-8")
        if faults.hit(FaultKind.TRUNCATED_REPLY, target, operation) is not None:
            reply.cut_after = sum(map(len, reply.body)) // 2
        idle = faults.hit(FaultKind.HANG_UP, target, operation)
        if idle is not None:
            reply.hang_up_after = idle.seconds
        return reply

    def _finished(self, reply: Reply, request: Request) -> Reply:
        reply.headers.append(("X-FEServer", "MAIL01"))
        if self._compress and "gzip" in request.headers.get("accept-encoding", ""):
            reply.body = _compressed(reply)
        return reply


def _read(request: Request) -> Envelope | SoapFault:
    """The request, or why it is none: the caller has to sign in before he is told."""
    try:
        return envelope.read_envelope(request.body)
    except SoapFault as fault:
        return fault


def _refused(fault: SoapFault) -> tuple[Reply, str]:
    return Reply(500, [envelope.fault(fault)], _XML), fault.code


def _compressed(reply: Reply) -> Body:
    if reply.cut_after is not None or sum(map(len, reply.body)) < _COMPRESSED_FROM:
        return reply.body
    reply.headers.append(("Content-Encoding", "gzip"))
    plain = b"".join(piece if isinstance(piece, bytes) else b"".join(piece) for piece in reply.body)
    return [gzip.compress(plain, compresslevel=1, mtime=0)]

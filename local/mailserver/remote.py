"""`MailServerControl`: the methods of `MailServer` for one that runs in another process, over its control API."""

import base64
import http.client
import json
import threading
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from urllib.parse import urlencode, urlsplit

from local.mailserver.contents import MAIL
from local.mailserver.faults import FaultKind
from local.mailserver.habits import Habit
from local.mailserver.journal import Asked
from local.mailserver.model import (
    DistinguishedFolder,
    FolderExists,
    FolderLoop,
    FolderRefused,
    NoSuchFolder,
    NoSuchItem,
    NoSuchMailbox,
    NotFound,
)
from local.mailserver.rights import Right
from local.mailserver.transport import Accepted

_REFUSED = FolderRefused, FolderExists, FolderLoop, DistinguishedFolder
_MISSING = NotFound, NoSuchMailbox, NoSuchFolder, NoSuchItem
_ERRORS = {error.__name__: error for error in (*_MISSING, *_REFUSED, ValueError, TypeError)}


class MailServerControl:
    """A client of the control API. Raises what `MailServer` raises; ConnectionError where there is no server.

    Safe to share between threads. Close it, or use it as a context manager.
    """

    def __init__(self, control_url: str) -> None:
        parts = urlsplit(control_url)
        self._path = parts.path.rstrip("/")
        self._connection = http.client.HTTPConnection(parts.hostname or "127.0.0.1", parts.port, timeout=60)
        self._lock = threading.Lock()
        self.faults = RemoteFaults(self)
        self.requests = RemoteJournal(self)

    def __enter__(self) -> "MailServerControl":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        self._connection.close()

    def call(self, method: str, raw: bytes = b"", /, **arguments: Any) -> Any:  # noqa: ANN401  # whatever JSON holds
        """One call of the control API."""
        query = urlencode({"arguments": json.dumps(arguments, default=_jsonable)})
        with self._lock:
            try:
                self._connection.request("POST", f"{self._path}/{method}?{query}", raw)
                response = self._connection.getresponse()
                answer = json.loads(response.read())
            except (OSError, http.client.HTTPException) as error:
                self._connection.close()
                raise ConnectionError(f"the mail server does not answer: {error}") from error
        if response.status != http.client.OK:
            raise _ERRORS.get(answer["error"], RuntimeError)(answer["detail"])
        return answer["result"]

    def add_mailbox(self, address: str, name: str = "", *, password: str | None = None, aliases: Sequence[str] = ()) -> None:
        self.call("add_mailbox", address=address, name=name, password=password, aliases=list(aliases))

    def set_habits(self, habits: Sequence[Habit | str] = ()) -> None:
        self.call("set_habits", habits=list(habits))

    def set_mailbox_enabled(self, address: str, enabled: bool) -> None:
        self.call("set_mailbox_enabled", address=address, enabled=enabled)

    def add_account(
        self,
        username: str,
        password: str,
        *,
        impersonation: bool | Sequence[str] = False,
        full_access: Sequence[str] = (),
        mailbox: str | None = None,
        enabled: bool = True,
    ) -> None:
        self.call(
            "add_account",
            username=username,
            password=password,
            impersonation=_plain(impersonation),
            full_access=list(full_access),
            mailbox=mailbox,
            enabled=enabled,
        )

    def set_account_enabled(self, username: str, enabled: bool) -> None:
        self.call("set_account_enabled", username=username, enabled=enabled)

    def set_password(self, username: str, password: str) -> None:
        self.call("set_password", username=username, password=password)

    def add_application(
        self,
        client_id: str,
        secret: str = "",
        *,
        certificate: str | None = None,
        impersonation: bool | Sequence[str] = True,
        full_access: Sequence[str] = (),
        redirect_uris: Sequence[str] = (),
    ) -> None:
        rights = {"impersonation": _plain(impersonation), "full_access": list(full_access)}
        rights["redirect_uris"] = list(redirect_uris)
        self.call("add_application", b"", client_id=client_id, secret=secret, certificate=certificate, **rights)

    def add_managed_identity(self, *, impersonation: bool | Sequence[str] = True, full_access: Sequence[str] = ()) -> None:
        self.call("add_managed_identity", impersonation=_plain(impersonation), full_access=list(full_access))

    def revoke_tokens(self) -> None:
        self.call("revoke_tokens")

    def revoke_consents(self, username: str | None = None, *, expired: bool = False) -> None:
        self.call("revoke_consents", username=username, expired=expired)

    def set_token_lifetime(self, seconds: float) -> None:
        self.call("set_token_lifetime", seconds=seconds)

    def grant_sending(self, mailbox: str, to: str, right: Right | str = Right.SEND_AS) -> None:
        self.call("grant_sending", mailbox=mailbox, to=to, right=right)

    def revoke_sending(self, mailbox: str, to: str) -> None:
        self.call("revoke_sending", mailbox=mailbox, to=to)

    def set_limits(self, largest_message: int | None = None, most_recipients: int | None = None) -> None:
        self.call("set_limits", largest_message=largest_message, most_recipients=most_recipients)

    def accepted(self, message_id: str | None = None) -> list[Accepted]:
        found = self.call("accepted", message_id=message_id)
        return [_as_accepted(each) for each in found]

    def deliver(
        self,
        raw: bytes,
        to: Sequence[str],
        received: datetime | None = None,
        *,
        internal: bool | None = False,
        folder: str = "inbox",
        item_class: str = "",
    ) -> list[str]:
        how = {"received": received, "internal": internal, "folder": folder, "item_class": item_class}
        ids: list[str] = self.call("deliver", raw, to=list(to), **how)
        return ids

    def put(
        self,
        raw: bytes,
        mailbox: str,
        folder: str,
        received: datetime | None = None,
        *,
        draft: bool = False,
        from_me: bool = False,
        read: bool = True,
    ) -> str:
        where = {"mailbox": mailbox, "folder": folder, "received": received}
        return str(self.call("put", raw, **where, draft=draft, from_me=from_me, read=read))

    def send(self, raw: bytes, mailbox: str, time: datetime | None = None, *, answers: str | None = None) -> str:
        return str(self.call("send", raw, mailbox=mailbox, time=time, answers=answers))

    def move(self, mailbox: str, item_id: str, folder: str) -> str:
        return str(self.call("move", mailbox=mailbox, item_id=item_id, folder=folder))

    def remove(self, mailbox: str, item_id: str) -> None:
        self.call("remove", mailbox=mailbox, item_id=item_id)

    def mark_read(self, mailbox: str, item_id: str, read: bool = True) -> None:
        self.call("mark_read", mailbox=mailbox, item_id=item_id, read=read)

    def touch(self, mailbox: str, item_id: str) -> None:
        self.call("touch", mailbox=mailbox, item_id=item_id)

    def categorize(self, mailbox: str, item_id: str, add: Sequence[str] = (), remove: Sequence[str] = ()) -> list[str]:
        names: list[str] = self.call("categorize", mailbox=mailbox, item_id=item_id, add=list(add), remove=list(remove))
        return names

    def categories(self, mailbox: str, item_id: str) -> list[str]:
        names: list[str] = self.call("categories", mailbox=mailbox, item_id=item_id)
        return names

    def add_folder(self, mailbox: str, name: str, parent: str = "msgfolderroot", kind: str = MAIL) -> str:
        return str(self.call("add_folder", mailbox=mailbox, name=name, parent=parent, kind=kind))

    def rename_folder(self, mailbox: str, folder: str, name: str) -> None:
        self.call("rename_folder", mailbox=mailbox, folder=folder, name=name)

    def renumber_folder(self, mailbox: str, folder: str = "inbox") -> None:
        self.call("renumber_folder", mailbox=mailbox, folder=folder)

    def move_folder(self, mailbox: str, folder: str, parent: str) -> None:
        self.call("move_folder", mailbox=mailbox, folder=folder, parent=parent)

    def remove_folder(self, mailbox: str, folder: str, *, to_deleted_items: bool = False) -> None:
        self.call("remove_folder", mailbox=mailbox, folder=folder, to_deleted_items=to_deleted_items)

    def invalidate_sync_states(self, mailbox: str) -> None:
        self.call("invalidate_sync_states", mailbox=mailbox)

    def items(self, mailbox: str, folder: str = "inbox") -> list[str]:
        ids: list[str] = self.call("items", mailbox=mailbox, folder=folder)
        return ids

    def reset(self) -> None:
        self.call("reset")


@dataclass(frozen=True, slots=True)
class RemoteFaults:
    """`Faults` of the other process."""

    control: MailServerControl

    def add(
        self,
        kind: FaultKind | str,
        mailbox: str | None = None,
        *,
        operation: str | None = None,
        count: int | None = None,
        after: int = 0,
        seconds: float = 0.0,
        code: str = "",
        item: str | None = None,
        text: str = "",
    ) -> int:
        how = {"count": count, "after": after, "seconds": seconds, "code": code, "item": item, "text": text}
        number = self.control.call("faults.add", b"", kind=FaultKind(kind).value, mailbox=mailbox, operation=operation, **how)
        return int(number)

    def clear(self, number: int | None = None, mailbox: str | None = None) -> None:
        self.control.call("faults.clear", number=number, mailbox=mailbox)


@dataclass(frozen=True, slots=True)
class RemoteJournal:
    """`Journal` of the other process."""

    control: MailServerControl

    def of(self, operation: str | None = None, mailbox: str | None = None, head: str | None = None) -> list[Asked]:
        found = self.control.call("requests.of", operation=operation, mailbox=mailbox, head=head)
        return [Asked(**asked) for asked in found]

    def count(self, operation: str | None = None, mailbox: str | None = None, head: str | None = None) -> int:
        return len(self.of(operation, mailbox, head))

    def clear(self) -> None:
        self.control.call("requests.clear")


def _as_accepted(said: dict[str, Any]) -> Accepted:
    known = {"recipients": tuple(said["recipients"]), "octets": base64.b64decode(said["octets"])}
    return Accepted(**said | known)


def _plain(impersonation: bool | Sequence[str]) -> bool | list[str]:
    return impersonation if isinstance(impersonation, bool) else list(impersonation)


def _jsonable(value: object) -> str:
    if isinstance(value, datetime):
        return value.isoformat()
    raise TypeError(f"{type(value).__name__} is no argument of the control API")

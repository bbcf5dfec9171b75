"""An SMTP session: what each command does in which state (RFC 5321). Knows no sockets.

With SIZE (RFC 1870), 8BITMIME (6152), SMTPUTF8 (6531), DSN (3461), AUTH (4954). Strangers reach mailboxes here; who signed in
reaches everybody.
"""

import uuid
from collections.abc import Iterator
from dataclasses import dataclass, field

from local.mailserver import signing_in
from local.mailserver.backend import Backend
from local.mailserver.delivery import HOST
from local.mailserver.habits import Habit
from local.mailserver.message import Message, fields_named, with_headers
from local.mailserver.model import NoSuchMailbox
from local.mailserver.rights import Right
from local.mailserver.signing_in import Claim, Denied
from local.mailserver.smtp import replies
from local.mailserver.smtp.parameters import Path, notice_of, path_of
from local.mailserver.smtp.replies import Reply, reply
from local.mailserver.transport import Notice, Submission

_EXTENSION_OF = {"SIZE": "SIZE", "BODY": "8BITMIME", "SMTPUTF8": "SMTPUTF8", "AUTH": "AUTH"}
_EXTENSION_OF |= dict.fromkeys(("RET", "ENVID", "NOTIFY", "ORCPT"), "DSN")
"""Which extension a parameter of MAIL or RCPT belongs to."""
_MESSAGE_ID = fields_named("Message-ID")
_WITHOUT = {
    "SIZE": Habit.SMTP_WITHOUT_SIZE,
    "8BITMIME": Habit.SMTP_WITHOUT_8BITMIME,
    "SMTPUTF8": Habit.SMTP_WITHOUT_SMTPUTF8,
    "DSN": Habit.SMTP_WITHOUT_DSN,
    "AUTH": Habit.SMTP_WITHOUT_AUTH,
    "STARTTLS": Habit.SMTP_WITHOUT_STARTTLS,
    "PIPELINING": Habit.SMTP_WITHOUT_PIPELINING,
}


@dataclass(slots=True)
class Transaction:
    """One message on its way in."""

    sender: Path
    notices: dict[str, Notice] = field(default_factory=dict)
    """By recipient, in order."""


class Session:
    def __init__(self, backend: Backend) -> None:
        self._backend = backend
        self._greeted = False
        self.is_secure = False
        self.username: str | None = None
        self._own: str | None = None
        self._transaction: Transaction | None = None

    @property
    def names(self) -> tuple[str, ...]:
        """Of who signed in: his mailbox and his account."""
        return tuple(name for name in (self._own, self.username) if name)

    @property
    def about(self) -> tuple[str, ...]:
        """Everybody whom the message under way is about."""
        transaction = self._transaction
        return self.names if transaction is None else (transaction.sender.address, *transaction.notices, *self.names)

    def restart(self) -> None:
        """After TLS is there nothing counts that was said before (RFC 3207 section 4.2)."""
        self._greeted, self.username, self._own, self._transaction = False, None, None, None
        self.is_secure = True

    def hello(self, argument: str, *, extended: bool) -> Reply:
        if extended and Habit.SMTP_WITHOUT_EHLO in self._backend.habits:
            return replies.NO_SUCH_COMMAND
        if not argument:
            return replies.BAD_ARGUMENTS
        self._greeted, self._transaction = True, None
        return Reply(250, "", (f"{HOST} Hello [127.0.0.1]", *(self._offers() if extended else ())))

    def _offers(self) -> Iterator[str]:
        mechanisms = " ".join(("LOGIN", *signing_in.MECHANISMS))
        details = {"SIZE": f"SIZE {self._backend.limits.largest_message}", "AUTH": f"AUTH {mechanisms}"}
        for name in ("SIZE", "PIPELINING", "DSN", "STARTTLS", "AUTH", "8BITMIME", "SMTPUTF8"):
            if self.offers(name):
                yield details.get(name, name)
        yield "ENHANCEDSTATUSCODES"

    def offers(self, extension: str) -> bool:
        if extension == "STARTTLS" and (self._backend.tls is None or self.is_secure):
            return False
        if extension == "AUTH" and not self._backend.may_sign_in(is_secure=self.is_secure):
            return False
        return extension not in _WITHOUT or _WITHOUT[extension] not in self._backend.habits

    def refuses_sign_in(self) -> Reply | None:
        if self.username is not None or self._transaction is not None or not self._greeted:
            return replies.NOT_NOW
        if not self._backend.may_sign_in(is_secure=self.is_secure):
            return reply(530, "5.7.0", "Must issue a STARTTLS command first")
        return None if self.offers("AUTH") else replies.NO_SUCH_COMMAND

    def sign_in(self, claim: Claim) -> Reply:
        account = claim.account
        if account is None or not account.enabled:
            return replies.WHO_ARE_YOU
        if claim.wanted or account.mailbox is not None:
            try:
                self._own = signing_in.opened(claim, self._backend.store).address
            except Denied:
                return replies.WHO_ARE_YOU
        self.username = claim.username
        return reply(235, "2.7.0", "Authentication successful")

    def mail(self, argument: str) -> Reply:
        if not self._greeted or self._transaction is not None:
            return replies.NOT_NOW
        if self.username is None and Habit.SMTP_AUTH_REQUIRED in self._backend.habits:
            return replies.NOT_SIGNED_IN
        try:
            path = path_of(argument, "FROM")
            too_large = int(path.parameters.get("SIZE") or 0) > self._backend.limits.largest_message
        except ValueError:
            return replies.BAD_ARGUMENTS
        refused = self._refuses(path)
        if refused is not None:
            return refused
        if too_large:
            return replies.TOO_LARGE
        if not self._may_send_as(path.address):
            return replies.SEND_AS_DENIED
        self._transaction = Transaction(path)
        return reply(250, "2.1.0", "Sender OK")

    def _refuses(self, path: Path) -> Reply | None:
        for name in path.parameters:
            if not self.offers(_EXTENSION_OF.get(name, "")) or name not in _EXTENSION_OF:
                return reply(555, "5.5.4", f"Unsupported option: {name}")
        international = "SMTPUTF8" in (self._transaction.sender if self._transaction else path).parameters
        if not path.address.isascii() and not international:
            return reply(553, "5.6.7", "The address needs SMTPUTF8")
        return None

    def _may_send_as(self, address: str, sender: str = "") -> bool:
        """`sender`: whom the message itself names as the one who writes for somebody else."""
        if Habit.SMTP_SENDERS_CHECKED not in self._backend.habits or self.username is None:
            return True
        store, rights = self._backend.store, self._backend.rights
        try:
            right = rights.of(self.names, store.mailbox(address).address)
        except NoSuchMailbox:
            return False
        if right is Right.SEND_ON_BEHALF and sender:
            return rights.of(self.names, sender) is Right.SEND_AS
        return right is Right.SEND_AS

    def recipient(self, argument: str) -> Reply:
        transaction = self._transaction
        if transaction is None:
            return replies.NOT_NOW
        try:
            path = path_of(argument, "TO")
            notice = notice_of(path)
        except ValueError:
            return replies.BAD_ARGUMENTS
        refused = self._refuses(path) or self._refuses_recipient(transaction, path.address)
        if refused is not None:
            return refused
        transaction.notices[path.address] = notice
        return reply(250, "2.1.5", "Recipient OK")

    def _refuses_recipient(self, transaction: Transaction, address: str) -> Reply | None:
        if not address:
            return replies.BAD_ARGUMENTS
        if len(transaction.notices) >= self._backend.limits.most_recipients:
            return replies.TOO_MANY_RECIPIENTS
        if Habit.SMTP_GREYLISTS in self._backend.habits and self._backend.greylist.is_new(transaction.sender.address, address):
            return replies.GREYLISTED
        store = self._backend.store
        if not store.serves(address):
            return None if self.username is not None else replies.NO_RELAY
        try:
            store.mailbox(address)
        except NoSuchMailbox:
            return None if Habit.SMTP_BOUNCES_LATER in self._backend.habits else replies.UNKNOWN_RECIPIENT
        return None

    def data(self) -> Reply:
        if self._transaction is None or not self._transaction.notices:
            return replies.NOT_NOW
        return reply(354, "", "Start mail input; end with <CRLF>.<CRLF>")

    def message(self, content: bytes | None) -> Reply:
        """The content has come, None: and is too large."""
        transaction, self._transaction = self._transaction, None
        if transaction is None:
            return replies.NOT_NOW
        if content is None:
            return replies.TOO_LARGE
        content, message = self._identified(content)
        author, writer = message.author, message.sender
        if author is not None and not self._may_send_as(author.address, writer.address if writer is not None else ""):
            return reply(554, "5.2.252", f"SendAsDenied; {self.username} not allowed to send as {author.address}")
        queue_id = self._backend.transport.take(
            Submission(
                head="smtp",
                sender=transaction.sender.address,
                recipients=tuple(transaction.notices),
                raw=content,
                username=self.username,
                is_internal=self.username is not None,
                notices={address.lower(): notice for address, notice in transaction.notices.items()},
                envelope_id=transaction.sender.parameters.get("ENVID", ""),
                returns_headers_only=transaction.sender.parameters.get("RET", "").upper() == "HDRS",
            )
        )
        named = f"{message.message_id or '<>'} [InternalId={queue_id}, Hostname={HOST}]"
        return reply(250, "2.6.0", f"{named} Queued mail for delivery")

    def _identified(self, content: bytes) -> tuple[bytes, Message]:
        """With the Message-ID that it has; where the server is so, or who signed in wrote none, with one that the server
        gives it (RFC 6409 section 8.3). What strangers send stays as it is."""
        message = Message(content)
        rewrites = Habit.SMTP_REWRITES_MESSAGE_IDS in self._backend.habits
        if not rewrites and (message.message_id is not None or self.username is None):
            return content, message
        anew = with_headers(content, [("Message-ID", f"<{uuid.uuid4().hex}@{HOST}>")], removed=_MESSAGE_ID)
        return anew, Message(anew)

    def reset(self) -> Reply:
        self._transaction = None
        return reply(250, "2.0.0", "Resetting")

    def written(self, operation: str, argument: str) -> str:
        """The parameters of a command, for the journal."""
        try:
            return path_of(argument, "FROM" if operation == "MAIL" else "TO").written if operation in ("MAIL", "RCPT") else ""
        except ValueError:
            return ""

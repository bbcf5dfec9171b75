"""An IMAP session: which command may come in which state, and what is told besides (RFC 3501 section 3). Knows no sockets."""

from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass

from local.mailserver import signing_in
from local.mailserver.backend import Backend
from local.mailserver.faults import FaultKind
from local.mailserver.habits import Habit
from local.mailserver.imap.folder_commands import Folders
from local.mailserver.imap.message_commands import Messages
from local.mailserver.imap.reading import Parser
from local.mailserver.imap.replies import Bad, No, Reply, untagged
from local.mailserver.imap.view import View
from local.mailserver.model import Mailbox
from local.mailserver.signing_in import Claim, Denied, NotConnected

_OF_MESSAGES = ("COPY", "EXPUNGE", "FETCH", "MOVE", "SEARCH", "STORE")
_TELL_NO_EXPUNGE = ("FETCH", "SEARCH", "STORE")
"""During these numbers must not change (RFC 3501 section 7.4.1), unless they speak of uids."""


@dataclass(frozen=True, slots=True)
class Command:
    tag: str
    name: str
    by_uid: bool
    parser: Parser


def read(line: bytes) -> Command:
    """Raises Bad where it has no tag; one whose name cannot be read has none, and is not served."""
    parser = Parser(line)
    tag = parser.atom()
    name, by_uid = "", parser.tries(b" UID ")
    with suppress(Bad):
        if not by_uid:
            parser.space()
        name = parser.atom().upper()
        if not parser.at_end:
            parser.space()
    return Command(tag, "" if by_uid and name not in _OF_MESSAGES else name, by_uid, parser)


class Session:
    def __init__(self, backend: Backend) -> None:
        self._backend = backend
        self.mailbox: Mailbox | None = None
        self.username: str | None = None
        self._view: View | None = None
        self._uses_modseq = False

    def capabilities(self, *, is_secure: bool) -> str:
        habits, backend = self._backend.habits, self._backend
        may_sign_in = backend.may_sign_in(is_secure=is_secure)
        waiting = self.mailbox is None
        offered = [
            ("IMAP4rev1 LITERAL+ ID ENABLE", True),
            ("STARTTLS", backend.tls is not None and not is_secure and waiting),
            ("LOGINDISABLED", not may_sign_in and waiting),
            ("SASL-IR AUTH=PLAIN AUTH=XOAUTH2", may_sign_in and waiting),
            ("NAMESPACE CHILDREN UNSELECT LIST-EXTENDED LIST-STATUS", True),
            ("UIDPLUS", Habit.IMAP_WITHOUT_UIDPLUS not in habits),
            ("MOVE", Habit.IMAP_WITHOUT_MOVE not in habits),
            ("SPECIAL-USE", Habit.IMAP_WITHOUT_SPECIAL_USE not in habits),
            ("CONDSTORE", Habit.IMAP_WITHOUT_CONDSTORE not in habits),
            ("OBJECTID", Habit.IMAP_WITH_OBJECTID in habits),
        ]
        return " ".join(names for names, is_offered in offered if is_offered)

    def refuse_sign_in(self, *, is_secure: bool) -> None:
        """Raises Bad, No."""
        if self.mailbox is not None:
            raise Bad("You are signed in already.")
        if not self._backend.may_sign_in(is_secure=is_secure):
            raise No("Nobody signs in before STARTTLS.", "PRIVACYREQUIRED")

    def sign_in(self, claim: Claim, *, is_secure: bool) -> Reply:
        """Raises No."""
        try:
            self.mailbox = signing_in.opened(claim, self._backend.store)
        except NotConnected:
            raise No("User is authenticated but not connected.", "AUTHORIZATIONFAILED") from None
        except Denied:
            raise No("Authentication failed.", "AUTHENTICATIONFAILED") from None
        self.username = claim.username
        return Reply(code=f"CAPABILITY {self.capabilities(is_secure=is_secure)}", text="User logged in.")

    def carry_out(self, command: Command, *, is_secure: bool) -> Reply:
        """Every command but those that sign in and STARTTLS. Raises Bad, No."""
        if command.name in ("CAPABILITY", "NOOP", "LOGOUT", "ID"):
            return self._at_any_time(command, is_secure=is_secure)
        if self.mailbox is None:
            raise Bad("Sign in first.")
        with self.mailbox.lock:
            reply = self._signed_in(command, self.mailbox)
            return self._with_news(command, reply)

    def _at_any_time(self, command: Command, *, is_secure: bool) -> Reply:
        if command.name == "ID":
            return Reply(lines=[untagged('ID ("name" "mailserver")')], text="ID completed.")
        command.parser.end()
        if command.name == "CAPABILITY":
            return Reply(lines=[untagged(f"CAPABILITY {self.capabilities(is_secure=is_secure)}")])
        if command.name == "LOGOUT":
            return Reply(lines=[untagged("BYE IMAP4 server signing off.")], text="LOGOUT completed.", hang_up=True)
        if self.mailbox is None:
            return Reply(text="NOOP completed.")
        with self.mailbox.lock:
            return self._with_news(command, Reply(text="NOOP completed."))

    def _signed_in(self, command: Command, mailbox: Mailbox) -> Reply:
        if command.name in _OF_MESSAGES:
            return self._of_messages(command)
        if command.name in ("SELECT", "EXAMINE"):
            return self._select(command, mailbox)
        folders = Folders(self._backend, mailbox, command.parser)
        handlers: dict[str, Callable[[], Reply]] = {
            "APPEND": folders.append,
            "CHECK": lambda: self._ended(command, "CHECK"),
            "CLOSE": lambda: self._close(command, expunges=True),
            "CREATE": folders.create,
            "DELETE": folders.delete,
            "ENABLE": lambda: self._enable(command),
            "LIST": lambda: folders.show("LIST"),
            "LSUB": lambda: folders.show("LSUB"),
            "NAMESPACE": lambda: self._namespace(command),
            "RENAME": folders.rename,
            "STATUS": folders.status,
            "SUBSCRIBE": lambda: Reply(text="SUBSCRIBE completed."),
            "UNSELECT": lambda: self._close(command, expunges=False),
            "UNSUBSCRIBE": lambda: Reply(text="UNSUBSCRIBE completed."),
        }
        if command.name not in handlers:
            raise Bad("That command is not served.")
        return handlers[command.name]()

    def _of_messages(self, command: Command) -> Reply:
        if self._view is None:
            raise Bad("Select a mailbox first.")
        messages = Messages(self._backend, self._view, command.name, command.parser, command.by_uid, self._uses_modseq)
        try:
            return messages.carry_out()
        finally:
            self._uses_modseq = messages.uses_modseq

    def _select(self, command: Command, mailbox: Mailbox) -> Reply:
        self._view = None
        if self._backend.faults.hit(FaultKind.FOLDER_GONE, mailbox.address, command.name) is not None:
            raise No("The mailbox does not exist.", "NONEXISTENT")
        folders = Folders(self._backend, mailbox, command.parser)
        self._view, reply, wants_modseq = folders.select(read_only=command.name == "EXAMINE")
        self._uses_modseq = self._uses_modseq or wants_modseq
        return reply

    def _close(self, command: Command, *, expunges: bool) -> Reply:
        command.parser.end()
        if self._view is None:
            raise Bad("Select a mailbox first.")
        if expunges and not self._view.read_only:
            Messages(self._backend, self._view, "EXPUNGE", Parser(b""), False, self._uses_modseq).carry_out()
        self._view = None
        return Reply(text=f"{command.name} completed.")

    @staticmethod
    def _ended(command: Command, name: str) -> Reply:
        command.parser.end()
        return Reply(text=f"{name} completed.")

    def _enable(self, command: Command) -> Reply:
        if self._view is not None:
            raise Bad("ENABLE comes before a mailbox is selected.")
        wanted = [command.parser.atom().upper()]
        while command.parser.tries(b" "):
            wanted.append(command.parser.atom().upper())
        command.parser.end()
        enabled = "CONDSTORE" in wanted and Habit.IMAP_WITHOUT_CONDSTORE not in self._backend.habits
        self._uses_modseq = self._uses_modseq or enabled
        return Reply(lines=[untagged("ENABLED CONDSTORE" if enabled else "ENABLED")], text="ENABLE completed.")

    @staticmethod
    def _namespace(command: Command) -> Reply:
        command.parser.end()
        return Reply(lines=[untagged('NAMESPACE (("" "/")) NIL NIL')], text="NAMESPACE completed.")

    def _with_news(self, command: Command, reply: Reply) -> Reply:
        if self._view is not None and command.name not in ("SELECT", "EXAMINE"):
            may_expunge = command.by_uid or command.name not in _TELL_NO_EXPUNGE
            reply.lines += self._view.updates(may_expunge=may_expunge, with_modseq=self._uses_modseq)
        return reply

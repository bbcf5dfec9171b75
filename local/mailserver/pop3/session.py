"""A POP3 session: what each command does in which state (RFC 1939), CAPA (2449), STLS (2595), AUTH (5034). Knows no sockets."""

from collections.abc import Callable
from dataclasses import dataclass

from local.mailserver import signing_in
from local.mailserver.backend import Backend
from local.mailserver.contents import Item
from local.mailserver.faults import FaultKind
from local.mailserver.habits import Habit
from local.mailserver.octets import dot_stuffed, first_lines, octets
from local.mailserver.pop3 import replies
from local.mailserver.pop3.maildrop import InUse, Locks, Maildrop, NoSuchMessage
from local.mailserver.pop3.replies import Reply, listing, ok, refused
from local.mailserver.signing_in import Claim, Denied, NotConnected

type Handler = Callable[[str], Reply]


@dataclass(frozen=True, slots=True)
class Connection:
    """What the session knows of its connection."""

    is_secure: bool
    timestamp: str
    """Of the greeting, with the brackets (APOP); empty: none was given."""


class Session:
    """One client. `close` gives the maildrop back, whatever happened."""

    def __init__(self, backend: Backend, locks: Locks) -> None:
        self._backend = backend
        self._locks = locks
        self._user = ""
        self._drop: Maildrop | None = None
        self.username: str | None = None
        """Of who signed in."""

    @property
    def address(self) -> str | None:
        """Of the mailbox that is open."""
        return self._drop.mailbox.address if self._drop is not None else None

    def close(self) -> None:
        if self._drop is not None:
            self._locks.release(self._drop.mailbox)
            self._drop = None

    def claim(self, name: str, argument: str, connection: Connection) -> Claim | Reply | None:
        """Who a command that signs in says he is, or why it cannot; None for all other commands."""
        if name not in ("PASS", "APOP"):
            return None
        refusal = self.refuses_sign_in(connection)
        if refusal is not None:
            return refusal
        if name == "PASS":
            user, self._user = self._user, ""
            return signing_in.by_password(self._backend.accounts, user, argument) if user else refused("USER comes first.")
        user, _, digest = argument.partition(" ")
        if not connection.timestamp or not digest:
            return refused("Unknown command.")
        return signing_in.by_digest(self._backend.accounts, user, digest.strip(), connection.timestamp)

    def refuses_sign_in(self, connection: Connection) -> Reply | None:
        if self._drop is not None:
            return refused("You are signed in already.")
        if not self._backend.may_sign_in(is_secure=connection.is_secure):
            return refused("Nobody signs in before STLS.", replies.WHO_ARE_YOU)
        return None

    def sign_in(self, claim: Claim) -> Reply:
        try:
            mailbox = signing_in.opened(claim, self._backend.store)
            self._locks.take(mailbox)
        except NotConnected:
            return refused("User is authenticated but not connected.", replies.FOR_GOOD)
        except Denied:
            return refused("Logon failure: unknown user name or bad password.", replies.WHO_ARE_YOU)
        except InUse:
            return refused("The maildrop is in use by another session.", "IN-USE")
        self._drop, self.username = Maildrop(mailbox, self._backend.habits), claim.username
        return ok("User successfully logged on.")

    def carry_out(self, name: str, argument: str, connection: Connection) -> Reply:
        """Every command but those that sign in and STLS."""
        if name == "CAPA" and Habit.POP3_WITHOUT_CAPA not in self._backend.habits:
            return listing("Capability list follows", self._capabilities(connection))
        if name == "QUIT":
            return self._quit()
        if self._drop is None:
            return self._user_name(argument, connection) if name == "USER" else refused("Unknown command.")
        handler = self._handlers(self._drop).get(name)
        if handler is None:
            return refused("Unknown command.")
        try:
            return handler(argument)
        except NoSuchMessage as missing:
            return refused(str(missing))

    def _capabilities(self, connection: Connection) -> list[str]:
        habits = self._backend.habits
        offered = [
            ("TOP", Habit.POP3_WITHOUT_TOP not in habits),
            ("UIDL", Habit.POP3_WITHOUT_UIDL not in habits),
            ("RESP-CODES", True),
            ("AUTH-RESP-CODE", True),
            ("PIPELINING", Habit.POP3_WITHOUT_PIPELINING not in habits),
            ("USER", self._backend.may_sign_in(is_secure=connection.is_secure)),
            (f"SASL {' '.join(signing_in.MECHANISMS)}", self._backend.may_sign_in(is_secure=connection.is_secure)),
            ("STLS", self._backend.tls is not None and not connection.is_secure and self._drop is None),
        ]
        return [name for name, is_offered in offered if is_offered]

    def _user_name(self, argument: str, connection: Connection) -> Reply:
        refusal = self.refuses_sign_in(connection)
        if refusal is not None:
            return refusal
        if not argument:
            return refused("A name is missing.")
        self._user = argument
        return ok()

    def _handlers(self, drop: Maildrop) -> dict[str, Handler]:
        handlers: dict[str, Handler] = {
            "STAT": lambda _: self._stat(drop),
            "LIST": lambda argument: self._list(drop, argument),
            "RETR": lambda argument: self._retrieve(drop, argument),
            "DELE": lambda argument: self._delete(drop, argument),
            "RSET": lambda _: self._reset(drop),
            "NOOP": lambda _: ok(),
            "UIDL": lambda argument: self._uidl(drop, argument),
            "TOP": lambda argument: self._top(drop, argument),
        }
        for name, habit in (("UIDL", Habit.POP3_WITHOUT_UIDL), ("TOP", Habit.POP3_WITHOUT_TOP)):
            if habit in self._backend.habits:
                del handlers[name]
        return handlers

    def _stat(self, drop: Maildrop) -> Reply:
        sizes = [len(octets(item.message)) for _, item in drop]
        return ok(f"{len(sizes)} {sum(sizes)}")

    def _list(self, drop: Maildrop, argument: str) -> Reply:
        if argument:
            number = _number(argument)
            return ok(f"{number} {len(octets(drop.message(number).message))}")
        lines = [f"{number} {len(octets(item.message))}" for number, item in drop]
        return listing(f"{len(lines)} messages", lines)

    def _uidl(self, drop: Maildrop, argument: str) -> Reply:
        if argument:
            number = _number(argument)
            return ok(f"{number} {drop.uidl(drop.message(number))}")
        return listing("", [f"{number} {drop.uidl(item)}" for number, item in drop])

    def _retrieve(self, drop: Maildrop, argument: str) -> Reply:
        item = drop.message(_number(argument))
        content = octets(item.message)
        return self._unreadable(item, "RETR") or Reply(True, f"{len(content)} octets", body=dot_stuffed(content))

    def _top(self, drop: Maildrop, argument: str) -> Reply:
        number, _, lines = argument.partition(" ")
        item, count = drop.message(_number(number)), _number(lines, least=0)
        unreadable = self._unreadable(item, "TOP") if count else None  # the header alone can be read
        return unreadable or Reply(True, body=dot_stuffed(first_lines(octets(item.message), count)))

    def _unreadable(self, item: Item, operation: str) -> Reply | None:
        fault = self._backend.faults.hit(FaultKind.UNREADABLE_ITEM, self.address, operation, item.id)
        return None if fault is None else refused(fault.text or "The message cannot be rendered.", fault.code)

    def _delete(self, drop: Maildrop, argument: str) -> Reply:
        number = _number(argument)
        fault = self._backend.faults.hit(FaultKind.UNWRITABLE_ITEM, self.address, "DELE", drop.message(number).id)
        if fault is not None:
            return refused(fault.text or "The message cannot be deleted.", fault.code)
        drop.mark(number)
        return ok()

    def _reset(self, drop: Maildrop) -> Reply:
        drop.unmark()
        return ok()

    def _quit(self) -> Reply:
        if self._drop is None:
            return Reply(True, "POP3 server signing off.", hang_up=True)
        complete = self._drop.delete_marked(self._backend.faults)
        self.close()
        if not complete:
            return refused("Some deleted messages were not removed.", replies.FOR_GOOD, hang_up=True)
        return Reply(True, "POP3 server signing off.", hang_up=True)


def _number(argument: str, least: int = 1) -> int:
    """Raises NoSuchMessage where it is none."""
    if not argument.isascii() or not argument.isdigit() or len(argument) > 10 or int(argument) < least:
        raise NoSuchMessage("That is no number.")
    return int(argument)

"""A session of one maildrop (RFC 1939): opened when something is asked of it, and anew after it was ended or lost.

Numbers of messages hold within a session only, so they are given out together with it: `maildrop` begins what is done, and
what follows it fails rather than go on in another session. Foreign exceptions end here.
"""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from datetime import timedelta
from time import monotonic

from shared.connectors.gate import Gate
from shared.connectors.internet.connection import Security, Server
from shared.connectors.internet.sign_in import Password, SignIn, Token, signed_in
from shared.connectors.pop3.connection import LONGEST_REPLY, Connection
from shared.connectors.pop3.contents import Content, Sink
from shared.connectors.pop3.errors import NoPop3, Refused, ReplyTooLong, UidlMissing, mapped
from shared.connectors.pop3.maildrop import Maildrop, maildrop_of, sizes_of, totals_of, uidl_of
from shared.connectors.pop3.signing_in import by_password, by_token
from shared.domain.choices import AuthenticationProtocol
from shared.domain.errors import NoTls, SyncError, Unreachable

LARGEST_LIST = 64 << 20
"""Bytes of a list of all messages."""
MOST_MESSAGES = 500_000
"""In a maildrop. Lines of a list are short, and what is made of them is not."""
_LARGEST_CAPA = 64 << 10
_AT_ONCE = 100
"""Commands under way at once: what they are answered with has to fit somewhere."""
_FEW = 20
"""Messages whose size is asked for by themselves, rather than that of every message there is."""
_ASLEEP_AFTER = 20.0
"""Seconds. A server may end a session in which nothing is said (RFC 1939 says after ten minutes; many do so earlier)."""

type Answer = Content | Refused | ReplyTooLong
"""After one that is too long the session is over, and nothing follows."""


class Session:
    """Not thread-safe: a run asks from one thread."""

    def __init__(
        self,
        server: Server,
        who: SignIn,
        gate: Gate | None,
        protocol: AuthenticationProtocol,
        timeout: timedelta,
        *,
        allow_local_servers: bool,
    ) -> None:
        """`gate`: of a password, the one that a refused one is stopped at."""
        self.server = server
        self.who = who
        self._gate = gate
        self._protocol = protocol
        self._timeout = timeout
        self._allow_local_servers = allow_local_servers
        self._connection: Connection | None = None
        self._spoken_at = 0.0
        self._capabilities: frozenset[str] | None = None
        self._maildrop: Maildrop | None = None
        self._sizes: dict[int, int] = {}

    def close(self) -> None:
        """Ends it properly, so that the maildrop is free at once; one that cannot be ended is over all the same."""
        if self._connection is not None:
            with suppress(Exception):  # nothing was to be deleted
                self._connection.quit()
            self._drop()

    def renew(self) -> None:
        """What is asked next is asked of another session: this one, where there was one, shows the maildrop as it began."""
        self.close()

    # ---- what begins

    def totals(self) -> tuple[int, int] | None:
        """How many messages there are, and their bytes; None where the server does not say."""
        with self._talking("STAT") as connection:
            return totals_of(connection.command("STAT"))

    def maildrop(self) -> Maildrop:
        """Raises UidlMissing."""
        with self._talking("UIDL") as connection:
            if self._maildrop is None:
                try:
                    self._maildrop = maildrop_of(_list(connection, "UIDL"))
                except Refused as error:
                    if error.is_transient or self.offers("UIDL"):
                        raise
                    raise UidlMissing("The server has no UIDL.") from error
            return self._maildrop

    def uidl(self, number: int) -> str | None:
        """Of one message; None where the server does not say."""
        with self._talking("UIDL") as connection:
            try:
                return uidl_of(connection.command(f"UIDL {number}"))
            except Refused:
                return None

    # ---- what follows `maildrop`

    def offers(self, capability: str) -> bool:
        """Whether the server says so (RFC 2449); it is asked once."""
        if self._capabilities is None:
            with self._going_on("CAPA") as connection:
                try:
                    lines = connection.ask("CAPA", _LARGEST_CAPA).decode("latin-1").upper().splitlines()
                except Refused:
                    lines = []
                self._capabilities = frozenset(line.split()[0] for line in lines if line.strip())
        return capability in self._capabilities

    def sizes(self, numbers: Sequence[int]) -> Mapping[int, int]:
        """Bytes of these messages, and perhaps of others; 0 where the server does not tell. Few are asked for one by one."""
        unknown = [number for number in numbers if number not in self._sizes]
        if len(unknown) > _FEW:
            with self._going_on("LIST") as connection, suppress(Refused):
                self._sizes |= sizes_of(_list(connection, "LIST"))
        elif unknown:
            for answer in self._commands([f"LIST {number}" for number in unknown]):
                self._sizes |= sizes_of(answer.partition(b" ")[2])
        for number in unknown:
            self._sizes.setdefault(number, 0)
        return self._sizes

    def ask_each(self, lines: Sequence[str], sinks: Sequence[Sink]) -> list[Answer]:
        """The replies to commands, several under way at once where the server allows it; none is when this returns. All of them
        take no longer than one may."""
        answers: list[Answer] = []
        until = monotonic() + LONGEST_REPLY.total_seconds()
        with self._going_on(lines[0].partition(" ")[0]) as connection:
            try:
                for at in self._parts(len(lines)):
                    answers.extend(connection.ask_each(lines[at], sinks[at], until))
            except ReplyTooLong as error:
                self._drop()
                answers.append(error)
        return answers

    def delete(self, numbers: Sequence[int]) -> list[Refused | None]:
        """Deletes messages and ends the session, which alone makes it happen: final when this returns, and open whether it
        happened where it raises. Those that the server refuses to delete, by place."""
        with self._going_on("DELE") as connection:
            lines = [f"DELE {number}" for number in numbers]
            outcomes = [
                outcome if isinstance(outcome, Refused) else None
                for at in self._parts(len(lines))
                for outcome in connection.command_each(lines[at])
            ]
            try:
                connection.command("QUIT")
            finally:
                self._drop()
            return outcomes

    def _commands(self, lines: Sequence[str]) -> list[bytes]:
        """The answers of one line; without those that refuse."""
        with self._going_on(lines[0].partition(" ")[0]) as connection:
            return [
                answer
                for at in self._parts(len(lines))
                for answer in connection.command_each(lines[at])
                if isinstance(answer, bytes)
            ]

    def _parts(self, count: int) -> Iterator[slice]:
        at_once = _AT_ONCE if self.offers("PIPELINING") else 1
        return (slice(at, at + at_once) for at in range(0, count, at_once))

    # ---- the connection

    @contextmanager
    def _talking(self, operation: str) -> Iterator[Connection]:
        """Opened where there is none, or where it does not answer any more."""
        if self._connection is not None and monotonic() - self._spoken_at > _ASLEEP_AFTER:
            try:
                self._connection.noop()
            except Exception:  # noqa: BLE001 # whatever it is, a new one is opened
                self._drop()
        if self._connection is None:
            try:
                self._connection = self._signed_in()
            except SyncError:
                raise
            except Exception as error:  # of sockets, TLS and the server's words alike
                raise mapped(error, "connecting") from error
        with self._going_on(operation) as connection:
            yield connection

    @contextmanager
    def _going_on(self, operation: str) -> Iterator[Connection]:
        """After a refusal the connection goes on; after everything else nobody knows what comes next on it."""
        if self._connection is None:
            raise Unreachable(f"{operation}: the session is over.")
        try:
            yield self._connection
        except SyncError:
            raise
        except Refused as error:
            raise mapped(error, operation) from error
        except Exception as error:  # of sockets, TLS and the server's words alike
            self._drop()
            raise mapped(error, operation) from error
        except BaseException:
            self._drop()
            raise
        finally:
            self._spoken_at = monotonic()

    def _drop(self) -> None:
        """Without QUIT nothing is deleted."""
        connection, self._connection = self._connection, None
        self._capabilities = self._maildrop = None
        self._sizes = {}
        if connection is not None:
            connection.drop()

    def _signed_in(self) -> Connection:
        return signed_in(self.who, self._gate, self._timeout, by_password=self._with_password, by_token=self._with_token)

    def _with_password(self, who: Password) -> Connection:
        with self._connected() as connection:
            by_password(connection, who, self.server, self._protocol)
            return connection

    def _with_token(self, who: Token, token: str) -> Connection:
        with self._connected() as connection:
            by_token(connection, who.username, token, profile_wide=who.profile_wide)
            return connection

    @contextmanager
    def _connected(self) -> Iterator[Connection]:
        """Over TLS where it has to be; dropped where nobody signs in."""
        connection = Connection(self.server, self._timeout, allow_local_servers=self._allow_local_servers)
        try:
            if self.server.security is Security.UPGRADE:
                try:
                    connection.turn_to_tls()
                except (Refused, NoPop3) as error:
                    raise NoTls("The server does not turn to TLS (STLS).") from error
            yield connection
        except BaseException:
            connection.drop()
            raise


def _list(connection: Connection, command: str) -> bytes:
    """Raises ReplyTooLong."""
    said = connection.ask(command, LARGEST_LIST)
    if said.count(b"\n") + said.count(b"\r") > 2 * MOST_MESSAGES:
        raise ReplyTooLong
    return said

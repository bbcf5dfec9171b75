"""A connection that is signed in: opened when it is needed first, kept for the run, opened anew after it was lost.

Foreign exceptions of connecting and signing in end here.
"""

from collections.abc import Iterator
from contextlib import contextmanager, suppress
from datetime import timedelta
from math import inf
from time import monotonic

from shared.connectors.gate import Gate
from shared.connectors.internet.connection import Security, Server
from shared.connectors.internet.sign_in import Password, SignIn, Token, signed_in
from shared.connectors.smtp.connection import Connection
from shared.connectors.smtp.errors import Closing, NoSmtp, mapped
from shared.connectors.smtp.signing_in import by_password, by_token
from shared.domain.errors import NoTls, SyncError

_LONGEST_SIGN_IN = timedelta(minutes=2)
"""All in all, however many steps it has."""


class Session:
    """Not thread-safe: a run sends from one thread."""

    def __init__(
        self, server: Server, who: SignIn | None, gate: Gate | None, timeout: timedelta, name: str, *, allow_local_servers: bool
    ) -> None:
        """`who`: None signs in nobody. `gate`: of a password, the one that a refused one is stopped at. `name`: what we are
        called in EHLO; it says nothing about this machine."""
        self._server = server
        self._who = who
        self._gate = gate
        self._timeout = timeout
        self._name = name
        self._allow_local_servers = allow_local_servers
        self._until = inf
        """When who is signing in is to be in."""
        self._connection: Connection | None = None

    @property
    def is_open(self) -> bool:
        return self._connection is not None and not self._connection.is_over

    def connection(self, until: float = inf) -> Connection:
        """Opened where there is none, by then, as `monotonic` tells time. Raises MailboxError, TransientError."""
        if self._connection is None or self._connection.is_over:
            self._until = min(until, monotonic() + _LONGEST_SIGN_IN.total_seconds())
            try:
                self._connection = self._signed_in()
            except SyncError:
                raise
            except Exception as error:  # of sockets, TLS and the server's words alike
                raise mapped(error, "connecting") from error
        return self._connection

    def drop(self) -> None:
        """After a failure nobody knows what comes next on it."""
        connection, self._connection = self._connection, None
        if connection is not None:
            connection.drop()

    def close(self) -> None:
        if self._connection is not None and self.is_open:
            with suppress(Exception):  # what was sent was answered
                self._connection.command("QUIT")
            self.drop()

    def _signed_in(self) -> Connection:
        if self._who is None:
            with self._connected() as connection:
                return connection
        return signed_in(self._who, self._gate, self._timeout, by_password=self._with_password, by_token=self._with_token)

    def _with_password(self, who: Password) -> Connection:
        with self._connected() as connection:
            by_password(connection, who)
            return connection

    def _with_token(self, who: Token, token: str) -> Connection:
        with self._connected() as connection:
            by_token(connection, who.username, token, profile_wide=who.profile_wide)
            return connection

    @contextmanager
    def _connected(self) -> Iterator[Connection]:
        """Over TLS where it has to be; dropped where nobody signs in."""
        connection = Connection(
            self._server, self._name, self._timeout, allow_local_servers=self._allow_local_servers, until=self._until
        )
        try:
            with connection.within(self._until):
                connection.introduce()
                if self._server.security is Security.UPGRADE:
                    _turn_to_tls(connection)
                yield connection
        except BaseException:
            connection.drop()
            raise


def _turn_to_tls(connection: Connection) -> None:
    if not connection.offers("starttls"):
        raise NoTls("The server does not turn to TLS (STARTTLS).")
    try:
        connection.turn_to_tls()
    except (Closing, NoSmtp) as error:
        raise NoTls("The server does not turn to TLS (STARTTLS).") from error
    connection.introduce()

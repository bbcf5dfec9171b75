"""Chooses the connector for a mailbox and opens it. Importing this stays cheap: a connector's libraries load on first use."""

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from datetime import datetime
from threading import Lock
from typing import TYPE_CHECKING

from shared.connectors.deadline import within
from shared.connectors.stored_secrets import RememberedSecrets
from shared.domain.choices import ServerType
from shared.domain.configuration import Discovered, EmailServerProfile, Mailbox, for_outgoing
from shared.domain.errors import MailboxError
from shared.ports import ConnectionShares, Consents, IncomingEmail, OutgoingEmail, Secrets

if TYPE_CHECKING:
    from shared.connectors.exchange.session import Pools
    from shared.connectors.internet.gates import Gates
    from shared.connectors.internet.sign_in import Identities

_OVER_EWS = frozenset({ServerType.EXCHANGE_SERVER, ServerType.EXCHANGE_ONLINE})


class ServerTypeUnsupported(MailboxError):
    """What was asked for is not possible with this type of server."""

    code = "server_type_unsupported"
    remedy = "Choose Exchange Server or Exchange Online as the server type of the profile, or switch autodiscover off."


class Connect:
    """`ports.OpenMailbox`. One instance lives as long as the worker: it holds the connections."""

    def __init__(
        self,
        secrets: Secrets,
        *,
        allow_local_servers: bool | Callable[[], bool],
        shares: ConnectionShares | None = None,
        consents: Consents | None = None,
    ) -> None:
        """`allow_local_servers` may be asked anew for every mailbox: an administrator may change it. `shares` divides
        connections among the workers; without it this worker takes them for its own. Without `consents` nobody gave any."""
        self._secrets = RememberedSecrets(secrets)
        self._shares = shares
        self._allow_local_servers = allow_local_servers
        self._lock = Lock()
        self._exchange: dict[bool, Pools] = {}
        self._consents = consents
        self._gates: Gates | None = None
        self._identities: Identities | None = None

    def __call__(
        self, profile: EmailServerProfile, mailbox: Mailbox, discovered: Discovered | None = None
    ) -> AbstractContextManager[IncomingEmail]:
        match profile.server_type:
            case ServerType.EXCHANGE_SERVER | ServerType.EXCHANGE_ONLINE:
                return self._open_exchange(profile, mailbox, discovered)
            case ServerType.POP3_SMTP:
                return self._open_pop3(profile, mailbox)
            case ServerType.IMAP_SMTP:
                return self._open_imap(profile, mailbox)

    @contextmanager
    def _open_exchange(
        self, profile: EmailServerProfile, mailbox: Mailbox, discovered: Discovered | None
    ) -> Iterator[IncomingEmail]:
        from shared.connectors.exchange.mail import ExchangeMail

        yield ExchangeMail(self._pools().session(profile, mailbox, discovered))

    def _open_pop3(self, profile: EmailServerProfile, mailbox: Mailbox) -> AbstractContextManager[IncomingEmail]:
        from shared.connectors.pop3.mail import open_pop3

        known = self._known_gates(), self._known_identities()
        return open_pop3(profile, mailbox, self._secrets, *known, allow_local_servers=self._may_be_local())

    def _open_imap(self, profile: EmailServerProfile, mailbox: Mailbox) -> AbstractContextManager[IncomingEmail]:
        from shared.connectors.imap.mail import open_imap

        known = self._known_gates(), self._known_identities()
        return open_imap(profile, mailbox, self._secrets, *known, allow_local_servers=self._may_be_local())

    def outgoing(
        self, profile: EmailServerProfile, mailbox: Mailbox, discovered: Discovered | None = None
    ) -> AbstractContextManager[OutgoingEmail]:
        """`ports.OpenOutgoing`."""
        if profile.server_type in _OVER_EWS:
            return self._send_over_exchange(for_outgoing(profile), mailbox, discovered)
        return self._open_smtp(profile, mailbox)

    @contextmanager
    def _send_over_exchange(
        self, profile: EmailServerProfile, mailbox: Mailbox, discovered: Discovered | None
    ) -> Iterator[OutgoingEmail]:
        from shared.connectors.exchange.outgoing import ExchangeOutgoing

        yield ExchangeOutgoing(self._pools().session(profile, mailbox, discovered))

    def _open_smtp(self, profile: EmailServerProfile, mailbox: Mailbox) -> AbstractContextManager[OutgoingEmail]:
        from shared.connectors.smtp.mail import open_smtp

        known = self._known_gates(), self._known_identities()
        return open_smtp(profile, mailbox, self._secrets, *known, allow_local_servers=self._may_be_local())

    def _known_gates(self) -> "Gates":
        from shared.connectors.internet.gates import Gates

        with self._lock:
            self._gates = self._gates or Gates()
            return self._gates

    def _known_identities(self) -> "Identities":
        from shared.connectors.internet.sign_in import Identities

        with self._lock:
            self._identities = self._identities or Identities(self._consents)
            return self._identities

    def _may_be_local(self) -> bool:
        allowed = self._allow_local_servers
        return allowed if isinstance(allowed, bool) else allowed()

    def discover(self, profile: EmailServerProfile, mailbox: Mailbox, now: datetime) -> Discovered:
        """`ports.Discover`. Takes no longer than the profile allows for one call, all in all."""
        if profile.server_type not in _OVER_EWS:
            raise ServerTypeUnsupported(f"There is no autodiscover for the server type {profile.server_type.name}.")
        from shared.connectors.exchange.autodiscover import Discovery

        find = Discovery(self._pools())
        return within(profile.timeout, lambda: find(profile, mailbox, now))

    def _pools(self) -> "Pools":
        from shared.connectors.exchange.session import Pools

        may_be_local = self._may_be_local()
        with self._lock:
            if may_be_local not in self._exchange:
                self._exchange[may_be_local] = Pools(self._secrets, may_be_local, shares=self._shares)
            return self._exchange[may_be_local]

    def close(self) -> None:
        """Closes the connections that are idle."""
        with self._lock:
            for pools in self._exchange.values():
                pools.close()
            self._exchange.clear()

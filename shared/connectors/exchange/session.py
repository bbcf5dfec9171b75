"""Connections to EWS: one pool per (endpoint, identity) for the life of the process, shared by every mailbox on it.

exchangelib's own cache of protocols never lets go, hashes credentials by their token and keeps the first pool size it
saw, so the pools are kept here instead. Nothing is discovered: endpoint, authentication and version are given.
Failures are raised at once and typed; nobody sleeps here.
"""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from queue import Empty
from threading import Lock
from time import monotonic

import requests
from exchangelib import Identity
from exchangelib.configuration import Configuration
from exchangelib.credentials import DELEGATE, IMPERSONATION
from exchangelib.errors import SessionPoolMaxSizeReached
from exchangelib.protocol import BaseProtocol, FailFast
from exchangelib.transport import DEFAULT_HEADERS, NOAUTH
from exchangelib.version import EXCHANGE_2016, Build, Version

from shared.connectors.exchange.batches import LARGEST, BatchSize
from shared.connectors.exchange.destination import guarded_session
from shared.connectors.exchange.errors import EwsBlocked, mapped, retry_after
from shared.connectors.exchange.gate import Gate
from shared.connectors.exchange.locations import endpoint_of
from shared.connectors.exchange.sign_in import MakeAuth, SignIn, make_auth, sign_in_of
from shared.connectors.exchange.slots import Share, Slots
from shared.domain.choices import AuthenticationProtocol
from shared.domain.configuration import Discovered, EmailServerProfile, Mailbox
from shared.domain.errors import (
    AuthenticationFailed,
    Busy,
    ItemTooLarge,
    NoMailServer,
    Throttled,
    TransientError,
    Unreachable,
)
from shared.domain.ids import normalised_address, short_hash
from shared.ports import Clock, ConnectionShares, Secrets

CHUNK = 1 << 16
LARGEST_REPLY = 64 << 20
"""Bytes of a reply that is read whole. What is larger is one item, and too large."""
LARGEST_STREAM = 256 << 20
"""Bytes of a reply that is streamed: the largest message that Exchange Online takes, in base64, and some."""
LONGEST_STREAM = timedelta(minutes=5)
"""A run's lease would not outlast a longer one."""
MOST_POOLS = 200
"""Identities whose connections are kept, where each mailbox signs in by itself."""


class Answers(FailFast):  # type: ignore[misc] # exchangelib has no types
    """What an HTTP status means. exchangelib gives 403, 429 and 456 no type and drops Retry-After."""

    def __init__(self, *, profile_wide: bool) -> None:
        self._profile_wide = profile_wide

    def raise_response_errors(self, response: requests.Response) -> None:
        status = response.status_code
        wait = retry_after(response.headers.get("Retry-After"))
        if status == 200 or (status == 500 and "xml" in response.headers.get("Content-Type", "")):
            return  # Exchange sends SOAP faults as 500
        if status == 401:
            raise AuthenticationFailed("The server refused the credentials (HTTP 401).", profile_wide=self._profile_wide)
        if status in (456, 457):
            raise AuthenticationFailed(
                f"The server has blocked the account or its password (HTTP {status}).", profile_wide=self._profile_wide
            )
        if status == 403:
            raise EwsBlocked("The server does not allow EWS here (HTTP 403).")
        if status == 429 or (status == 503 and wait):
            raise Throttled(f"The server asks to slow down (HTTP {status}).", wait)
        if status >= 500:
            raise Busy(f"The server cannot answer now (HTTP {status}).", wait)
        if 300 <= status < 400:
            raise NoMailServer(f"The server redirects elsewhere (HTTP {status}), and credentials do not follow.")
        if status in (404, 405, 410):
            raise NoMailServer(f"There is no EWS at this location (HTTP {status}).")
        raise TransientError(f"The server answered HTTP {status}.", wait)


class Pool(BaseProtocol):  # type: ignore[misc]
    """The connections of one identity to one endpoint, and what is learnt about both: thread-safe."""

    USERAGENT = "Sidesync"

    def __init__(
        self, endpoint: str, auth: MakeAuth, gate: Gate, slots: Slots, profile_wide: bool, allow_local_servers: bool
    ) -> None:
        super().__init__(
            Configuration(
                service_endpoint=endpoint,
                auth_type=NOAUTH,  # each session carries its own, see create_session
                version=Version(build=EXCHANGE_2016),
                retry_policy=Answers(profile_wide=profile_wide),
                max_connections=1,
            )
        )
        self.profile_wide = profile_wide
        self.batch_size = BatchSize()
        self.envelope_batch_size = BatchSize(LARGEST)
        self._auth = auth
        self._gate = gate
        self._slots = slots
        self._allow_local_servers = allow_local_servers
        self._retired = False

    @property
    def version(self) -> Version:
        return self.config.version

    def create_session(self) -> requests.Session:
        session = guarded_session(allow_local_servers=self._allow_local_servers)
        session.headers.update(DEFAULT_HEADERS)
        session.headers["User-Agent"] = self.USERAGENT
        session.auth = self._auth()
        return session

    def get_session(self, patience: float = 60.0) -> requests.Session:
        """A free connection, a new one while there may be more. Raises Busy after `patience` seconds."""
        with suppress(SessionPoolMaxSizeReached):
            while True:
                with suppress(Empty):
                    return self._taken(block=False)
                self.increase_poolsize()
        try:
            return self._taken(timeout=patience)
        except Empty:
            raise Busy("Every connection of this identity is in use.") from None

    def _taken(self, **how: float) -> requests.Session:
        session: requests.Session = self._session_pool.get(**how)
        return session

    def release_session(self, session: requests.Session) -> None:
        if self._retired:
            session.close()  # its connection; whoever still uses the pool opens another
        self._session_pool.put(session, block=False)

    def retire_session(self, session: requests.Session) -> None:
        """A connection in an unknown state makes room for a new one."""
        session.close()
        self.release_session(self.create_session())

    def retire(self) -> None:
        """Closes what is idle now, and what is in use when it comes back."""
        self._retired = True
        self.close()

    @contextmanager
    def posted(self, body: bytes, headers: Mapping[str, str | bytes], timeout: float) -> Iterator[requests.Response]:
        """The reply to one request, its headers checked and its body unread. Raises SyncError, or what requests raises."""
        with self._slots.one(self.max_connections, timeout):
            yield from self._posted(body, headers, timeout)

    def _posted(self, body: bytes, headers: Mapping[str, str | bytes], timeout: float) -> Iterator[requests.Response]:
        with self._gate.attempt(timeout):
            session = self.get_session(timeout)
            response = None
            try:
                response = session.post(
                    self.service_endpoint, data=body, headers=headers, timeout=timeout, allow_redirects=False, stream=True
                )
                self.retry_policy.raise_response_errors(response)
                self._gate.passed()
            except BaseException:
                if response is not None:
                    response.close()
                self.retire_session(session)
                raise
        try:
            yield response
        finally:
            response.close()
            self.release_session(session)


@dataclass(slots=True)
class Session:
    """One mailbox on a pool. exchangelib's services take it for an account, hence the names."""

    protocol: Pool
    primary_smtp_address: str
    access_type: str
    timeout: float
    version: Version
    identity: Identity = None
    default_timezone: None = None
    """No TimeZoneContext: every time is asked for and given in UTC."""
    affinity_cookie: None = None

    @property
    def acts_as_mailbox(self) -> bool:
        return bool(self.access_type == IMPERSONATION)

    def reply(self, body: bytes, headers: Mapping[str, str | bytes]) -> bytes:
        """The whole reply. Raises ItemTooLarge, Unreachable when it takes longer than the time for one call."""
        with self.protocol.posted(body, headers, self.timeout) as response:
            return b"".join(_bounded(response.iter_content(CHUNK), LARGEST_REPLY, self.timeout))

    def chunks(self, body: bytes, headers: Mapping[str, str | bytes]) -> Iterator[bytes]:
        """The reply as it comes. Raises ItemTooLarge, Unreachable when it takes longer than `LONGEST_STREAM`."""
        with self.protocol.posted(body, headers, self.timeout) as response:
            yield from _bounded(response.iter_content(CHUNK), LARGEST_STREAM, LONGEST_STREAM.total_seconds())


def _bounded(chunks: Iterator[bytes], largest: int, seconds: float) -> Iterator[bytes]:
    """The same chunks. Raises ItemTooLarge, Unreachable."""
    deadline, size = monotonic() + seconds, 0
    for chunk in chunks:
        size += len(chunk)
        if size > largest:
            raise ItemTooLarge(f"The reply is larger than {largest >> 20} MiB.")
        if monotonic() > deadline:
            raise Unreachable("The reply took longer than the time allowed for it.")
        yield chunk


def utc_now() -> datetime:
    return datetime.now(UTC)


type _Identity = tuple[object, ...]


@dataclass(slots=True)
class Pools:
    """The pools of the process, the one used longest ago first. One instance lives as long as the worker."""

    secrets: Secrets
    allow_local_servers: bool
    _pools: dict[_Identity, tuple[str, Pool]] = field(default_factory=dict)
    shares: ConnectionShares | None = None
    worker: str = ""
    clock: Clock = utc_now
    _slots: dict[_Identity, Slots] = field(default_factory=dict)
    _gates: dict[tuple[_Identity, str], Gate] = field(default_factory=dict)
    _detected: dict[str, AuthenticationProtocol] = field(default_factory=dict)
    _lock: Lock = field(default_factory=Lock)

    def session(self, profile: EmailServerProfile, mailbox: Mailbox, discovered: Discovered | None = None) -> Session:
        """Raises LocationRefused, AuthenticationFailed; TransientError while the kind of authentication is detected."""
        if not profile.use_autodiscover:
            discovered = None
        endpoint = endpoint_of(profile, mailbox, discovered, allow_local_servers=self.allow_local_servers)
        sign_in = sign_in_of(profile, mailbox)
        protocol = sign_in.protocol
        if protocol is AuthenticationProtocol.AUTO_DETECT:
            protocol = discovered.authentication if discovered else self._detected_at(endpoint, profile)
        pool = self._pool(endpoint, sign_in, protocol)
        pool.max_connections = profile.max_connections
        address = normalised_address(mailbox.address)
        acts_as_mailbox = sign_in.is_application or (profile.use_impersonation and sign_in.profile_wide)
        return Session(
            pool,
            address,
            IMPERSONATION if acts_as_mailbox else DELEGATE,
            profile.timeout.total_seconds(),
            version_of(discovered) or pool.config.version,
            Identity(primary_smtp_address=address) if acts_as_mailbox else None,
        )

    def pool_at(self, url: str, profile: EmailServerProfile, mailbox: Mailbox) -> Pool:
        """Connections to a service beside EWS, such as autodiscover, for who signs in for the mailbox."""
        sign_in = sign_in_of(profile, mailbox)
        return self._pool(url, sign_in, self.authentication_of(profile, mailbox, url))

    def authentication_of(self, profile: EmailServerProfile, mailbox: Mailbox, url: str) -> AuthenticationProtocol:
        """How to sign in there: as configured, else as the server offers."""
        protocol = sign_in_of(profile, mailbox).protocol
        return self._detected_at(url, profile) if protocol is AuthenticationProtocol.AUTO_DETECT else protocol

    def close(self) -> None:
        with self._lock:
            for _, pool in self._pools.values():
                pool.retire()
            self._pools.clear()

    def _pool(self, endpoint: str, sign_in: SignIn, protocol: AuthenticationProtocol) -> Pool:
        identity, version = _identity(endpoint, sign_in, protocol)
        with self._lock:
            known = self._pools.get(identity)
            if known and known[0] == version:
                self._pools[identity] = self._pools.pop(identity)
                return known[1]
            auth = make_auth(sign_in, protocol, self.secrets, endpoint, allow_local_servers=self.allow_local_servers)
            gate = self._gates.setdefault((identity, version), Gate(profile_wide=sign_in.profile_wide))
            pool = Pool(endpoint, auth, gate, self._slots_of(identity, sign_in), sign_in.profile_wide, self.allow_local_servers)
            self._pools.pop(identity, None)
            self._pools[identity] = (version, pool)
            outdated = [known[1]] if known else []
            while len(self._pools) > MOST_POOLS:
                outdated.append(self._pools.pop(next(iter(self._pools)))[1])
            for each in outdated:
                each.retire()
            return pool

    def _slots_of(self, identity: _Identity, sign_in: SignIn) -> Slots:
        """A mailbox that signs in by itself is read by one run at a time: nobody else uses its connections."""
        if self.shares is None or not sign_in.profile_wide:
            return self._slots.setdefault(identity, Slots())
        share = Share(self.shares, short_hash(repr(identity)), self.worker, self.clock)
        return self._slots.setdefault(identity, Slots(share))

    def _detected_at(self, endpoint: str, profile: EmailServerProfile) -> AuthenticationProtocol:
        if endpoint not in self._detected:
            timeout = profile.timeout.total_seconds()
            self._detected[endpoint] = _detected(endpoint, timeout, allow_local_servers=self.allow_local_servers)
        return self._detected[endpoint]


def version_of(discovered: Discovered | None) -> Version | None:
    """What is asked of the server first; None where its build says nothing to exchangelib."""
    parts = discovered.version.split(".") if discovered else []
    if len(parts) != 4 or not all(part.isdecimal() for part in parts):
        return None
    build = Build(*map(int, parts))
    try:
        return Version(build=build, api_version=build.api_version())
    except ValueError:
        return None


def _identity(endpoint: str, sign_in: SignIn, protocol: AuthenticationProtocol) -> tuple[_Identity, str]:
    """Who signs in where, and with which version of the secret."""
    who = sign_in.credentials
    proof = None if sign_in.managed else who.certificate or who.secret
    name, version = (proof.name, proof.version) if proof else ("", "")
    identity = (endpoint, protocol, sign_in.managed, who.username, who.client_id, who.tenant_id, who.authority, name)
    return (*identity, sign_in.profile_wide), version


def _detected(endpoint: str, timeout: float, *, allow_local_servers: bool) -> AuthenticationProtocol:
    """The best of what the server offers to one who does not say who he is. Raises TransientError, AuthenticationFailed."""
    try:
        with guarded_session(allow_local_servers=allow_local_servers) as session:
            response = session.post(
                endpoint, data=b"", headers=DEFAULT_HEADERS, timeout=timeout, allow_redirects=False, stream=True
            )
            response.close()  # its headers say it all
    except requests.RequestException as error:
        raise mapped(error, "detecting the kind of authentication") from error
    if response.status_code != 401:
        Answers(profile_wide=True).raise_response_errors(response)
    offered = response.headers.get("WWW-Authenticate", "").lower()
    if "ntlm" in offered or "negotiate" in offered:
        return AuthenticationProtocol.NTLM
    if "basic" in offered:
        return AuthenticationProtocol.BASIC
    raise AuthenticationFailed("The server offers neither NTLM nor Basic authentication.", profile_wide=True)

"""Connections to EWS: one pool per (endpoint, identity) for the life of the process, shared by every mailbox on it.

exchangelib's own cache of protocols never lets go, hashes credentials by their token and keeps the first pool size it
saw, so the pools are kept here instead. Nothing is discovered: endpoint, authentication and version are given.
Failures are raised at once and typed; nobody sleeps here.
"""

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from functools import partial
from threading import Lock
from time import monotonic
from uuid import uuid4

import requests
from exchangelib import Identity
from exchangelib.credentials import DELEGATE, IMPERSONATION
from exchangelib.version import Build, Version

from shared.connectors.exchange.detection import Detection
from shared.connectors.exchange.locations import endpoint_of
from shared.connectors.exchange.pool import Pool, RequestBody
from shared.connectors.exchange.sign_in import SignIn, make_auth, sign_in_of
from shared.connectors.exchange.slots import Share, Slots
from shared.connectors.gate import Gate, RefusedBefore
from shared.domain.choices import AuthenticationProtocol
from shared.domain.configuration import Discovered, EmailServerProfile, Mailbox
from shared.domain.errors import AuthenticationFailed, ItemTooLarge, Unreachable
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


@dataclass(slots=True)
class Session:
    """One mailbox on a pool. exchangelib's services take it for an account, hence the names."""

    protocol: Pool
    primary_smtp_address: str
    access_type: str
    timeout: float
    version: Version
    refused: Callable[[AuthenticationFailed], None]
    """Told when the credentials are refused."""
    identity: Identity = None
    default_timezone: None = None
    """No TimeZoneContext: every time is asked for and given in UTC."""
    affinity_cookie: None = None

    @property
    def source(self) -> str:
        """Identifies endpoint and mailbox: ids of items are good for the source that they came from."""
        return f"{self.protocol.service_endpoint}#{self.primary_smtp_address}"

    @property
    def acts_as_mailbox(self) -> bool:
        return bool(self.access_type == IMPERSONATION)

    def reply(self, body: RequestBody, headers: Mapping[str, str | bytes]) -> bytes:
        """The whole reply. Raises ItemTooLarge, Unreachable when it takes longer than the time for one call."""
        with self._posted(body, headers) as response:
            return b"".join(self._bounded(response, LARGEST_REPLY, self.timeout))

    def chunks(self, body: bytes, headers: Mapping[str, str | bytes]) -> Iterator[bytes]:
        """The reply as it comes. Raises ItemTooLarge, Unreachable when it takes longer than `LONGEST_STREAM`."""
        with self._posted(body, headers) as response:
            yield from self._bounded(response, LARGEST_STREAM, LONGEST_STREAM.total_seconds())

    @contextmanager
    def _posted(self, body: RequestBody, headers: Mapping[str, str | bytes]) -> Iterator[requests.Response]:
        try:
            with self.protocol.posted(body, headers, self.timeout) as response:
                yield response
        except AuthenticationFailed as error:
            self.refused(error)
            raise

    def _bounded(self, response: requests.Response, largest: int, seconds: float) -> Iterator[bytes]:
        """The body as it comes. Raises ItemTooLarge, Unreachable."""
        deadline, size = monotonic() + seconds, 0
        for chunk in response.iter_content(CHUNK):
            size += len(chunk)
            if size > largest:
                raise ItemTooLarge(f"The reply is larger than {largest >> 20} MiB.")
            if monotonic() > deadline:
                raise Unreachable("The reply took longer than the time allowed for it.")
            self.protocol.keep()
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
    clock: Clock = utc_now
    _worker: str = field(default_factory=lambda: uuid4().hex)
    """Whose claims on connections these are: no two instances share one, not even in one process."""
    _slots: dict[_Identity, Slots] = field(default_factory=dict)
    _gates: dict[tuple[_Identity, str], Gate] = field(default_factory=dict)
    _detection: Detection = field(init=False)
    _lock: Lock = field(default_factory=Lock)

    def __post_init__(self) -> None:
        self._detection = Detection(allow_local_servers=self.allow_local_servers)

    def session(self, profile: EmailServerProfile, mailbox: Mailbox, discovered: Discovered | None = None) -> Session:
        """Raises LocationRefused, AuthenticationFailed; TransientError while the kind of authentication is detected."""
        if not profile.use_autodiscover:
            discovered = None
        endpoint = endpoint_of(profile, mailbox, discovered, allow_local_servers=self.allow_local_servers)
        sign_in = sign_in_of(profile, mailbox)
        pool = self._pool(endpoint, sign_in, self._protocol(sign_in, endpoint, profile, discovered))
        pool.max_connections = profile.max_connections
        address = normalised_address(mailbox.address)
        acts_as_mailbox = sign_in.is_application or (profile.use_impersonation and sign_in.profile_wide)
        return Session(
            pool,
            address,
            IMPERSONATION if acts_as_mailbox else DELEGATE,
            profile.timeout.total_seconds(),
            version_of(discovered) or pool.config.version,
            self._refusal(sign_in, endpoint),
            Identity(primary_smtp_address=address) if acts_as_mailbox else None,
        )

    def session_beside(self, url: str, profile: EmailServerProfile, mailbox: Mailbox, longest: timedelta) -> Session:
        """For a service beside EWS, such as autodiscover, as who signs in for the mailbox. Raises as `session` does."""
        sign_in = sign_in_of(profile, mailbox)
        pool = self._pool(url, sign_in, self._protocol(sign_in, url, profile, None))
        timeout = min(profile.timeout, longest).total_seconds()
        return Session(pool, mailbox.address, DELEGATE, timeout, pool.version, self._refusal(sign_in, url))

    def authentication_of(self, profile: EmailServerProfile, mailbox: Mailbox, url: str) -> AuthenticationProtocol:
        """How to sign in there: as configured, else as the server offers."""
        return self._protocol(sign_in_of(profile, mailbox), url, profile, None)

    def close(self) -> None:
        with self._lock:
            for _, pool in self._pools.values():
                pool.retire()
            self._pools.clear()

    def _protocol(
        self, sign_in: SignIn, endpoint: str, profile: EmailServerProfile, discovered: Discovered | None
    ) -> AuthenticationProtocol:
        if sign_in.protocol is not AuthenticationProtocol.AUTO_DETECT:
            return sign_in.protocol
        return discovered.authentication if discovered else self._detection.at(endpoint, profile.timeout)

    def _refusal(self, sign_in: SignIn, endpoint: str) -> Callable[[AuthenticationFailed], None]:
        """What was found out about the authentication, now or by autodiscover, may not hold any more."""
        return partial(self._doubt, endpoint) if sign_in.protocol is AuthenticationProtocol.AUTO_DETECT else lambda _: None

    def _doubt(self, endpoint: str, error: AuthenticationFailed) -> None:
        if not isinstance(error, RefusedBefore):
            self._detection.doubt(endpoint)
            error.calls_for_discovery = True

    def _pool(self, endpoint: str, sign_in: SignIn, protocol: AuthenticationProtocol) -> Pool:
        """The secret is read without the lock: one that is slow to come keeps nobody else waiting."""
        identity, version = _identity(endpoint, sign_in, protocol)
        if pool := self._known(identity, version):
            return pool
        auth = make_auth(sign_in, protocol, self.secrets, endpoint, allow_local_servers=self.allow_local_servers)
        with self._lock:
            known = self._pools.pop(identity, None)
            if known and known[0] == version:  # another thread was faster
                self._pools[identity] = known
                return known[1]
            gate = self._gates.setdefault((identity, version), Gate(profile_wide=sign_in.profile_wide))
            pool = Pool(endpoint, auth, gate, self._slots_of(identity, sign_in), sign_in.profile_wide, self.allow_local_servers)
            self._pools[identity] = (version, pool)
            outdated = [known[1]] if known else []
            while len(self._pools) > MOST_POOLS:
                outdated.append(self._pools.pop(next(iter(self._pools)))[1])
            for each in outdated:
                each.retire()
            return pool

    def _known(self, identity: _Identity, version: str) -> Pool | None:
        """It counts as used now."""
        with self._lock:
            known = self._pools.get(identity)
            if known is None or known[0] != version:
                return None
            self._pools[identity] = self._pools.pop(identity)
            return known[1]

    def _slots_of(self, identity: _Identity, sign_in: SignIn) -> Slots:
        """A mailbox that signs in by itself is read by one run at a time: nobody else uses its connections."""
        if self.shares is None or not sign_in.profile_wide:
            return self._slots.setdefault(identity, Slots())
        share = Share(self.shares, short_hash(repr(identity)), self._worker, self.clock)
        return self._slots.setdefault(identity, Slots(share))


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

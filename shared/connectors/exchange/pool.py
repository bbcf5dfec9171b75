"""The connections of one identity to one endpoint: opened as they are needed, used one request at a time, kept for the next.

How many there may be is decided by `Slots`, whether the credentials may be tried at all by `Gate`; neither is known here.
"""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from itertools import islice
from typing import Protocol

import requests
from exchangelib.configuration import Configuration
from exchangelib.protocol import BaseProtocol
from exchangelib.transport import DEFAULT_HEADERS, NOAUTH
from exchangelib.version import EXCHANGE_2016, Version

from shared.connectors.exchange.answers import Answers
from shared.connectors.exchange.batches import LARGEST, BatchSize
from shared.connectors.exchange.sign_in import MakeAuth
from shared.connectors.exchange.slots import Slots
from shared.connectors.gate import Gate
from shared.connectors.guarded_http import guarded_session

_READ_AT_ONCE, _SHORT = 1 << 14, 4
"""Bytes of an answer that nobody is interested in, and how often so many."""


class Streamed(Protocol):
    """The body of a request that is made while it is sent. Whoever signs in to a connection may send it twice, and so iterate
    over it anew."""

    def __len__(self) -> int: ...

    def __iter__(self) -> Iterator[bytes]: ...


type RequestBody = bytes | Streamed


class Pool(BaseProtocol):  # type: ignore[misc] # exchangelib has no types
    """Thread-safe. exchangelib's services take it for a protocol; its own queue of sessions is not used: a stream that nobody
    reads to its end is closed by the garbage collector, in the middle of whatever its thread does, and a thread that is
    just then in the queue would wait for itself for ever. Appending to a list and popping from it waits for nobody."""

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
        self._idle: list[requests.Session] = []
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

    def retire(self) -> None:
        """Closes what is idle now, and what is in use when it comes back; whoever still uses the pool opens others."""
        self._retired = True
        self.close()

    def close(self) -> None:
        """Closes what is idle now."""
        while True:
            try:
                self._idle.pop().close()
            except IndexError:
                return

    @contextmanager
    def posted(self, body: RequestBody, headers: Mapping[str, str | bytes], timeout: float) -> Iterator[requests.Response]:
        """The reply to one request, its headers checked and its body unread; whoever reads a long one calls `keep` meanwhile.

        Raises SyncError, or what requests raises."""
        with self._slots.one(self.max_connections, timeout):
            session, response = self._answered(body, headers, timeout)
            try:
                yield response
            finally:
                try:
                    response.close()
                finally:
                    self._put_back(session)

    def keep(self) -> None:
        """The connections in use stay this worker's."""
        self._slots.keep(self.max_connections)

    def _answered(
        self, body: RequestBody, headers: Mapping[str, str | bytes], timeout: float
    ) -> tuple[requests.Session, requests.Response]:
        with self._gate.attempt(timeout):
            session, is_new = self._idle_or_new()
            response = None
            try:
                if is_new and not isinstance(body, bytes):
                    self._sign_in(session, timeout)
                response = session.post(
                    self.service_endpoint, data=body, headers=headers, timeout=timeout, allow_redirects=False, stream=True
                )
                self.retry_policy.raise_response_errors(response)
            except BaseException:
                if response is not None:
                    response.close()
                session.close()  # its connection is in an unknown state
                raise
            self._gate.passed()
            return session, response

    def _sign_in(self, session: requests.Session, timeout: float) -> None:
        """NTLM signs in a connection, in three steps that would each send the body: IIS breaks off at a large one. So an empty
        request goes first; what is said to it does not matter, and a long answer costs the connection only."""
        with session.post(self.service_endpoint, data=b"", timeout=timeout, allow_redirects=False, stream=True) as response:
            if response.status_code == requests.codes.unauthorized:
                self.retry_policy.raise_response_errors(response)
            for _ in islice(response.iter_content(_READ_AT_ONCE), _SHORT):
                pass

    def _idle_or_new(self) -> tuple[requests.Session, bool]:
        try:
            return self._idle.pop(), False
        except IndexError:
            return self.create_session(), True

    def _put_back(self, session: requests.Session) -> None:
        self._idle.append(session)
        if self._retired:
            self.close()

"""Which kind of authentication a server offers: asked of the server itself, and asked anew when that may have changed."""

from collections.abc import Callable
from datetime import timedelta
from time import monotonic

import requests
from exchangelib.transport import DEFAULT_HEADERS

from shared.connectors.exchange.answers import Answers
from shared.connectors.exchange.errors import mapped
from shared.connectors.guarded_http import guarded_session
from shared.domain.choices import AuthenticationProtocol
from shared.domain.errors import AuthenticationFailed

GOOD_FOR = timedelta(hours=1)
"""A server that begins to offer something better is noticed after so long; one that stops taking what it offered, at once."""


class Detection:
    """What servers offer, by endpoint. Thread-safe: two threads may ask the same server at once, and find the same.

    `seconds` is a clock that never goes back."""

    def __init__(self, *, allow_local_servers: bool, seconds: Callable[[], float] = monotonic) -> None:
        self._allow_local_servers = allow_local_servers
        self._seconds = seconds
        self._found: dict[str, tuple[AuthenticationProtocol, float]] = {}

    def at(self, endpoint: str, timeout: timedelta) -> AuthenticationProtocol:
        """Raises TransientError, AuthenticationFailed where it offers nothing that passwords go with."""
        found = self._found.get(endpoint)
        if found and self._seconds() - found[1] < GOOD_FOR.total_seconds():
            return found[0]
        offered = _offered(endpoint, timeout.total_seconds(), allow_local_servers=self._allow_local_servers)
        self._found[endpoint] = offered, self._seconds()
        return offered

    def doubt(self, endpoint: str) -> None:
        """The server refused who signed in as it offered: it is asked again next time."""
        self._found.pop(endpoint, None)


def _offered(endpoint: str, timeout: float, *, allow_local_servers: bool) -> AuthenticationProtocol:
    """The best of what the server offers to one who does not say who he is."""
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

"""What an HTTP status of an Exchange server means. exchangelib gives 403, 429 and 456 no type and drops Retry-After."""

import requests
from exchangelib.protocol import FailFast

from shared.connectors.exchange.errors import EwsBlocked, RequestRefused, RequestTooLarge, retry_after
from shared.domain.errors import AuthenticationFailed, Busy, NoMailServer, Throttled, TransientError


class Redirected(NoMailServer):
    """To `location`, where credentials do not follow by themselves."""

    def __init__(self, status: int, location: str | None) -> None:
        super().__init__(f"The server redirects elsewhere (HTTP {status}), and credentials do not follow.")
        self.location = location


class Answers(FailFast):  # type: ignore[misc] # exchangelib has no types
    """exchangelib's policy of repetitions: none. `profile_wide` says whose credentials are refused where any are."""

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
            raise Redirected(status, response.headers.get("Location"))
        if status == 400:
            raise RequestRefused("The server takes the request for wrong (HTTP 400).")
        if status == 413:
            raise RequestTooLarge("The request is larger than the server reads (HTTP 413).")
        if status in (404, 405, 410):
            raise NoMailServer(f"There is no EWS at this location (HTTP {status}).")
        raise TransientError(f"The server answered HTTP {status}.", wait)

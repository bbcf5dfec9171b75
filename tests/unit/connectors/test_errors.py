from datetime import UTC, datetime, timedelta
from http.client import RemoteDisconnected
from pathlib import Path
from re import findall
from socket import gaierror
from ssl import SSLCertVerificationError

import pytest
import requests
from exchangelib import errors as exchange
from msal.exceptions import MsalServiceError
from urllib3.exceptions import MaxRetryError, NameResolutionError

from shared.connectors.exchange.errors import (
    _BY_NAME,
    LONGEST_WAIT,
    RequestRefused,
    back_off,
    error_of,
    kind_of,
    mapped,
    retry_after,
)
from shared.domain.errors import (
    AccessDenied,
    AuthenticationFailed,
    Busy,
    CertificateRefused,
    ConnectionRefused,
    DelegateAccessMissing,
    ImpersonationDenied,
    ItemGone,
    NameNotFound,
    NoAnswer,
    NoTls,
    SendingQuotaSpent,
    SyncError,
    Throttled,
    TransientError,
    Unreachable,
    WatermarkExpired,
)

SCHEMA = Path(__file__).parents[4] / "shared" / "ews-schema" / "messages.xsd"
NOW = datetime(2026, 11, 22, 12, 0, tzinfo=UTC)


def because(error: Exception, cause: Exception) -> Exception:
    error.__cause__ = cause
    return error


@pytest.mark.skipif(not SCHEMA.is_file(), reason="the schema is not beside the repository")
def test_every_code_of_the_table_is_one_that_exchange_or_exchangelib_knows() -> None:
    known = set(findall(r'enumeration value="(Error\w+)"', SCHEMA.read_text())) | set(vars(exchange))
    assert {name for name in _BY_NAME if name.startswith("Error")} <= known


@pytest.mark.parametrize("name", [name for name in vars(exchange) if name.startswith("Error")])
def test_every_error_of_exchangelib_says_what_to_do_next(name: str) -> None:
    assert isinstance(error_of(name, "GetItem"), SyncError)


@pytest.mark.parametrize(
    ("error", "expected"),
    [
        (exchange.ErrorInvalidSyncStateData("x"), WatermarkExpired),
        (exchange.ErrorItemNotFound("x"), ItemGone),
        (exchange.UnauthorizedError("x"), AuthenticationFailed),
        (exchange.ErrorImpersonateUserDenied("x"), ImpersonationDenied),
        (exchange.ErrorConnectionFailedTransientError("x"), Unreachable),
        (exchange.MalformedResponseError("x"), Unreachable),
        (exchange.TransportError("x"), Unreachable),
        (requests.exceptions.ConnectTimeout("x"), NoAnswer),
        (requests.exceptions.ReadTimeout("x"), NoAnswer),
        (requests.exceptions.SSLError("x"), NoTls),
        (requests.exceptions.SSLError(MaxRetryError(None, "/", SSLCertVerificationError("x"))), CertificateRefused),  # type: ignore[arg-type]  # no pool is needed
        (requests.exceptions.ConnectionError(NameResolutionError("x", None, gaierror())), NameNotFound),  # type: ignore[arg-type]  # no pool is needed
        (because(requests.exceptions.ConnectionError("x"), ConnectionRefusedError("x")), ConnectionRefused),
        (because(requests.exceptions.ConnectionError("x"), AuthenticationFailed("x")), Unreachable),
        (requests.exceptions.ChunkedEncodingError("x"), Unreachable),
        (RemoteDisconnected("x"), Unreachable),
        (TimeoutError("x"), NoAnswer),
        (ConnectionResetError("x"), Unreachable),
        (MsalServiceError(error="x", error_description="x"), Busy),
        (exchange.ErrorInvalidRequest("x"), RequestRefused),
        (RuntimeError("x"), TransientError),
    ],
    ids=lambda value: getattr(value, "__name__", type(value).__name__),
)
def test_a_foreign_exception_becomes_one_of_ours(error: Exception, expected: type[SyncError]) -> None:
    assert type(mapped(error, "GetItem")) is expected


def test_our_own_errors_pass_unchanged() -> None:
    error = Busy("x")
    assert mapped(error, "GetItem") is error


def test_messages_never_quote_the_server() -> None:
    error = mapped(exchange.ErrorNonExistentMailbox("no mailbox anna@contoso.example"), "GetItem")
    assert "anna" not in str(error)
    assert "ErrorNonExistentMailbox" in str(error)


def test_a_back_off_becomes_the_wait() -> None:
    error = mapped(exchange.ErrorServerBusy("x", back_off=297.7), "GetItem")
    assert isinstance(error, Throttled)
    assert error.retry_after == timedelta(seconds=297.7)


def test_an_exhausted_submission_quota_waits_an_hour() -> None:
    error = error_of("ErrorSubmissionQuotaExceeded", "SendItem")
    assert isinstance(error, SendingQuotaSpent)
    assert error.retry_after == timedelta(hours=1)


def test_credentials_of_a_profile_fail_as_the_profiles() -> None:
    error = error_of("ErrorPasswordExpired", "GetItem", profile_wide=True)
    assert isinstance(error, AuthenticationFailed)
    assert error.profile_wide


def test_what_is_denied_to_a_delegate_names_what_a_delegate_needs() -> None:
    assert type(error_of("ErrorAccessDenied", "GetItem")) is AccessDenied
    assert type(error_of("ErrorAccessDenied", "GetItem", as_delegate=True)) is DelegateAccessMissing


def test_exceptions_that_wrap_each_other_in_a_circle_end() -> None:
    first, second = requests.exceptions.ConnectionError("x"), OSError("y")
    first.__context__, second.args = second, (first,)
    assert type(mapped(first, "GetItem")) is Unreachable


def test_an_unknown_code_is_transient() -> None:
    assert kind_of("ErrorOfTheNextVersion") is TransientError


@pytest.mark.parametrize(
    ("header", "wait"),
    [
        ("30", timedelta(seconds=30)),
        ("Sun, 22 Nov 2026 12:05:00 GMT", timedelta(minutes=5)),
        ("999999999999", LONGEST_WAIT),
        ("0", None),
        ("Sun, 22 Nov 2026 11:00:00 GMT", None),
        ("soon", None),
        ("-5", None),
        ("", None),
        (None, None),
    ],
)
def test_retry_after_is_seconds_or_a_date(header: str | None, wait: timedelta | None) -> None:
    assert retry_after(header, lambda: NOW) == wait


@pytest.mark.parametrize(("text", "wait"), [("1500", timedelta(seconds=1.5)), ("soon", None), (None, None), ("-1", None)])
def test_back_off_is_milliseconds(text: str | None, wait: timedelta | None) -> None:
    assert back_off(text) == wait


@pytest.mark.parametrize("number", ["9" * 400, "9" * 5000])
def test_a_wait_of_absurd_length_is_none_and_no_failure(number: str) -> None:
    assert back_off(number) is None
    assert retry_after(f"Mon, 01 Jan {number} 00:00:00 GMT", lambda: NOW) is None
    assert retry_after(f"Mon, 01 Jan 2026 00:00:00 +{number}", lambda: NOW) is None
    assert retry_after(number, lambda: NOW) in (LONGEST_WAIT, None)

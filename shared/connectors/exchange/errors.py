"""Every error of exchangelib, requests, msal and EWS itself, mapped once: what our caller does next is in the type.

EWS gives its response codes names, and exchangelib names its exception classes after them, so one table of names serves
both. Messages carry the operation and the code, never the server's own text: that may quote addresses and subjects. The
original stands in `__cause__`.
"""

from collections.abc import Callable, Mapping
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime

from shared.domain.errors import (
    AccessDenied,
    AuthenticationFailed,
    Busy,
    Disabled,
    FolderNotFound,
    ItemGone,
    ItemTooLarge,
    ItemUnreadable,
    MailboxError,
    MailboxNotFound,
    SyncError,
    Throttled,
    TransientError,
    Unreachable,
    WatermarkExpired,
)

LONGEST_WAIT = timedelta(days=1)
"""A server that asks for more is not believed."""


class BatchStopped(Busy):
    """The server stopped in the middle of a batch; the rest of it can be asked for again."""


_CODES: Mapping[type[SyncError], str] = {
    Throttled: """
        ErrorServerBusy RateLimitError ErrorExceededConnectionCount ErrorExceededSubscriptionCount ErrorExceededFindCountLimit
        ErrorSubmissionQuotaExceeded ErrorExceededMessageLimit ErrorMessagePerFolderCountReceiveQuotaExceeded""",
    BatchStopped: "ErrorBatchProcessingStopped",
    Busy: """
        ErrorInternalServerTransientError ErrorInternalServerError ErrorMailboxStoreUnavailable ErrorMailboxMoveInProgress
        ErrorMailboxFailover ErrorTooManyObjectsOpened ErrorInsufficientResources ErrorNotEnoughMemory ErrorADUnavailable
        ErrorADOperation ErrorIrresolvableConflict ErrorInvalidChangeKey ErrorStaleObject
        ErrorItemSave ErrorProxyRequestProcessingFailed ErrorProxyServiceDiscoveryFailed ErrorProxyCallFailed
        ErrorProxyTokenExpired ErrorNoRespondingCASInDestinationSite ErrorNoApplicableProxyCASServersAvailable CASError
        MsalServiceError""",
    Unreachable: """
        ErrorTimeoutExpired ErrorConnectionFailed ErrorConnectionFailedTransientError TransportError SOAPError
        MalformedResponseError RedirectError RelativeRedirect RequestException ConnectionError TimeoutError OSError
        HTTPError HTTPException XMLSyntaxError ExpatError""",
    TransientError: "ResponseMessageError",  # any other code: a TransportError to exchangelib, but the server did answer
    AuthenticationFailed: """
        UnauthorizedError ErrorPasswordExpired ErrorPasswordChangeRequired ErrorInvalidClientAccessTokenRequest
        ErrorUnauthorizedClientAccessTokenRequest ErrorInvalidAuthorizationContext ErrorTokenSerializationDenied""",
    AccessDenied: """
        ErrorAccessDenied ErrorImpersonateUserDenied ErrorImpersonationDenied ErrorImpersonationFailed
        ErrorMailboxLogonFailed ErrorNotDelegate ErrorDelegateNoUser ErrorSendAsDenied ErrorLogonAsNetworkServiceFailed
        ErrorCallerIsInvalidADAccount ErrorOrganizationAccessBlocked ErrorProxyRequestNotAllowed""",
    MailboxNotFound: """
        ErrorNonExistentMailbox ErrorMissingEmailAddress ErrorMissingInformationEmailAddress ErrorInvalidSmtpAddress
        ErrorNonPrimarySmtpAddress ErrorInvalidUserPrincipalName ErrorInvalidMailbox""",
    Disabled: "ErrorAccountDisabled ErrorAccountSuspend ErrorMailboxConfiguration ErrorUserNotAllowedByPolicy",
    MailboxError: "ErrorQuotaExceeded",
    WatermarkExpired: "ErrorInvalidSyncStateData",
    FolderNotFound: """
        ErrorFolderNotFound ErrorSyncFolderNotFound ErrorInvalidFolderId ErrorParentFolderNotFound ErrorFolderCorrupt
        ErrorInvalidFolderTypeForOperation""",
    ItemGone: "ErrorItemNotFound ErrorInvalidAttachmentId",
    ItemTooLarge: """
        ErrorMessageSizeExceeded ErrorDataSizeLimitExceeded ErrorAttachmentSizeLimitExceeded
        ErrorAttachmentNestLevelLimitExceeded""",
    ItemUnreadable: """
        ErrorCorruptData ErrorItemCorrupt ErrorContentConversionFailed ErrorMimeContentConversionFailed
        ErrorMimeContentInvalid ErrorMimeContentInvalidBase64String ErrorUnsupportedMimeConversion ErrorInvalidIdMalformed
        ErrorInvalidId ErrorInvalidIdEmpty ErrorInvalidIdMalformedEwsLegacyIdFormat ErrorInvalidIdNotAnItemAttachmentId
        ErrorInvalidIdStoreObjectIdTooLong ErrorInvalidIdMonikerTooLong ErrorInvalidIdXml ErrorCannotUseFolderIdForItemId
        ErrorPropertyValidationFailure ErrorUnsupportedTypeForConversion ErrorCannotOpenFileAttachment""",
}

_BY_NAME: Mapping[str, type[SyncError]] = {name: kind for kind, names in _CODES.items() for name in names.split()}

_LONG_WAITS = {"ErrorSubmissionQuotaExceeded": LONGEST_WAIT}


def kind_of(code: str) -> type[SyncError]:
    """What an EWS response code, or the name of an exception class, means to the caller. Unknown ones are transient."""
    return _BY_NAME.get(code, TransientError)


def error_of(code: str, operation: str, retry_after: timedelta | None = None, *, profile_wide: bool = False) -> SyncError:
    """The error for an EWS response code; `operation` says what was tried, `profile_wide` whose credentials were used."""
    return _made(kind_of(code), f"{operation}: {code}", retry_after or _LONG_WAITS.get(code), profile_wide)


def mapped(error: Exception, operation: str, *, profile_wide: bool = False) -> SyncError:
    """The error for a foreign exception, by the nearest of its classes that the table names. Raise it `from` the original."""
    if isinstance(error, SyncError):
        return error
    name = type(error).__name__
    kind = next((_BY_NAME[cls.__name__] for cls in type(error).__mro__ if cls.__name__ in _BY_NAME), TransientError)
    wait = _seconds(getattr(error, "back_off", None)) or _LONG_WAITS.get(name)
    return _made(kind, f"{operation}: {name}", wait, profile_wide)


def _made(kind: type[SyncError], message: str, retry_after: timedelta | None, profile_wide: bool) -> SyncError:
    if issubclass(kind, TransientError):
        return kind(message, retry_after)
    if issubclass(kind, AuthenticationFailed):
        return kind(message, profile_wide=profile_wide)
    return kind(message)


def _seconds(value: object) -> timedelta | None:
    """A wait in seconds, bounded; None for what is no number."""
    if not isinstance(value, int | float) or not 0 < value < float("inf"):
        return None
    return min(timedelta(seconds=min(value, LONGEST_WAIT.total_seconds())), LONGEST_WAIT)


def back_off(milliseconds: str | None) -> timedelta | None:
    """BackOffMilliseconds of a reply."""
    try:
        return _seconds(int(milliseconds or "") / 1000)
    except ValueError:
        return None


def retry_after(header: str | None, now: Callable[[], datetime] = lambda: datetime.now(UTC)) -> timedelta | None:
    """Retry-After (RFC 9110): seconds, or an HTTP date. None where it is absent, past, or neither."""
    if not header:
        return None
    if header.strip().isdecimal():
        return _seconds(int(header.strip()))
    try:
        moment = parsedate_to_datetime(header)
    except ValueError:
        return None
    if moment.tzinfo is None:
        moment = moment.replace(tzinfo=UTC)
    return _seconds((moment - now()).total_seconds())

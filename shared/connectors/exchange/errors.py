"""Every error of exchangelib, requests, msal and EWS itself, mapped once: what our caller does next is in the type.

EWS gives its response codes names, and exchangelib names its exception classes after them, so one table of names serves
both. Messages carry the operation and the code, never the server's own text: that may quote addresses and subjects. The
original stands in `__cause__`.
"""

from collections.abc import Callable, Iterator, Mapping
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime

from shared.domain.errors import (
    AccessDenied,
    AccountDisabled,
    AuthenticationFailed,
    Busy,
    CertificateRefused,
    ConnectionRefused,
    DelegateAccessMissing,
    Disabled,
    FolderNotFound,
    ImpersonationDenied,
    ItemGone,
    ItemTooLarge,
    ItemUnreadable,
    MailboxError,
    MailboxNotFound,
    NameNotFound,
    NoAnswer,
    NoMailServer,
    NoTls,
    SendingQuotaSpent,
    SyncError,
    Throttled,
    TransientError,
    Unreachable,
    WatermarkExpired,
)

LONGEST_WAIT = timedelta(days=1)
"""A server that asks for more is not believed."""
QUOTA_WAIT = timedelta(hours=1)
"""Nobody says when a server takes more of a mailbox, nor when somebody makes room there."""


class EwsBlocked(AccessDenied):
    """Exchange refuses EWS altogether: for the organisation, the application, or the mailbox."""

    code = "ews_blocked"
    remedy = (
        "Allow EWS: for the organisation (Set-OrganizationConfig -EwsEnabled, and the application in EWSAllowedAppIDs), and for"
        " the mailbox (Set-CASMailbox -EwsEnabled, and a licence that includes EWS)."
    )


class PerhapsMoved(Busy):
    """The server cannot do this now, and it may be because the mailbox is moving (ERRORS_REQUIRING_REAUTODISCOVER)."""

    calls_for_discovery = True


class InvalidId(ItemUnreadable):
    """What was asked for is no id at all, or one of something else."""


class BatchStopped(Busy):
    """The server stopped in the middle of a batch; the rest of it can be asked for again."""


class RequestRefused(TransientError):
    """The server takes the request itself for wrong, and has done nothing of what it asked."""


class RequestTooLarge(RequestRefused):
    """The request is larger than the server reads."""


class SendingBlocked(MailboxError):
    """The mailbox may send nothing at all, whatever the email."""

    code = "sending_blocked"
    remedy = (
        "Unblock the sender on the mail server (in Microsoft Defender under restricted entities), after finding out why it was"
        " blocked."
    )


_CODES: Mapping[type[SyncError], str] = {
    Throttled: """
        ErrorServerBusy RateLimitError ErrorExceededConnectionCount ErrorExceededSubscriptionCount ErrorExceededFindCountLimit
        ErrorMessagePerFolderCountReceiveQuotaExceeded""",
    SendingQuotaSpent: "ErrorSubmissionQuotaExceeded ErrorExceededMessageLimit",
    BatchStopped: "ErrorBatchProcessingStopped",
    RequestRefused: "ErrorInvalidRequest ErrorSchemaValidation",
    PerhapsMoved: "ErrorMailboxStoreUnavailable ErrorMailboxMoveInProgress ErrorNotEnoughMemory",
    Busy: """
        ErrorInternalServerTransientError ErrorInternalServerError
        ErrorMailboxFailover ErrorTooManyObjectsOpened ErrorInsufficientResources ErrorADUnavailable
        ErrorADOperation ErrorIrresolvableConflict ErrorInvalidChangeKey ErrorStaleObject
        ErrorItemSave ErrorProxyRequestProcessingFailed ErrorProxyServiceDiscoveryFailed ErrorProxyCallFailed
        ErrorProxyTokenExpired ErrorNoRespondingCASInDestinationSite ErrorNoApplicableProxyCASServersAvailable CASError
        MsalServiceError""",
    NameNotFound: "NameResolutionError gaierror",
    ConnectionRefused: "ConnectionRefusedError",
    CertificateRefused: "SSLCertVerificationError CertificateError",
    NoTls: "SSLError",
    NoAnswer: "ConnectTimeout ReadTimeout TimeoutError",
    NoMailServer: "RedirectError RelativeRedirect TooManyRedirects",
    Unreachable: """
        ErrorTimeoutExpired ErrorConnectionFailed ErrorConnectionFailedTransientError TransportError SOAPError
        MalformedResponseError RequestException ConnectionError OSError
        HTTPError HTTPException XMLSyntaxError ExpatError""",
    TransientError: "ResponseMessageError",  # any other code: a TransportError to exchangelib, but the server did answer
    AuthenticationFailed: """
        UnauthorizedError ErrorPasswordExpired ErrorPasswordChangeRequired ErrorInvalidClientAccessTokenRequest
        ErrorUnauthorizedClientAccessTokenRequest ErrorInvalidAuthorizationContext ErrorTokenSerializationDenied""",
    ImpersonationDenied: "ErrorImpersonateUserDenied ErrorImpersonationDenied ErrorImpersonationFailed",
    DelegateAccessMissing: "ErrorNotDelegate ErrorDelegateNoUser",
    EwsBlocked: "ErrorOrganizationAccessBlocked",
    SendingBlocked: "ErrorMessageSubmissionBlocked",
    AccessDenied: """
        ErrorAccessDenied ErrorCreateItemAccessDenied ErrorMailboxLogonFailed ErrorSendAsDenied ErrorLogonAsNetworkServiceFailed
        ErrorCallerIsInvalidADAccount ErrorProxyRequestNotAllowed""",
    MailboxNotFound: """
        ErrorNonExistentMailbox ErrorMissingEmailAddress ErrorMissingInformationEmailAddress ErrorInvalidSmtpAddress
        ErrorNonPrimarySmtpAddress ErrorInvalidUserPrincipalName ErrorInvalidMailbox""",
    AccountDisabled: "ErrorAccountDisabled ErrorAccountSuspend",
    Disabled: "ErrorMailboxConfiguration ErrorUserNotAllowedByPolicy",
    MailboxError: "ErrorQuotaExceeded",
    WatermarkExpired: "ErrorInvalidSyncStateData",
    FolderNotFound: """
        ErrorFolderNotFound ErrorSyncFolderNotFound ErrorToFolderNotFound ErrorInvalidFolderId ErrorParentFolderNotFound
        ErrorFolderCorrupt ErrorInvalidFolderTypeForOperation""",
    InvalidId: """
        ErrorInvalidIdMalformed ErrorInvalidId ErrorInvalidIdEmpty ErrorInvalidIdMalformedEwsLegacyIdFormat
        ErrorInvalidIdNotAnItemAttachmentId ErrorInvalidIdStoreObjectIdTooLong ErrorInvalidIdMonikerTooLong ErrorInvalidIdXml
        ErrorCannotUseFolderIdForItemId ErrorCannotUseItemIdForFolderId""",
    ItemGone: "ErrorItemNotFound ErrorInvalidAttachmentId",
    ItemTooLarge: """
        ErrorMessageSizeExceeded ErrorDataSizeLimitExceeded ErrorAttachmentSizeLimitExceeded
        ErrorAttachmentNestLevelLimitExceeded""",
    ItemUnreadable: """
        ErrorCorruptData ErrorItemCorrupt ErrorContentConversionFailed ErrorMimeContentConversionFailed
        ErrorMimeContentInvalid ErrorMimeContentInvalidBase64String ErrorUnsupportedMimeConversion
        ErrorPropertyValidationFailure ErrorUnsupportedTypeForConversion ErrorCannotOpenFileAttachment""",
}

_BY_NAME: Mapping[str, type[SyncError]] = {name: kind for kind, names in _CODES.items() for name in names.split()}

_LONG_WAITS = {name: QUOTA_WAIT for name, kind in _BY_NAME.items() if kind is SendingQuotaSpent}


def kind_of(code: str) -> type[SyncError]:
    """What an EWS response code, or the name of an exception class, means to the caller. Unknown ones are transient."""
    return _BY_NAME.get(code, TransientError)


def is_known(code: str) -> bool:
    """Whether an EWS response code says something about the server, the mailbox or an item of it."""
    return code in _BY_NAME


def error_of(
    code: str, operation: str, retry_after: timedelta | None = None, *, profile_wide: bool = False, as_delegate: bool = False
) -> SyncError:
    """The error for an EWS response code; `operation` says what was tried, `profile_wide` whose credentials were used,
    `as_delegate` that the mailbox is another one than that of who signed in."""
    kind = DelegateAccessMissing if as_delegate and code == "ErrorAccessDenied" else kind_of(code)
    return _made(kind, f"{operation}: {code}", retry_after or _LONG_WAITS.get(code), profile_wide)


def mapped(error: Exception, operation: str, *, profile_wide: bool = False) -> SyncError:
    """The error for a foreign exception, by the nearest of its classes that the table names, and where it is a connection that
    failed, by what was behind that. Raise it `from` the original."""
    if isinstance(error, SyncError):
        return error
    name = type(error).__name__
    kind = _kind_of_class(error)
    if kind is Unreachable or kind is NoTls:
        kind = next((found for each in _behind(error) if (found := _kind_of_class(each)) in _CONNECTING), kind)
    wait = _seconds(getattr(error, "back_off", None)) or _LONG_WAITS.get(name)
    return _made(kind, f"{operation}: {name}", wait, profile_wide)


def _kind_of_class(error: BaseException) -> type[SyncError]:
    return next((_BY_NAME[cls.__name__] for cls in type(error).__mro__ if cls.__name__ in _BY_NAME), TransientError)


_CONNECTING = (NameNotFound, ConnectionRefused, CertificateRefused, NoTls)
"""Why a connection did not come about. The libraries wrap it several times over, as a cause, an argument or a `reason`."""


def _behind(error: BaseException) -> Iterator[BaseException]:
    """The exceptions that `error` wraps, the innermost first."""
    found: list[BaseException] = []
    waiting: list[object] = [error]
    while waiting and len(found) < _MOST_WRAPPINGS:
        each = waiting.pop()
        if isinstance(each, BaseException) and each not in found:
            found.append(each)
            waiting += [*each.args, getattr(each, "reason", None), each.__context__, each.__cause__]
    return reversed(found)


_MOST_WRAPPINGS = 30


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
    except (ValueError, OverflowError):
        return None


def retry_after(header: str | None, now: Callable[[], datetime] = lambda: datetime.now(UTC)) -> timedelta | None:
    """Retry-After (RFC 9110): seconds, or an HTTP date. None where it is absent, past, or neither."""
    if not header:
        return None
    try:
        if header.strip().isdecimal():
            return _seconds(int(header.strip()))
        moment = parsedate_to_datetime(header)
    except (ValueError, OverflowError):
        return None
    if moment.tzinfo is None:
        moment = moment.replace(tzinfo=UTC)
    return _seconds((moment - now()).total_seconds())

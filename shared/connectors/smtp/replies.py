"""A server's reply (RFC 5321 section 4.2) with its enhanced status code (RFC 3463, 2034), and what its words say.

Codes are not enough: the large providers tell quotas, rates and rights apart by their own codes and words. Pure.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta

LONGEST_TEXT = 500
"""Characters of a server's words that are kept."""
_LONGEST_HINT = timedelta(days=1)

_STATUS = re.compile(r"([245])\.(\d{1,3})\.(\d{1,3})(?=\s|$)[ \t]*")
_THROTTLED_STATUS = re.compile(r"4\.(?:7\.(?:5|6)\d\d|4\.5|3\.2)|5\.2\.25[1-5]")
"""Exchange Online (https://learn.microsoft.com/exchange/mail-flow-best-practices/continuous-error-throttling-smtp-auth-submissions),
Gmail, and RFC 3463: the system does not take messages, or is congested."""
_THROTTLED = re.compile(
    r"too much mail|too many (?:messages|emails|connections|logins?|sign|concurrent)|rate.?limit|throttl|too (?:fast|quickly)"
    r"|slow down|server (?:is )?busy|submission rate|concurrent connection|thread limit",
    re.IGNORECASE,
)
_QUOTA_STATUS = frozenset({"5.4.5", "5.1.90", "5.7.232", "5.7.233", "5.7.705"})
"""Gmail (https://support.google.com/a/answer/3726730) and Exchange Online."""
_QUOTA = re.compile(
    r"(?:daily|hourly|sending|submission|relay|outgoing|outbound)\b[^.;]{0,40}\b(?:quota|limit)s?\b"
    r"|submission ?quota ?exceeded|email quota exceeded|(?:messages|emails|recipients) per (?:day|hour)",
    re.IGNORECASE,
)
_SENDER_STATUS = frozenset({"5.7.60", "5.2.252"})
_SENDER = re.compile(
    r"send ?as ?denied|send as this sender|not owned by|not (?:one of )?your (?:addresses|own)|send on behalf"
    r"|(?:sender|from) address (?:is )?not (?:one|allowed|permitted|authori[sz]ed|verified)"
    r"|not (?:allowed|permitted|authori[sz]ed) to (?:send|use)\b.{0,40}\b(?:as|from) (?:this|that|the|<)",
    re.IGNORECASE,
)
_SIZE_STATUS = frozenset({"5.3.4", "5.2.3"})
_TOO_MANY = re.compile(r"too many (?:recipients|rcpt)|separate transaction|multiple destination domains", re.IGNORECASE)
_SIGN_IN = re.compile(
    r"not authenticated|authentication (?:is )?required|(?:must|need to|please) (?:first )?(?:authenticate|log ?in|sign ?in)"
    r"|auth\w* (?:command )?first",
    re.IGNORECASE,
)
_OFF = re.compile(r"SmtpClientAuthentication is disabled", re.IGNORECASE)
_HINT = re.compile(r"\b(?:in|after|for|wait)\s+(?:about\s+)?(\d{1,6})\s*(s|m|h)(?:ec|in|r|our)?\w*", re.IGNORECASE)
_HINT_CLOCK = re.compile(r"\b(?:in|after)\s+(\d{1,3}):([0-5]\d):([0-5]\d)\b", re.IGNORECASE)
_UNITS = {"s": 1, "m": 60, "h": 3600}
_SERVER_ID = re.compile(
    r"queued as ([^\s;,>]{1,100})|\bid=([^\s;,>]{1,100})|InternalId=(\d{1,30})|\bOK\s+\d{6,12}\s+(\S{1,100}) - gsmtp",
    re.IGNORECASE,
)
_EXCHANGE_ID = re.compile(r"<([!-;=?-~]{3,900})> \[InternalId=")


@dataclass(frozen=True, slots=True)
class Reply:
    code: int
    status: str = ""
    """Enhanced status code; empty where there is none, or one that contradicts the code."""
    text: str = ""
    """The server's words on one line, without the codes."""

    @property
    def codes(self) -> str:
        return f"{self.code} {self.status}".rstrip()

    @property
    def supposed_status(self) -> str:
        """Where there is none: an undefined status of the code's class (RFC 3463 section 3.1)."""
        return f"{self.code // 100}.0.0"

    @property
    def words(self) -> str:
        """For people."""
        return f"{self.codes} {self.text}".rstrip()

    @property
    def is_positive(self) -> bool:
        return 200 <= self.code < 300

    @property
    def asks_for_more(self) -> bool:
        return 300 <= self.code < 400

    @property
    def is_transient(self) -> bool:
        return 400 <= self.code < 500

    @property
    def is_closing(self) -> bool:
        return self.code == 421

    @property
    def wants_tls(self) -> bool:
        return self.code in (523, 538) or (self.code in (503, 530, 550, 554) and "starttls" in self.text.lower())

    @property
    def wants_sign_in(self) -> bool:
        return self.code == 530 or (self.code in (503, 550, 554) and self._names(_SIGN_IN))

    @property
    def is_throttling(self) -> bool:
        """It is about how much is asked for, not about what."""
        return self.code == 432 or _THROTTLED_STATUS.fullmatch(self.status) is not None or self._names(_THROTTLED)

    @property
    def is_quota(self) -> bool:
        """The mailbox has sent what it may for a time."""
        if self.status in _QUOTA_STATUS:
            return True
        return not self.is_size and not self.is_too_many and self._names(_QUOTA)

    @property
    def denies_sender(self) -> bool:
        """Who signed in may not send as this sender."""
        return self.status in _SENDER_STATUS or (self.code in (501, 550, 553, 554) and self._names(_SENDER))

    @property
    def is_size(self) -> bool:
        """Of MAIL or DATA: the email is too large."""
        return self.status in _SIZE_STATUS or (self.code == 552 and not self.status)

    @property
    def is_too_many(self) -> bool:
        """Of RCPT: no more recipients in this transaction (RFC 5321 section 4.5.3.1.10)."""
        if self.status:
            return self.status in ("4.5.3", "5.5.3") or (self.is_transient and self._names(_TOO_MANY))
        return self.code in (452, 552) or self._names(_TOO_MANY)

    @property
    def says_submission_is_off(self) -> bool:
        return self._names(_OFF)

    @property
    def server_id(self) -> str:
        """What the server calls the email that it accepted; empty where it does not say."""
        found = _SERVER_ID.search(self.text)
        return next(filter(None, found.groups()), "") if found else ""

    @property
    def message_id(self) -> str | None:
        """The Message-ID that Exchange says the email has; None where no server says so."""
        found = _EXCHANGE_ID.search(self.text)
        return found[1] if found else None

    def _names(self, words: re.Pattern[str]) -> bool:
        return words.search(self.text) is not None


def reply_of(code: int, lines: Sequence[bytes]) -> Reply:
    """`lines` without the code that each begins with."""
    texts = [line.decode("utf-8", "replace") for line in lines]
    found = _STATUS.match(texts[0]) if texts else None
    status = "" if found is None or found[1] != str(code)[0] else found[0].strip()
    text = " ".join(_STATUS.sub("", each, count=1) if _STATUS.match(each) else each for each in texts)
    printable = "".join(each if each.isprintable() else " " for each in text)
    return Reply(code, status, " ".join(printable.split())[:LONGEST_TEXT])


def retry_hint(text: str) -> timedelta | None:
    """When to try again, as greylisting servers say it ("in 300 seconds", "in 00:05:00"); a day at most."""
    if clock := _HINT_CLOCK.search(text):
        hours, minutes, seconds = map(int, clock.groups())
        return min(timedelta(hours=hours, minutes=minutes, seconds=seconds), _LONGEST_HINT)
    if found := _HINT.search(text):
        return min(timedelta(seconds=int(found[1]) * _UNITS[found[2].lower()]), _LONGEST_HINT)
    return None

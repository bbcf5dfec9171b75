"""Switches for what kind of server this is: which extensions it offers, how it numbers and lists. Knows no protocol itself.

Faults are accidents; habits are how a server always is.
"""

import threading
from collections.abc import Iterable
from enum import StrEnum


class Habit(StrEnum):
    CLEARTEXT_REFUSED = "cleartext_refused"
    """Nobody signs in before the connection is protected (POP3, IMAP and SMTP)."""

    POP3_WITHOUT_CAPA = "pop3_without_capa"
    POP3_WITHOUT_APOP = "pop3_without_apop"
    POP3_WITHOUT_UIDL = "pop3_without_uidl"
    POP3_WITHOUT_TOP = "pop3_without_top"
    POP3_WITHOUT_PIPELINING = "pop3_without_pipelining"
    """Not offered, and a client that does it all the same is refused and loses the connection."""
    POP3_REPEATED_UIDLS = "pop3_repeated_uidls"
    """Made of the Message-ID: copies of a message have one and the same (RFC 1939 section 7 allows it)."""
    POP3_NEWEST_FIRST = "pop3_newest_first"
    """The newest message is number 1."""
    POP3_LISTS_BACKWARDS = "pop3_lists_backwards"
    """LIST and UIDL begin with the highest number."""

    IMAP_WITHOUT_CONDSTORE = "imap_without_condstore"
    IMAP_WITHOUT_MOVE = "imap_without_move"
    IMAP_WITHOUT_UIDPLUS = "imap_without_uidplus"
    IMAP_WITHOUT_SPECIAL_USE = "imap_without_special_use"
    IMAP_WITHOUT_KEYWORDS = "imap_without_keywords"
    """No keyword can be stored: PERMANENTFLAGS has no \\*."""
    IMAP_WITH_OBJECTID = "imap_with_objectid"
    """Folders have a MAILBOXID that renaming does not change (RFC 8474)."""

    SMTP_AUTH_REQUIRED = "smtp_auth_required"
    """Strangers send nothing."""
    SMTP_SENDERS_CHECKED = "smtp_senders_checked"
    """Who signed in sends as himself only, and as those who granted it, by envelope and by the fields of the message."""
    SMTP_GREYLISTS = "smtp_greylists"
    """A sender's first attempt to reach a recipient is refused for now."""
    SMTP_BOUNCES_LATER = "smtp_bounces_later"
    """Recipients here who do not exist are accepted, and the message comes back."""
    SMTP_REWRITES_MESSAGE_IDS = "smtp_rewrites_message_ids"
    """Every message gets another Message-ID, which the reply names."""
    SMTP_WITHOUT_EHLO = "smtp_without_ehlo"
    SMTP_WITHOUT_SIZE = "smtp_without_size"
    SMTP_WITHOUT_8BITMIME = "smtp_without_8bitmime"
    SMTP_WITHOUT_SMTPUTF8 = "smtp_without_smtputf8"
    SMTP_WITHOUT_DSN = "smtp_without_dsn"
    SMTP_WITHOUT_AUTH = "smtp_without_auth"
    SMTP_WITHOUT_STARTTLS = "smtp_without_starttls"
    SMTP_WITHOUT_PIPELINING = "smtp_without_pipelining"
    """Not offered."""

    REFRESH_TOKENS_RENEWED = "refresh_tokens_renewed"
    """Every refresh gives a new refresh token as well; the old one stays good (Entra ID)."""
    REFRESH_TOKENS_USED_ONCE = "refresh_tokens_used_once"
    """Every refresh gives a new refresh token, and the old one is refused from then on."""


class Habits:
    """Those that are on."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._on: frozenset[Habit] = frozenset()

    def set(self, habits: Iterable[Habit | str] = ()) -> None:
        """These and no others. Raises ValueError where one is none. Connections that are open keep what they were told."""
        with self._lock:
            self._on = frozenset(Habit(habit) for habit in habits)

    def __contains__(self, habit: Habit) -> bool:
        return habit in self._on

"""What a subject says beside its words: that it answers, by itself perhaps, that it forwards. Pure text.

Mail programs put a prefix before the subject, in the language of who writes: "RE:", "AW: ", "WG:", "Fwd:", "TR :", "Re[2]:".
The outermost one says what this message is; those further inside say what earlier ones were. Gateways put tags such as
"[EXTERNAL]" before all that, which say nothing. RFC 5256 section 2.1 names the English forms, "[Fwd: ...]" and "(fwd)" too.
"""

import re

FORWARDS = (
    "FW",
    "FWD",
    "WG",  # German
    "TR",  # French
    "RV",  # Spanish
    "ENC",  # Portuguese
    "I",  # Italian
    "DOORST",  # Dutch
    "VB",  # Swedish
    "VL",  # Finnish
    "FS",  # Icelandic
    "PD",  # Polish
    "PŘ",  # Czech
    "TOVÁBBÍTÁS",  # Hungarian
    "ΠΡΘ",  # Greek
    "İLT",  # Turkish, which lowers it to "ilt"
    "ILT",
    "TRS",  # Indonesian
    "转发",  # Chinese, simplified
    "轉寄",  # Chinese, traditional
    "轉發",
    "転送",  # Japanese
    "전달",  # Korean
)
"""Prefixes of forwarded mail. "VS" is none of them: in Finnish it answers, in Danish and Norwegian it forwards, and a lost
answer is worse than a forward that counts as one."""

ANSWERS = (
    "RE",
    "AW",  # German
    "SV",  # Danish, Norwegian, Swedish, Icelandic
    "VS",  # Finnish
    "ANTW",  # Dutch
    "RES",  # Portuguese
    "R",  # Italian
    "RIF",
    "REF",  # French
    "RÉF",
    "ODP",  # Polish, Slovak
    "VÁ",  # Hungarian
    "ΑΠ",  # Greek
    "ΣΧΕΤ",
    "YNT",  # Turkish
    "BLS",  # Indonesian
    "ATB",  # Latvian
    "ОТВЕТ",  # Russian
    "回复",  # Chinese, simplified
    "答复",
    "回覆",  # Chinese, traditional
    "返信",  # Japanese
    "회신",  # Korean
)
"""Prefixes of answers."""

AUTOMATIC_REPLIES = (
    "Automatic reply",
    "Automatische Antwort",
    "Réponse automatique",
    "Respuesta automática",
    "Risposta automatica",
    "Resposta automática",
    "Automatisch antwoord",
    "Automatisk svar",
    "Autosvar",
    "Automaattinen vastaus",
    "Automatická odpověď",
    "Odpowiedź automatyczna",
    "Automatikus válasz",
    "Răspuns automat",
    "Otomatik Yanıt",
    "Αυτόματη απάντηση",
    "Автоматический ответ",
    "自动答复",
    "自动回复",
    "自動回覆",
    "自動応答",
    "자동 회신",
)
"""What Exchange puts before the subject of an out-of-office message, in the language of the mailbox."""

_TAGS = re.compile(r"\s*(?:\[[^\]:]{0,40}\]\s*)*")
"""Tags of gateways and lists; one with a colon is no tag but a prefix in brackets."""


def _prefix(names: tuple[str, ...]) -> re.Pattern[str]:
    """A prefix, a count such as [2] or (2), and a colon, perhaps full-width or after a space."""
    words = "|".join(sorted((re.escape(name) for name in names), key=len, reverse=True))
    return re.compile(rf"\[?(?:{words})\s{{0,3}}(?:[\[(]\d{{1,3}}[\])])?\s{{0,3}}[:：]\s*", re.IGNORECASE)


_AUTOMATIC_REPLY = _prefix(AUTOMATIC_REPLIES)
_FORWARD = _prefix(FORWARDS)
_ANY = _prefix(FORWARDS + ANSWERS)
_FORWARD_TRAILER = re.compile(r"\(fwd\)\s*\Z", re.IGNORECASE)


def is_forward(subject: str) -> bool:
    """Whether the message forwards another, by the outermost prefix."""
    start = _after_tags(subject, 0)
    if _FORWARD.match(subject, start):
        return True
    return _ANY.match(subject, start) is None and _FORWARD_TRAILER.search(subject) is not None


def says_automatic_reply(subject: str) -> bool:
    """Whether it calls itself one, which everybody may write: it proves something only together with headers."""
    return _AUTOMATIC_REPLY.match(subject, _after_tags(subject, 0)) is not None


def has_prefix(subject: str) -> bool:
    """Whether it says that the message answers or forwards another."""
    return _ANY.match(subject, _after_tags(subject, 0)) is not None


def without_prefixes(subject: str) -> str:
    """The subject as it was when the conversation began."""
    start = _after_tags(subject, 0)
    while found := _ANY.match(subject, start):
        start = _after_tags(subject, found.end())
    return _FORWARD_TRAILER.sub("", subject[start:]).strip()


def _after_tags(subject: str, start: int) -> int:
    found = _TAGS.match(subject, start)
    return found.end() if found else start

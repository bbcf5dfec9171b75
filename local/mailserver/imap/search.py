"""SEARCH: what a client looks for, as a question to one message (RFC 3501 section 6.4.4, MODSEQ of RFC 7162)."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, date, datetime

from local.mailserver import mime
from local.mailserver.contents import Item
from local.mailserver.imap.flags import flags_of
from local.mailserver.imap.reading import Parser
from local.mailserver.imap.replies import Bad, No
from local.mailserver.imap.view import View
from local.mailserver.octets import octets

type Question = Callable[[int, Item], bool]

_MOST_KEYS = 300
"""Of one search, however nested."""
_FLAGS = {"ANSWERED": "\\Answered", "DELETED": "\\Deleted", "DRAFT": "\\Draft", "FLAGGED": "\\Flagged", "SEEN": "\\Seen"}
_ALWAYS = {"ALL": True, "OLD": True, "NEW": False, "RECENT": False}
_OF_HEADER = ("BCC", "CC", "FROM", "SUBJECT", "TO")
_OF_TEXT = ("BODY", "TEXT")
_DAYS: dict[str, Callable[[date, date], bool]] = {
    "BEFORE": lambda day, limit: day < limit,
    "ON": lambda day, limit: day == limit,
    "SINCE": lambda day, limit: day >= limit,
}


@dataclass(slots=True)
class Search:
    """One search of a view. `with_modseq`: the answer tells the highest one found."""

    parser: Parser
    view: View
    with_modseq: bool = False
    keys: int = 0

    def question(self) -> Question:
        """Raises Bad, No."""
        if self.parser.tries(b"CHARSET "):
            charset = self.parser.astring().decode("ascii", "replace").upper()
            if charset not in ("US-ASCII", "UTF-8"):
                raise No("That charset is not served.", "BADCHARSET (US-ASCII UTF-8)")
            self.parser.space()
        return self._all()

    def _all(self) -> Question:
        questions = [self._key()]
        while self.parser.tries(b" "):
            questions.append(self._key())
        return lambda number, item: all(question(number, item) for question in questions)

    def _key(self) -> Question:
        self.keys += 1
        if self.keys > _MOST_KEYS:
            raise Bad("That is too much to look for.")
        if self.parser.tries(b"("):
            inner = self._all()
            self.parser.expect(b")")
            return inner
        if self.parser.next.isdigit() or self.parser.next == b"*":
            return self._numbers(by_uid=False)
        return self._named(self.parser.atom().upper())

    def _named(self, name: str) -> Question:
        if name in _ALWAYS:
            return lambda _number, _item: _ALWAYS[name]
        if name.removeprefix("UN") in _FLAGS:
            return _flagged(_FLAGS[name.removeprefix("UN")], wanted=not name.startswith("UN"))
        self.parser.space()
        if name == "NOT":
            refuted = self._key()
            return lambda number, item: not refuted(number, item)
        if name == "OR":
            one = self._key()
            self.parser.space()
            other = self._key()
            return lambda number, item: one(number, item) or other(number, item)
        if name == "UID":
            return self._numbers(by_uid=True)
        return self._with_value(name)

    def _with_value(self, name: str) -> Question:
        if name in ("KEYWORD", "UNKEYWORD"):
            return _flagged(self.parser.atom(), wanted=name == "KEYWORD")
        if name in ("LARGER", "SMALLER"):
            size = self.parser.number()
            return lambda _, item: len(octets(item.message)) > size if name == "LARGER" else len(octets(item.message)) < size
        if name == "MODSEQ":
            self.with_modseq, least = True, self.parser.number()
            return lambda _, item: item.version >= least
        if name.removeprefix("SENT") in _DAYS:
            return self._day(name)
        if name == "HEADER":
            field = self._text()
            self.parser.space()
            return _in_header(field, self._text())
        if name in _OF_HEADER:
            return _in_header(name, self._text())
        if name in _OF_TEXT:
            wanted = self._text().encode()
            return lambda _, item: wanted.lower() in bytes(octets(item.message)[:]).lower()
        raise Bad(f"{name} is not served.")

    def _numbers(self, *, by_uid: bool) -> Question:
        chosen = {number for number, _ in self.view.chosen(self.parser.sequence(), by_uid=by_uid)}
        return lambda number, _: number in chosen

    def _text(self) -> str:
        return self.parser.astring().decode("utf-8", "replace")

    def _day(self, name: str) -> Question:
        try:
            limit = datetime.strptime(self._text(), "%d-%b-%Y").replace(tzinfo=UTC).date()
        except ValueError as error:
            raise Bad("That is no date.") from error
        holds = _DAYS[name.removeprefix("SENT")]
        if not name.startswith("SENT"):
            return lambda _, item: holds(item.received.astimezone(UTC).date(), limit)
        return lambda _, item: item.message.sent is not None and holds(item.message.sent.date(), limit)


def _flagged(flag: str, *, wanted: bool) -> Question:
    return lambda _, item: (flag.lower() in {found.lower() for found in flags_of(item)}) is wanted


def _in_header(name: str, text: str) -> Question:
    def holds(_: int, item: Item) -> bool:
        values = [
            mime.unfolded(mime.decoded_words(mime.readable(str(value)))) for value in item.message.fields.get_all(name, [])
        ]
        return any(text.lower() in value.lower() for value in values)

    return holds

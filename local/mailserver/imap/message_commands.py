"""Commands about the messages of a selected folder: FETCH, STORE, SEARCH, COPY, MOVE, EXPUNGE (RFC 3501, 4315, 6851, 7162)."""

from collections.abc import Iterable
from dataclasses import dataclass, field

from local.mailserver.backend import Backend
from local.mailserver.contents import Folder, Item
from local.mailserver.faults import FaultKind
from local.mailserver.habits import Habit
from local.mailserver.imap import fetch, flags, names
from local.mailserver.imap.reading import Parser
from local.mailserver.imap.replies import Bad, Reply, untagged
from local.mailserver.imap.search import Search
from local.mailserver.imap.sequences import written
from local.mailserver.imap.view import View
from local.mailserver.mime import Buffer
from local.mailserver.model import Mailbox


@dataclass(slots=True)
class Messages:
    """What one command does to the messages of a view. `uses_modseq`: it makes the client one that is told MODSEQ."""

    backend: Backend
    view: View
    name: str
    parser: Parser
    by_uid: bool
    uses_modseq: bool
    _refused: list[str] = field(default_factory=list)
    """Codes of messages that could not be read or changed."""

    @property
    def mailbox(self) -> Mailbox:
        return self.view.folder.mailbox

    def carry_out(self) -> Reply:
        """Raises Bad, No."""
        self.view.refuse_if_gone()
        reply = {
            "COPY": self._copy,
            "EXPUNGE": self._expunge,
            "FETCH": self._fetch,
            "MOVE": self._move,
            "SEARCH": self._search,
            "STORE": self._store,
        }[self.name]()
        if self._refused:
            return Reply("NO", "Some messages could not be handled.", self._refused[0], reply.lines)
        return reply

    def _has(self, habit: Habit) -> bool:
        return habit in self.backend.habits

    def _refuses(self, kind: FaultKind, item: Item) -> bool:
        fault = self.backend.faults.hit(kind, self.mailbox.address, self.name, item.id)
        if fault is not None:
            self._refused.append(fault.code)
        return fault is not None

    def _chosen(self) -> list[tuple[int, Item]]:
        sequence = self.parser.sequence()
        return self.view.chosen(sequence, by_uid=self.by_uid)

    def _writable(self, chosen: Iterable[tuple[int, Item]]) -> list[tuple[int, Item]]:
        return [(number, item) for number, item in chosen if not self._refuses(FaultKind.UNWRITABLE_ITEM, item)]

    def _fetch(self) -> Reply:
        chosen = self._chosen()
        self.parser.space()
        attributes = fetch.read_attributes(self.parser)
        since = self._changed_since()
        asked = {attribute.name for attribute in attributes}
        if "MODSEQ" in asked:
            self._use_modseq()
        if self.by_uid and "UID" not in asked:
            attributes.insert(0, fetch.Attribute("UID"))
        if since is not None and "MODSEQ" not in asked:
            attributes.append(fetch.Attribute("MODSEQ"))
        out: list[Buffer | memoryview] = []
        for number, item in chosen:
            if since is None or item.version > since:
                self._show(number, item, attributes, out)
        return Reply(lines=out, text="FETCH completed.")

    def _show(self, number: int, item: Item, attributes: list[fetch.Attribute], out: list[Buffer | memoryview]) -> None:
        if any(attribute.needs_content for attribute in attributes) and self._refuses(FaultKind.UNREADABLE_ITEM, item):
            return
        if not item.is_read and not self.view.read_only and any(attribute.marks_as_read for attribute in attributes):
            self.mailbox.mark_read(item.id)
            if not any(attribute.name == "FLAGS" for attribute in attributes):
                attributes = [*attributes, fetch.Attribute("FLAGS")]
        fetch.line(number, item, attributes, out)
        if any(attribute.name == "FLAGS" for attribute in attributes):
            self.view.told(item)

    def _changed_since(self) -> int | None:
        if not self.parser.tries(b" "):
            self.parser.end()
            return None
        self.parser.expect(b"(CHANGEDSINCE ")
        self._use_modseq()
        position = self.parser.number()
        self.parser.expect(b")")
        self.parser.end()
        return position

    def _use_modseq(self) -> None:
        if self._has(Habit.IMAP_WITHOUT_CONDSTORE):
            raise Bad("CONDSTORE is not served.")
        self.uses_modseq = True

    def _search(self) -> Reply:
        search = Search(self.parser, self.view)
        holds = search.question()
        self.parser.end()
        if search.with_modseq:
            self._use_modseq()
        found = [(number, item) for number, item in self.view if holds(number, item)]
        numbers = "".join(f" {item.uid if self.by_uid else number}" for number, item in found)
        highest = max((item.version for _, item in found), default=0)
        modseq = f" (MODSEQ {highest})" if search.with_modseq and found else ""
        return Reply(lines=[untagged(f"SEARCH{numbers}{modseq}")], text="SEARCH completed.")

    def _store(self) -> Reply:
        self.view.refuse_if_read_only()
        chosen = self._chosen()
        self.parser.space()
        since = self._unchanged_since()
        sign = "+" if self.parser.tries(b"+") else "-" if self.parser.tries(b"-") else ""
        self.parser.expect(b"FLAGS")
        silent = self.parser.tries(b".SILENT")
        self.parser.space()
        stored = flags.understood(self._flag_list())
        modified = [(number, item) for number, item in chosen if since is not None and item.version > since]
        out: list[Buffer | memoryview] = []
        for number, item in self._writable(pair for pair in chosen if pair not in modified):
            if self._has(Habit.IMAP_WITHOUT_KEYWORDS) and sign != "-":
                flags.refuse_new_keywords(stored, item)
            flags.apply(self.mailbox, item, flags.changed(item, sign, stored))
            self.view.told(item)
            if not silent or self.uses_modseq:
                fetch.line(number, item, self._shown_of_store(silent=silent), out)
        code = f"MODIFIED {written(item.uid if self.by_uid else number for number, item in modified)}" if modified else ""
        return Reply(code=code, lines=out, text="STORE completed.")

    def _unchanged_since(self) -> int | None:
        if not self.parser.tries(b"(UNCHANGEDSINCE "):
            return None
        self._use_modseq()
        position = self.parser.number()
        self.parser.expect(b") ")
        return position

    def _flag_list(self) -> list[str]:
        found = self.parser.several(self.parser.flag) if self.parser.next == b"(" else [self.parser.flag()]
        while self.parser.tries(b" "):
            found.append(self.parser.flag())
        self.parser.end()
        return found

    def _shown_of_store(self, *, silent: bool) -> list[fetch.Attribute]:
        names_shown = (
            *(["UID"] if self.by_uid else []),
            *([] if silent else ["FLAGS"]),
            *(["MODSEQ"] if self.uses_modseq else []),
        )
        return [fetch.Attribute(name) for name in names_shown]

    def _target(self) -> tuple[list[tuple[int, Item]], Folder]:
        chosen = self._chosen()
        self.parser.space()
        path = names.decoded(self.parser.astring())
        self.parser.end()
        return chosen, names.folder_at(self.mailbox, path, "TRYCREATE")

    def _copy(self) -> Reply:
        chosen, target = self._target()
        copied = [(item, self.mailbox.copy(item.id, target.id)) for _, item in self._writable(chosen)]
        return Reply(code=self._copied(target, copied), text="COPY completed.")

    def _move(self) -> Reply:
        if self._has(Habit.IMAP_WITHOUT_MOVE):
            raise Bad("MOVE is not served.")
        self.view.refuse_if_read_only()
        chosen, target = self._target()
        moved = [(item, self.mailbox.move(item.id, target.id)) for _, item in self._writable(chosen)]
        code = self._copied(target, moved)
        return Reply(lines=[untagged(f"OK [{code}] Moved.")] if code else [], text="MOVE completed.")

    def _copied(self, target: Folder, pairs: list[tuple[Item, Item]]) -> str:
        if not pairs or self._has(Habit.IMAP_WITHOUT_UIDPLUS):
            return ""
        old, new = (written(pair[side].uid for pair in pairs) for side in (0, 1))
        return f"COPYUID {target.uid_validity} {old} {new}"

    def _expunge(self) -> Reply:
        self.view.refuse_if_read_only()
        if self.by_uid and self._has(Habit.IMAP_WITHOUT_UIDPLUS):
            raise Bad("UID EXPUNGE is not served.")
        chosen = self._chosen() if self.by_uid else list(self.view)
        self.parser.end()
        for _, item in self._writable((number, item) for number, item in chosen if "\\Deleted" in item.flags):
            self.mailbox.remove(item.id)
        return Reply(text="EXPUNGE completed.")

"""Commands about folders: LIST (RFC 5258, 5819, 6154), STATUS, SELECT, CREATE, RENAME, DELETE, APPEND (RFC 3501)."""

import re
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime

from local.mailserver.backend import Backend
from local.mailserver.contents import MAIL, Folder
from local.mailserver.habits import Habit
from local.mailserver.imap import flags, names
from local.mailserver.imap.reading import Parser
from local.mailserver.imap.replies import Bad, No, Reply, untagged
from local.mailserver.imap.view import View
from local.mailserver.message import Message, spooled
from local.mailserver.model import FolderExists, FolderRefused, Mailbox
from local.mailserver.octets import octets

_UNTOUCHABLE = "CANNOT"
_TIME = re.compile(rb'" ?\d{1,2}-[A-Za-z]{3}-\d{4} \d\d:\d\d:\d\d [+-]\d{4}"')


@dataclass(slots=True)
class Folders:
    """What one command does to the folders of a mailbox."""

    backend: Backend
    mailbox: Mailbox
    parser: Parser

    def _has(self, habit: Habit) -> bool:
        return habit in self.backend.habits

    def _path(self) -> str:
        return names.decoded(self.parser.astring())

    def _folder(self) -> Folder:
        return names.folder_at(self.mailbox, self._path())

    def show(self, command: str) -> Reply:
        """LIST or LSUB: every folder is subscribed."""
        only_special = self._selection()
        reference = self._path()
        self.parser.space()
        wanted = [names.decoded(raw) for raw in self.parser.one_or_several(self.parser.list_pattern)]
        told = self._return_options() if self.parser.tries(b" RETURN ") else []
        self.parser.end()
        if wanted == [""]:
            return Reply(lines=[untagged(f'{command} (\\Noselect) "{names.DELIMITER}" ""')])
        patterns = [names.pattern(reference, each) for each in wanted]
        reply = Reply(text=f"{command} completed.")
        for path, folder in names.folders(self.mailbox):
            if any(pattern.match(path) for pattern in patterns) and (not only_special or names.special_use(folder)):
                name = names.quoted(path)
                reply.lines.append(untagged(f'{command} ({self._attributes(folder)}) "{names.DELIMITER}" {name}'))
                if told:
                    reply.lines.append(untagged(f"STATUS {name} ({self._status_of(folder, told)})"))
        return reply

    def _return_options(self) -> list[str]:
        """What STATUS of each folder is wanted besides. All else that can be asked for is told anyway."""
        told: list[str] = []

        def option() -> None:
            if self.parser.atom().upper() == "STATUS":
                self.parser.space()
                told.extend(name.upper() for name in self.parser.several(self.parser.atom))

        self.parser.several(option)
        return told

    def _selection(self) -> bool:
        if self.parser.next != b"(":
            return False
        wanted = [option.upper() for option in self.parser.several(self.parser.atom)]
        self.parser.space()
        served = {"SUBSCRIBED", "REMOTE", "RECURSIVEMATCH"}
        if set(wanted) - (served if self._has(Habit.IMAP_WITHOUT_SPECIAL_USE) else {*served, "SPECIAL-USE"}):
            raise Bad("That selection is not served.")
        return "SPECIAL-USE" in wanted

    def _attributes(self, folder: Folder) -> str:
        found = ["\\Subscribed", "\\HasChildren" if self._children(folder) else "\\HasNoChildren"]
        special = names.special_use(folder)
        if special and not self._has(Habit.IMAP_WITHOUT_SPECIAL_USE):
            found.append(special)
        return " ".join(found)

    def _children(self, folder: Folder) -> list[Folder]:
        return [child for child in self.mailbox.children(folder) if child.kind.startswith(MAIL)]

    def status(self) -> Reply:
        path = self._path()
        self.parser.space()
        wanted = [name.upper() for name in self.parser.several(self.parser.atom)]
        self.parser.end()
        told = self._status_of(names.folder_at(self.mailbox, path), wanted)
        return Reply(lines=[untagged(f"STATUS {names.quoted(path)} ({told})")], text="STATUS completed.")

    def _status_of(self, folder: Folder, wanted: list[str]) -> str:
        values = self._values(folder)
        if not wanted or any(name not in values for name in wanted):
            raise Bad("That status is not served.")
        return " ".join(f"{name} {values[name]()}" for name in wanted)

    def _values(self, folder: Folder) -> dict[str, Callable[[], object]]:
        values: dict[str, Callable[[], object]] = {
            "HIGHESTMODSEQ": lambda: folder.last_change,
            "MAILBOXID": lambda: f"({names.identity(folder)})",
            "MESSAGES": lambda: len(folder.items),
            "RECENT": lambda: 0,
            "SIZE": lambda: sum(len(octets(item.message)) for item in folder.items.values()),
            "UIDNEXT": lambda: folder.uid_next,
            "UIDVALIDITY": lambda: folder.uid_validity,
            "UNSEEN": lambda: sum(not item.is_read for item in folder.items.values()),
        }
        if self._has(Habit.IMAP_WITHOUT_CONDSTORE):
            del values["HIGHESTMODSEQ"]
        if not self._has(Habit.IMAP_WITH_OBJECTID):
            del values["MAILBOXID"]
        return values

    def select(self, *, read_only: bool) -> tuple[View, Reply, bool]:
        """The folder from now on, what the client is told of it, and whether it wants to be told MODSEQ."""
        folder = self._folder()
        wants_modseq = self.parser.tries(b" (CONDSTORE)") and not self._has(Habit.IMAP_WITHOUT_CONDSTORE)
        self.parser.end()
        view = View(folder, read_only=read_only)
        keywords = sorted({each for item in view.items for each in item.categories if flags.is_keyword(each)})
        known = " ".join([*flags.SYSTEM, *keywords])
        new_keywords = "" if self._has(Habit.IMAP_WITHOUT_KEYWORDS) else " \\*"
        permanent = "" if read_only else f"{known}{new_keywords}"
        unseen = next((number for number, item in view if not item.is_read), None)
        modseq = "NOMODSEQ" if self._has(Habit.IMAP_WITHOUT_CONDSTORE) else f"HIGHESTMODSEQ {folder.last_change}"
        lines = [
            f"FLAGS ({known})",
            f"OK [PERMANENTFLAGS ({permanent})] Flags permitted.",
            f"{len(view.items)} EXISTS",
            "0 RECENT",
            *([f"OK [UNSEEN {unseen}] First unseen."] if unseen else []),
            f"OK [UIDVALIDITY {folder.uid_validity}] UIDs valid.",
            f"OK [UIDNEXT {folder.uid_next}] Predicted next UID.",
            f"OK [{modseq}] Highest.",
            *([f"OK [MAILBOXID ({names.identity(folder)})] Identity."] if self._has(Habit.IMAP_WITH_OBJECTID) else []),
        ]
        code, verb = ("READ-ONLY", "EXAMINE") if read_only else ("READ-WRITE", "SELECT")
        return view, Reply(code=code, lines=[untagged(each) for each in lines], text=f"{verb} completed."), wants_modseq

    def create(self) -> Reply:
        """With those above it that are missing."""
        path = self._path().strip(names.DELIMITER)
        self.parser.end()
        folder, missing = self._nearest(path)
        if not missing:
            raise No("The mailbox exists already.", "ALREADYEXISTS")
        for name in missing:
            folder = self._added(name, folder)
        code = f"MAILBOXID ({names.identity(folder)})" if self._has(Habit.IMAP_WITH_OBJECTID) else ""
        return Reply(code=code, text="CREATE completed.")

    def _nearest(self, path: str) -> tuple[Folder, list[str]]:
        """The folder there or the nearest above, and the names that lead from it."""
        parts = path.split(names.DELIMITER)
        for known in range(len(parts), 0, -1):
            try:
                return names.folder_at(self.mailbox, names.DELIMITER.join(parts[:known])), parts[known:]
            except No:
                continue
        return self.mailbox.top, parts

    def rename(self) -> Reply:
        folder = self._movable(self._path())
        self.parser.space()
        path = self._path().strip(names.DELIMITER)
        self.parser.end()
        above, missing = self._nearest(path)
        if not missing and above is not folder:
            raise No("The mailbox exists already.", "ALREADYEXISTS")
        if not missing:
            above, missing = folder.parent or self.mailbox.top, [path.rpartition(names.DELIMITER)[2]]
        if folder in (above, *above.ancestors()):
            raise No("A mailbox cannot be below itself.", _UNTOUCHABLE)
        *between, name = missing
        for each in between:
            above = self._added(each, above)
        try:
            self._rename(folder, above, name)
        except FolderRefused as refused:
            raise _refusal(refused) from None
        return Reply(text="RENAME completed.")

    def _added(self, name: str, above: Folder) -> Folder:
        """Raises No where the store refuses it."""
        try:
            return self.mailbox.add_folder(name, above.id)
        except FolderRefused as refused:
            raise _refusal(refused) from None

    def _rename(self, folder: Folder, above: Folder, name: str) -> Folder:
        others = {child.name.lower() for child in self.mailbox.children(above) if child is not folder}
        if name.lower() in others:
            raise FolderExists(name)
        if above is not folder.parent:
            if name != folder.name:  # a name that neither the old place nor the new one can have
                self.mailbox.rename_folder(folder.id, f"{name} {folder.id}")
            self.mailbox.move_folder(folder.id, above.id)
        return folder if folder.name == name else self.mailbox.rename_folder(folder.id, name)

    def delete(self) -> Reply:
        folder = self._movable(self._path())
        self.parser.end()
        if self._children(folder):
            raise No("The mailbox has others below it.", "HASCHILDREN")
        self.mailbox.remove_folder(folder.id)
        return Reply(text="DELETE completed.")

    def _movable(self, path: str) -> Folder:
        folder = names.folder_at(self.mailbox, path)
        if folder.well_known is not None:
            raise No("That mailbox stays where it is.", _UNTOUCHABLE)
        return folder

    def append(self) -> Reply:
        path = self._path()
        self.parser.space()
        stored: list[str] = []
        if self.parser.next == b"(":
            stored = flags.understood(self.parser.several(self.parser.flag))
            self.parser.space()
        received = self._time()
        raw = self.parser.string()
        self.parser.end()
        folder = names.folder_at(self.mailbox, path, "TRYCREATE")
        item = self.mailbox.add_item(Message(spooled(raw)), folder.id, received, through_transport=False)
        flags.apply(self.mailbox, item, stored)
        code = "" if self._has(Habit.IMAP_WITHOUT_UIDPLUS) else f"APPENDUID {folder.uid_validity} {item.uid}"
        return Reply(code=code, text="APPEND completed.")

    def _time(self) -> datetime | None:
        said = self.parser.maybe(_TIME)
        if said is None:
            return None
        self.parser.space()
        try:
            return datetime.strptime(said.strip('"').strip(), "%d-%b-%Y %H:%M:%S %z").astimezone(UTC)
        except (ValueError, OverflowError) as error:
            raise Bad("That is no time.") from error


def _refusal(refused: FolderRefused) -> No:
    if isinstance(refused, FolderExists):
        return No("The mailbox exists already.", "ALREADYEXISTS")
    return No(str(refused) or "The mailbox cannot be there.", _UNTOUCHABLE)

"""Names of folders as IMAP has them: one path with `/`, in modified UTF-7 (RFC 3501 section 5.1.3), with what they are for.

The inbox is INBOX; its folders are below it, all other folders of the mailbox beside it.
"""

import base64
import hashlib
import re
from collections.abc import Iterator

from local.mailserver.contents import MAIL, Folder
from local.mailserver.imap.replies import Bad, No
from local.mailserver.model import Mailbox

DELIMITER = "/"
SPECIAL_USES = {
    "archive": "\\Archive",
    "deleteditems": "\\Trash",
    "drafts": "\\Drafts",
    "junkemail": "\\Junk",
    "sentitems": "\\Sent",
}
"""RFC 6154 section 2, by well-known name."""

_BEYOND = re.compile(r"[^\x20-\x7e]+")
_SHIFTED = re.compile(r"&([A-Za-z0-9+,]*)-")


def encoded(name: str) -> str:
    return _BEYOND.sub(lambda run: f"&{_base64(run[0])}-", name.replace("&", "&-"))


def _base64(text: str) -> str:
    return base64.b64encode(text.encode("utf-16-be", "surrogatepass")).decode().rstrip("=").replace("/", ",")


def decoded(name: bytes) -> str:
    """Raises Bad where it is no name."""
    try:
        return _SHIFTED.sub(lambda run: _from_base64(run[1]), name.decode("ascii"))
    except ValueError as error:
        raise Bad("That is no name of a mailbox.") from error


def _from_base64(text: str) -> str:
    if not text:
        return "&"
    padded = text.replace(",", "/") + "=" * (-len(text) % 4)
    return base64.b64decode(padded, validate=True).decode("utf-16-be")


def quoted(name: str) -> str:
    """A name as replies write it."""
    escaped = encoded(name).replace("\\", "\\\\").replace('"', '\\"')
    return f'"{escaped}"'


def path_of(folder: Folder) -> str:
    if folder.well_known == "inbox":
        return "INBOX"
    name = folder.name.replace(DELIMITER, "%2F")
    above = folder.parent
    return name if above is None or above.well_known == "msgfolderroot" else f"{path_of(above)}{DELIMITER}{name}"


def folders(mailbox: Mailbox) -> Iterator[tuple[str, Folder]]:
    """All folders of mail and their paths, the inbox first; not the outbox, where clients of other protocols send from."""
    every = mailbox.descendants(mailbox.top)
    found = [folder for folder in every if folder.kind.startswith(MAIL) and folder.well_known != "outbox"]
    for folder in sorted(found, key=lambda folder: folder.well_known != "inbox"):
        yield path_of(folder), folder


def folder_at(mailbox: Mailbox, path: str, code: str = "NONEXISTENT") -> Folder:
    """Raises No."""
    wanted = _comparable(path)
    for found, folder in folders(mailbox):
        if _comparable(found) == wanted:
            return folder
    raise No("The mailbox does not exist.", code)


def _comparable(path: str) -> str:
    """INBOX in any case; names of folders ignore case on this server."""
    return path.strip(DELIMITER).lower()


def special_use(folder: Folder) -> str | None:
    return SPECIAL_USES.get(folder.well_known or "")


def identity(folder: Folder) -> str:
    """MAILBOXID: stays whatever the folder is called (RFC 8474 section 4)."""
    return f"F{hashlib.sha256(folder.id.encode()).hexdigest()[:32]}"


def pattern(reference: str, wanted: str) -> re.Pattern[str]:
    """What a LIST pattern matches: `*` anything, `%` anything within one level."""
    parts = re.split(r"([*%])", reference + wanted)
    expression = "".join({"*": ".*", "%": f"[^{DELIMITER}]*"}.get(part, re.escape(part)) for part in parts)
    return re.compile(rf"{expression}\Z", re.IGNORECASE | re.DOTALL)

"""The yardsticks of POP3: fetchmail and getmail6, as Debian packages them, delivering a maildrop to a Maildir.

They keep what they read on the server and remember nothing. Neither delivers mail as root: started by root they run as
`nobody`. fetchmail hands each message to a delivery program: here the smallest there is, which writes a file.
"""

import os
import pwd
import shutil
import subprocess
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

INSTALL = "apt-get install --no-install-recommends fetchmail getmail6"
_LONGEST = 900.0

_GETMAIL = """[retriever]
type = SimplePOP3Retriever
server = 127.0.0.1
port = {port}
username = {username}
password = {password}
[destination]
type = Maildir
path = {maildir}/
[options]
read_all = true
delete = false
delivered_to = false
received = false
verbose = 0
"""
_FETCHMAIL = """poll 127.0.0.1 protocol pop3 port {port} user "{username}" password "{password}" keep fetchall sslproto ""
 mda "exec cat >{maildir}/new/$$"
"""


@dataclass(frozen=True, slots=True)
class Fetcher:
    """A program that reads one maildrop."""

    name: str
    port: int
    password: str
    command: Callable[[Path], Sequence[str]]
    """What to start, by the folder in which `settings` is its configuration."""
    settings: str

    def run(self, username: str) -> tuple[float, int]:
        """Seconds, and messages delivered."""
        with tempfile.TemporaryDirectory(prefix=f"{self.name}-") as directory:
            folder = Path(directory)
            self._prepare(folder, username)
            started = time.perf_counter()
            _run(self.command(folder), folder)
            seconds = time.perf_counter() - started
            return seconds, len(list((folder / "Maildir" / "new").iterdir()))

    def _prepare(self, folder: Path, username: str) -> None:
        for part in ("tmp", "new", "cur"):
            (folder / "Maildir" / part).mkdir(parents=True)
        known = {"port": self.port, "username": username, "password": self.password, "maildir": folder / "Maildir"}
        (folder / "settings").write_text(self.settings.format(**known), "utf-8")
        (folder / "settings").chmod(0o600)
        for path in (folder, *folder.rglob("*")):
            _give_away(path)


def fetchers(port: int, password: str) -> Sequence[Fetcher]:
    """Those that are installed here."""
    known = (
        Fetcher("fetchmail", port, password, _fetchmail, _FETCHMAIL),
        Fetcher("getmail", port, password, _getmail, _GETMAIL),
    )
    return [fetcher for fetcher in known if shutil.which(fetcher.name)]


def _fetchmail(folder: Path) -> Sequence[str]:
    own_files = ("--pidfile", str(folder / "pid"), "--idfile", str(folder / "ids"))
    return ("fetchmail", "--fetchmailrc", str(folder / "settings"), "--silent", "--nodetach", *own_files)


def _getmail(folder: Path) -> Sequence[str]:
    return ("getmail", f"--getmaildir={folder}", "--rcfile=settings", "--quiet")


def _nobody() -> pwd.struct_passwd | None:
    return pwd.getpwnam("nobody") if os.geteuid() == 0 else None


def _give_away(path: Path) -> None:
    if nobody := _nobody():
        os.chown(path, nobody.pw_uid, nobody.pw_gid)


def _run(command: Sequence[str], folder: Path) -> None:
    """Raises CalledProcessError, with what it said."""
    nobody = _nobody()
    subprocess.run(  # noqa: S603 - our own arguments
        command,
        check=True,
        timeout=_LONGEST,
        capture_output=True,
        env=os.environ | {"HOME": str(folder), "FETCHMAILHOME": str(folder)},
        user=nobody.pw_uid if nobody else None,
        group=nobody.pw_gid if nobody else None,
        extra_groups=() if nobody else None,
    )

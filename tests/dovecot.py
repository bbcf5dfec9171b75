"""Dovecot, a real POP3 and IMAP server, as a plain process: free loopback ports, one folder, no daemon, no service.

`with Dovecot() as dovecot:` serves mailboxes that spring into being when somebody signs in or mail is delivered. Started by
root it runs as `nobody`, since it gives nobody's mail to root: so one configuration holds for every tester. Its log is
`dovecot.log` in its folder. Knows no connector.
"""

import base64
import grp
import os
import pwd
import secrets
import shutil
import socket
import subprocess
import tempfile
import time
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from itertools import count
from pathlib import Path
from types import TracebackType
from typing import Self

import jwt
import pytest

from local.mailserver.tls import server_context

PASSWORD = "correct-horse-battery-staple"
"""Of every mailbox. Dovecot takes what follows a space for another setting."""
INSTALL = "apt-get install --no-install-recommends dovecot-core dovecot-imapd dovecot-pop3d"
_READY_WITHIN = 20.0
_ATTEMPTS = 5
"""A free port may be somebody else's by the time Dovecot listens there."""

_CONFIGURATION = """
base_dir = {folder}/run
state_dir = {folder}/state
log_path = {folder}/dovecot.log
listen = 127.0.0.1
protocols = imap pop3
default_internal_user = {user}
default_internal_group = {group}
default_login_user = {user}
first_valid_uid = 1
mail_location = maildir:~/Maildir
mail_fsync = never
mail_max_userip_connections = 0
pop3_lock_session = yes
auth_mechanisms = plain login apop xoauth2 oauthbearer
auth_failure_delay = 0
disable_plaintext_auth = no
ssl = yes
ssl_cert = <{folder}/certificate.pem
ssl_key = <{folder}/key.pem
namespace inbox {{
  inbox = yes
  separator = /
}}
passdb {{
  driver = oauth2
  mechanisms = xoauth2 oauthbearer
  args = {folder}/oauth2.conf
}}
passdb {{
  driver = static
  mechanisms = plain login apop
  args = password={password}
}}
userdb {{
  driver = static
  args = uid={uid} gid={gid} home={folder}/mail/%u
}}
service anvil {{
  chroot =
  # Without it whoever failed to sign in waits the next time, longer each time.
  unix_listener anvil-auth-penalty {{
    mode = 0
  }}
}}
service imap-login {{
  chroot =
  inet_listener imap {{
    port = {imap}
  }}
  inet_listener imaps {{
    port = {imaps}
  }}
}}
service pop3-login {{
  chroot =
  inet_listener pop3 {{
    port = {pop3}
  }}
  inet_listener pop3s {{
    port = {pop3s}
  }}
}}
"""

_TOKENS = """
introspection_mode = local
local_validation_key_dict = fs:posix:prefix={folder}/keys/
username_attribute = sub
"""


class DovecotMissing(RuntimeError):
    """Dovecot cannot be started; the message says why, and what to install."""


def dovecot_program() -> str | None:
    """Debian keeps it where the search path of ordinary users does not lead."""
    return shutil.which("dovecot") or shutil.which("dovecot", path="/usr/sbin:/usr/local/sbin")


def needs_dovecot() -> None:
    """Skips the test that asks, with the reason, where Dovecot is not installed."""
    if dovecot_program() is None:
        pytest.skip(f"Dovecot is not installed: {INSTALL}")


class Dovecot:
    """A server between `start` and `stop`; a context manager does both."""

    def __init__(self) -> None:
        self._numbers = count(1)
        self._process: subprocess.Popen[bytes] | None = None
        self._key = secrets.token_bytes(32)
        self._owner = pwd.getpwnam("nobody") if os.geteuid() == 0 else pwd.getpwuid(os.geteuid())
        # The sockets in it have to have short names: a Unix socket takes 107 characters.
        self._directory = tempfile.TemporaryDirectory(prefix="dovecot-", ignore_cleanup_errors=True)
        self.folder = Path(self._directory.name)
        self.host = "127.0.0.1"
        self.pop3_port = self.pop3s_port = self.imap_port = self.imaps_port = 0

    @property
    def certificate_file(self) -> Path:
        """What a client has to trust; it is for `localhost` and 127.0.0.1."""
        return self.folder / "certificate.pem"

    @property
    def pid(self) -> int:
        """Of the process that leads all others of this server; they are in its session."""
        if self._process is None:
            raise RuntimeError("Dovecot was not started")
        return self._process.pid

    @property
    def log(self) -> str:
        path = self.folder / "dovecot.log"
        return path.read_text("utf-8", "replace") if path.exists() else ""

    def start(self) -> None:
        """Returns when it answers on all ports. Raises DovecotMissing; nothing is left running then."""
        if (program := dovecot_program()) is None:
            raise DovecotMissing(f"Dovecot is not installed: {INSTALL}")
        server_context(self.folder)
        self._write_key()
        for _ in range(_ATTEMPTS):
            self._configure()
            self._process = self._launch(program)
            if self._answers():
                return
            self._end()
        raise DovecotMissing(f"Dovecot did not start. Its log ends:\n{self.log[-2000:]}")

    def stop(self) -> None:
        self._end()
        self._directory.cleanup()

    def __enter__(self) -> Self:
        try:
            self.start()
        except BaseException:
            self.stop()
            raise
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.stop()

    def add_mailbox(self, username: str = "") -> "Maildir":
        """An empty one. Without a name it gets one that no other has."""
        name = username or f"mailbox{next(self._numbers)}@contoso.example"
        maildir = Maildir(self, name, self.folder / "mail" / name / "Maildir")
        maildir.create()
        return maildir

    def token(self, username: str, lifetime: timedelta = timedelta(hours=1)) -> str:
        """A bearer token that signs in as `username`; one whose lifetime is negative has expired."""
        now = datetime.now(UTC)
        claims = {"sub": username, "iat": now - timedelta(days=1), "nbf": now - timedelta(days=1), "exp": now + lifetime}
        return jwt.encode(claims, self._key, algorithm="HS256", headers={"kid": "default"})

    def own(self, path: Path) -> None:
        """Gives to the server what the tester made for it."""
        if os.geteuid() == 0:
            os.chown(path, self._owner.pw_uid, self._owner.pw_gid)

    def _write_key(self) -> None:
        keys = self.folder / "keys" / "default" / "HS256"
        keys.mkdir(parents=True, exist_ok=True)
        (keys / "default").write_bytes(base64.b64encode(self._key))

    def _configure(self) -> None:
        ports = _free_ports(4)
        self.pop3_port, self.pop3s_port, self.imap_port, self.imaps_port = ports
        written = _CONFIGURATION.format(
            folder=self.folder,
            user=self._owner.pw_name,
            group=grp.getgrgid(self._owner.pw_gid).gr_name,
            uid=self._owner.pw_uid,
            gid=self._owner.pw_gid,
            password=PASSWORD,
            pop3=self.pop3_port,
            pop3s=self.pop3s_port,
            imap=self.imap_port,
            imaps=self.imaps_port,
        )
        (self.folder / "dovecot.conf").write_text(written, "utf-8")
        (self.folder / "oauth2.conf").write_text(_TOKENS.format(folder=self.folder), "utf-8")
        (self.folder / "dovecot.log").touch()
        for path in (self.folder, *self.folder.rglob("*")):
            self.own(path)

    def _launch(self, program: str) -> subprocess.Popen[bytes]:
        becoming = (self._owner.pw_uid, self._owner.pw_gid) if os.geteuid() == 0 else (None, None)
        with (self.folder / "dovecot.log").open("ab") as log:
            return subprocess.Popen(  # noqa: S603 - our own arguments
                [program, "-F", "-c", str(self.folder / "dovecot.conf")],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
                user=becoming[0],
                group=becoming[1],
                extra_groups=None if becoming[0] is None else (),
            )

    def _answers(self) -> bool:
        deadline = time.monotonic() + _READY_WITHIN
        while time.monotonic() < deadline and self._process is not None and self._process.poll() is None:
            if all(_greets(self.host, port) for port in (self.pop3_port, self.imap_port)):
                return True
            time.sleep(0.05)
        return False

    def _end(self) -> None:
        """Dovecot ends its own processes when it is told to."""
        process, self._process = self._process, None
        if process is None:
            return
        process.terminate()
        try:
            process.wait(10)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


class Maildir:
    """One mailbox on disk: mail arrives here as a local delivery agent brings it."""

    _numbers = count(1)

    def __init__(self, server: Dovecot, username: str, path: Path) -> None:
        self.server = server
        self.username = username
        self.path = path

    def create(self) -> None:
        for folder in (self.path, *(self.path / part for part in ("tmp", "new", "cur"))):
            folder.mkdir(parents=True, exist_ok=True)
        for folder in (self.path.parent, self.path, *self.path.iterdir()):
            self.server.own(folder)

    def deliver(self, raw: bytes, received: datetime, *, stamped: bool = True) -> None:
        """`stamped`: with a Received field of that time on top, as transport leaves it."""
        name = f"{int(received.timestamp())}.M{next(self._numbers):09}P{os.getpid()}.tests"
        arriving = self.path / "tmp" / name
        arriving.write_bytes(_trace(received) + raw if stamped else raw)
        os.utime(arriving, (received.timestamp(), received.timestamp()))
        self.server.own(arriving)
        arriving.rename(self.path / "new" / name)

    def messages(self) -> list[bytes]:
        """What lies there, as it lies there."""
        return [file.read_bytes() for part in ("new", "cur") for file in sorted((self.path / part).iterdir())]

    def flags(self) -> list[str]:
        """Flags of each message, in Maildir's letters; `S` is seen."""
        files = [*(self.path / "new").iterdir(), *(self.path / "cur").iterdir()]
        return [file.name.partition(":2,")[2] for file in sorted(files)]

    def forget_identities(self) -> None:
        """As after a restore: every folder's UIDVALIDITY, and with it every UIDL, is another one from now on."""
        for file in (*self.path.rglob("dovecot-uidlist"), *self.path.rglob("dovecot.index*")):
            file.unlink()


def _trace(received: datetime) -> bytes:
    return f"Received: from sender by mail.contoso.example with LMTP; {format_datetime(received)}\r\n".encode()


def _free_ports(wanted: int) -> list[int]:
    sockets = [socket.create_server(("127.0.0.1", 0)) for _ in range(wanted)]
    try:
        return [one.getsockname()[1] for one in sockets]
    finally:
        for one in sockets:
            one.close()


def _greets(host: str, port: int) -> bool:
    try:
        with socket.create_connection((host, port), timeout=2) as one:
            return one.recv(200).startswith((b"+OK", b"* OK"))
    except OSError:
        return False

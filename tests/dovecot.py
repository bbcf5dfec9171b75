"""Dovecot, a real POP3 and IMAP server, as a plain process.

Mailboxes spring into being when somebody signs in or mail is delivered. Knows no connector.
"""

import base64
import grp
import secrets
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path

import jwt

from tests.maildir import Maildir, an_unused_address
from tests.plain_server import PlainServer, free_ports

PASSWORD = "correct-horse-battery-staple"
"""Of every mailbox. Dovecot takes what follows a space for another setting."""

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


class Dovecot(PlainServer):
    name = "Dovecot"
    program = "dovecot"
    packages = "dovecot-core dovecot-imapd dovecot-pop3d"
    greetings = (b"+OK", b"* OK")
    log_name = "dovecot.log"

    def __init__(self) -> None:
        super().__init__()
        self._key = secrets.token_bytes(32)
        self.pop3_port = self.pop3s_port = self.imap_port = self.imaps_port = 0

    @property
    def mail(self) -> Path:
        """Where the mailboxes are, each in a folder of its name."""
        return self.folder / "mail"

    def add_mailbox(self, username: str = "") -> "DovecotMailbox":
        """An empty one. Without a name it gets one that no other has."""
        mailbox = DovecotMailbox(self, username or an_unused_address())
        mailbox.create()
        return mailbox

    def token(self, username: str, lifetime: timedelta = timedelta(hours=1)) -> str:
        """A bearer token that signs in as `username`; one whose lifetime is negative has expired."""
        now = datetime.now(UTC)
        claims = {"sub": username, "iat": now - timedelta(days=1), "nbf": now - timedelta(days=1), "exp": now + lifetime}
        return jwt.encode(claims, self._key, algorithm="HS256", headers={"kid": "default"})

    def configure(self) -> None:
        self.pop3_port, self.pop3s_port, self.imap_port, self.imaps_port = free_ports(4)
        written = _CONFIGURATION.format(
            folder=self.folder,
            user=self.owner.pw_name,
            group=grp.getgrgid(self.owner.pw_gid).gr_name,
            uid=self.owner.pw_uid,
            gid=self.owner.pw_gid,
            password=PASSWORD,
            pop3=self.pop3_port,
            pop3s=self.pop3s_port,
            imap=self.imap_port,
            imaps=self.imaps_port,
        )
        (self.folder / "dovecot.conf").write_text(written, "utf-8")
        (self.folder / "oauth2.conf").write_text(_TOKENS.format(folder=self.folder), "utf-8")
        keys = self.folder / "keys" / "default" / "HS256"
        keys.mkdir(parents=True, exist_ok=True)
        (keys / "default").write_bytes(base64.b64encode(self._key))
        self.mail.mkdir(exist_ok=True)

    def arguments(self) -> list[str]:
        return ["-F", "-c", str(self.folder / "dovecot.conf")]

    @property
    def ports(self) -> Sequence[int]:
        return (self.pop3_port, self.imap_port)


class DovecotMailbox(Maildir):
    """One mailbox on disk: mail arrives here as a local delivery agent brings it."""

    def __init__(self, server: Dovecot, username: str) -> None:
        super().__init__(username, server.mail / username / "Maildir", server.own)
        self.server = server

    def forget_identities(self) -> None:
        """As after a restore: every folder's UIDVALIDITY, and with it every UIDL, is another one from now on."""
        for file in (*self.path.rglob("dovecot-uidlist"), *self.path.rglob("dovecot.index*")):
            file.unlink()

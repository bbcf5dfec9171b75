"""Exim, a real mail transfer agent, as a plain process: it takes mail by SMTP from who signed in, and delivers it to maildirs.

A mailbox is a folder named like its address, of whatever domain: its owner signs in by that address, sends as it, and other
addresses of the domains of this server are not known. A few addresses and one subject have a meaning of their own, below.
Bounces and success reports (RFC 3464) come from Exim itself. Knows no connector.
"""

import secrets
from collections.abc import Sequence
from pathlib import Path

from tests.maildir import Maildir, an_unused_address
from tests.plain_server import PlainServer, free_ports

PASSWORD = "correct-horse-battery-staple"
"""Of every mailbox."""
LARGEST_MESSAGE = 30 * 1024 * 1024
GREYLISTED = "greylisted@fabrikam.example"
"""Refused for now (451 4.7.1) when it is named."""
FULL = "full@fabrikam.example"
"""Refused for now (452 4.2.2) when it is named."""
GONE = "gone@fabrikam.example"
"""Accepted; it turns out at delivery that nobody has this mailbox, and the sender is told so."""
REFUSED_SUBJECT = "Refuse this"
"""A message of this subject is refused (550 5.7.1) when all of it is there; its recipients were accepted."""
POSTPONED_SUBJECT = "Postpone this"
"""The same for now (451 4.3.0)."""

_CONFIGURATION = r"""
exim_user = THE_USER
exim_group = THE_GROUP
never_users =
deliver_drop_privilege = true
keep_environment =
primary_hostname = mail.contoso.example
qualify_domain = contoso.example
spool_directory = THE_FOLDER/spool
log_file_path = THE_FOLDER/exim-%s.log
pid_file_path = THE_FOLDER/exim.pid
local_interfaces = 127.0.0.1
daemon_smtp_ports = THE_PORT : THE_TLS_PORT
tls_on_connect_ports = THE_TLS_PORT
tls_advertise_hosts = *
tls_certificate = THE_FOLDER/certificate.pem
tls_privatekey = THE_FOLDER/key.pem
dsn_advertise_hosts = *
smtputf8_advertise_hosts = *
message_size_limit = THE_LARGEST
smtp_accept_max_per_connection = THE_PER_CONNECTION
smtp_accept_queue_per_connection = 0
smtp_accept_max = 0
rfc1413_query_timeout = 0s
acl_smtp_mail = sender_is_allowed
acl_smtp_rcpt = recipient_is_known
acl_smtp_data = message_is_wanted

begin acl

sender_is_allowed:
  deny    !authenticated = *
          message = 530 5.7.0 Authentication required
  accept  condition = ${lookup{$sender_address}dsearch,filter=dir{THE_MAIL}{yes}{no}}
  deny    message = 5.7.60 $authenticated_id may not send as $sender_address

recipient_is_known:
  defer   condition = ${if eqi{$local_part@$domain}{THE_GREYLISTED}}
          message = 4.7.1 Greylisted, try again in 5 minutes
  defer   condition = ${if eqi{$local_part@$domain}{THE_FULL}}
          message = 452 4.2.2 The mailbox is full
  accept  verify = recipient
  deny    message = 5.1.1 Nobody here is called $local_part@$domain

message_is_wanted:
  deny    condition = ${if eq{$h_subject:}{THE_REFUSED}}
          message = 5.7.1 This message is not wanted
  defer   condition = ${if eq{$h_subject:}{THE_POSTPONED}}
          message = 4.3.0 Not now
  accept

begin routers

gone_before_delivery:
  driver = redirect
  no_verify
  condition = ${if eqi{$local_part@$domain}{THE_GONE}}
  allow_fail
  data = :fail: this mailbox has gone

known_before_delivery:
  driver = accept
  verify_only
  condition = ${if eqi{$local_part@$domain}{THE_GONE}}

mailboxes:
  driver = accept
  address_data = ${lookup{$local_part@$domain}dsearch,filter=dir{THE_MAIL}{$value}fail}
  transport = maildirs

begin transports

maildirs:
  driver = appendfile
  maildir_format
  directory = THE_MAIL/$address_data/Maildir
  use_crlf
  return_path_add
  envelope_to_add

begin authenticators

plain:
  driver = plaintext
  public_name = PLAIN
  server_prompts = :
  server_condition = ${if and{{eq{$auth3}{THE_PASSWORD}}{bool{${lookup{$auth2}dsearch,filter=dir{THE_MAIL}{yes}{no}}}}}}
  server_set_id = $auth2

login:
  driver = plaintext
  public_name = LOGIN
  server_prompts = Username:: : Password::
  server_condition = ${if and{{eq{$auth2}{THE_PASSWORD}}{bool{${lookup{$auth1}dsearch,filter=dir{THE_MAIL}{yes}{no}}}}}}
  server_set_id = $auth1

xoauth2:
  driver = plaintext
  public_name = XOAUTH2
  server_prompts = :
  server_condition = ${if match{$auth1}{\N^user=[^\x01]+\x01auth=Bearer THE_TOKEN\x01\x01$\N}}
  server_set_id = ${sg{$auth1}{\N^user=|\x01.*$\N}{}}
"""


class Exim(PlainServer):
    name = "Exim"
    program = "exim4"
    packages = "exim4-daemon-light"
    greetings = (b"220 ",)
    log_name = "exim-main.log"

    def __init__(self, mail: Path | None = None, *, per_connection: int = 10_000) -> None:
        """`mail`: where the mailboxes are, its own folder where none is named. It breaks a connection off (421) when somebody
        begins message number `per_connection` and one on it."""
        super().__init__()
        self._per_connection = per_connection
        self.mail = mail or self.folder / "mail"
        self.token = secrets.token_hex(16)
        """A bearer token that signs in as everybody who has a mailbox."""
        self.port = self.tls_port = 0

    def add_mailbox(self, address: str = "") -> Maildir:
        """An empty one. Without an address it gets one that no other has."""
        name = address or an_unused_address()
        mailbox = Maildir(name, self.mail / name / "Maildir", self.own)
        mailbox.create()
        return mailbox

    def configure(self) -> None:
        self.port, self.tls_port = free_ports(2)
        self.mail.mkdir(exist_ok=True)
        known = {
            "USER": self.owner.pw_uid,
            "GROUP": self.owner.pw_gid,
            "FOLDER": self.folder,
            "MAIL": self.mail,
            "PORT": self.port,
            "TLS_PORT": self.tls_port,
            "LARGEST": LARGEST_MESSAGE,
            "PER_CONNECTION": self._per_connection,
            "GREYLISTED": GREYLISTED,
            "FULL": FULL,
            "GONE": GONE,
            "REFUSED": REFUSED_SUBJECT,
            "POSTPONED": POSTPONED_SUBJECT,
            "PASSWORD": PASSWORD,
            "TOKEN": self.token,
        }
        macros = "\n".join(f"THE_{name} = {value}" for name, value in known.items())
        (self.folder / "exim.conf").write_text(macros + _CONFIGURATION, "utf-8")

    def arguments(self) -> list[str]:
        return ["-C", str(self.folder / "exim.conf"), "-bdf"]

    @property
    def ports(self) -> Sequence[int]:
        return (self.port,)

"""What every head works on: the store and its transport, who may sign in and send, and how this server is today."""

import ssl
from dataclasses import dataclass, field

from local.mailserver.accounts import Accounts
from local.mailserver.faults import Faults
from local.mailserver.greylist import Greylist
from local.mailserver.habits import Habit, Habits
from local.mailserver.journal import Journal
from local.mailserver.limits import Limits
from local.mailserver.model import MailStore
from local.mailserver.rights import Rights
from local.mailserver.transport import Transport


@dataclass(slots=True)
class Backend:
    store: MailStore
    accounts: Accounts
    faults: Faults
    requests: Journal
    habits: Habits
    transport: Transport
    greylist: Greylist = field(default_factory=Greylist)
    rights: Rights = field(default_factory=Rights)
    limits: Limits = field(default_factory=Limits)
    tls: ssl.SSLContext | None = None
    """With which connections are protected; None: this server has no certificate."""

    def may_sign_in(self, *, is_secure: bool) -> bool:
        return is_secure or Habit.CLEARTEXT_REFUSED not in self.habits

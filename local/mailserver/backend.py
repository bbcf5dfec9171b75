"""What every head of lines works on: the store, who may sign in, and how this server is today."""

import ssl
from dataclasses import dataclass

from local.mailserver.accounts import Accounts
from local.mailserver.faults import Faults
from local.mailserver.habits import Habit, Habits
from local.mailserver.journal import Journal
from local.mailserver.model import MailStore


@dataclass(slots=True)
class Backend:
    store: MailStore
    accounts: Accounts
    faults: Faults
    requests: Journal
    habits: Habits
    tls: ssl.SSLContext | None = None
    """With which connections are protected; None: this server has no certificate."""

    def may_sign_in(self, *, is_secure: bool) -> bool:
        return is_secure or Habit.CLEARTEXT_REFUSED not in self.habits

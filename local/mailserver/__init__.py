"""One mail server in memory, several protocol heads: what stands in for Exchange on one machine. Never deployed."""

from local.mailserver.faults import FaultKind
from local.mailserver.habits import Habit
from local.mailserver.remote import MailServerControl
from local.mailserver.server import MailServer

__all__ = ["FaultKind", "Habit", "MailServer", "MailServerControl"]

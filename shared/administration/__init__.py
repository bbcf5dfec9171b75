"""What configuring and looking does: one facade over the use cases, built once per worker by the composition root.

Knows the ports and nothing of HTTP, storage or mail servers.
"""

from shared.administration.activities import Activities
from shared.administration.address_book import AddressBookAdministration
from shared.administration.explanation import Explanations
from shared.administration.loading import Loads
from shared.administration.mailboxes import MailboxAdministration
from shared.administration.operations import Operations
from shared.administration.profiles import ProfileAdministration
from shared.administration.rules import Rules
from shared.administration.users import UserAdministration
from shared.ports import Clock, Stores

__all__ = ["Administration", "Rules"]


class Administration:
    """Every use case of the API, by what it is about."""

    def __init__(self, stores: Stores, clock: Clock, rules: Rules) -> None:
        self.profiles = ProfileAdministration(stores, clock, rules)
        self.users = UserAdministration(stores, clock)
        self.mailboxes = MailboxAdministration(stores, clock)
        self.address_book = AddressBookAdministration(stores, clock)
        self.loads = Loads(stores, clock)
        self.activities = Activities(stores)
        self.operations = Operations(stores)
        self.explanations = Explanations(stores, clock)

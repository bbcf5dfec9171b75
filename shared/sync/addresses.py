"""Who has an address, remembered for one run: every address is looked up once."""

from collections.abc import Collection, Sequence

from shared.domain.configuration import AddressMatch, Matches
from shared.ports import Addresses


class KnownAddresses:
    """The address book as one run sees it."""

    def __init__(self, addresses: Addresses) -> None:
        self._addresses = addresses
        self._known: dict[str, Sequence[AddressMatch]] = {}

    def find(self, addresses: Collection[str]) -> Matches:
        """Which records have these normalised addresses; asks the store only for those not asked before."""
        unknown = sorted({address for address in addresses if address not in self._known})
        if unknown:
            self._known |= self._addresses.find(unknown)
        return {address: self._known.get(address, ()) for address in addresses}

"""The gates of passwords, kept for the life of the worker: a refused one is not tried again by the next run or mailbox."""

from dataclasses import dataclass, field
from threading import Lock

from shared.connectors.gate import Gate
from shared.connectors.internet.connection import Server
from shared.connectors.internet.sign_in import Password
from shared.domain.ids import short_hash

MOST_GATES = 10_000
"""Beyond so many the one asked for longest ago is forgotten: at worst its password is tried once more."""

type _Who = tuple[str, int, str, str]


@dataclass(slots=True)
class Gates:
    """One gate for each password of a user name at a server. Thread-safe."""

    _gates: dict[_Who, Gate] = field(default_factory=dict)
    _lock: Lock = field(default_factory=Lock)

    def at(self, server: Server, sign_in: Password) -> Gate:
        """The one to sign in through. Another password has another gate, so a changed one is tried at once."""
        who = server.host, server.port, sign_in.username, short_hash(sign_in.password)
        with self._lock:
            gate = self._gates.pop(who, None) or Gate(profile_wide=sign_in.profile_wide)
            self._gates[who] = gate
            if len(self._gates) > MOST_GATES:
                del self._gates[next(iter(self._gates))]
            return gate

"""A wire to the Table service that fails on demand."""

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from shared.stores.account import Account
from shared.stores.tables.fast import FastGateway
from shared.stores.tables.sdk import SdkGateway
from shared.stores.tables.transport import Connections, NoReply, NotSent, Reply

type Fault = Callable[[Callable[[], Reply]], Reply]


@dataclass
class Wire:
    """Sends for real, except where a fault waits: the next request that `matches` meets it."""

    real: Connections
    matches: str = ""
    faults: list[Fault] = field(default_factory=list)
    sent: list[str] = field(default_factory=list)
    slept: list[float] = field(default_factory=list)

    def __call__(self, method: str, url: str, headers: Mapping[str, str], body: bytes | None) -> Reply:
        self.sent.append(f"{method} {url}")
        if self.faults and self.matches in f"{method} {url} {body!r}":
            return self.faults.pop(0)(lambda: self.real(method, url, headers, body))
        return self.real(method, url, headers, body)

    def fail(self, matches: str, *faults: Fault) -> None:
        self.matches, self.faults = matches, list(faults)
        self.sent.clear()
        self.slept.clear()


def never_sent(_: Callable[[], Reply]) -> Reply:
    raise NotSent("refused")


def lost_before(_: Callable[[], Reply]) -> Reply:
    raise NoReply("reset")


def lost_after(real: Callable[[], Reply]) -> Reply:
    real()
    raise NoReply("reset")


def answering(status: int, code: str = "", **headers: str) -> Fault:
    body = json.dumps({"odata.error": {"code": code, "message": {"lang": "en", "value": "no"}}}).encode()
    return lambda _: Reply(status, {name.replace("_", "-"): value for name, value in headers.items()}, body)


def over(account: Account, wire: Wire) -> FastGateway:
    """Nobody waits."""
    return FastGateway(account, SdkGateway(account).create_table, wire, wire.slept.append)

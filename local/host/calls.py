"""What goes into a function and what comes out of it, free of the worker library's own types."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class Binding:
    """One binding of function.json; `fields` has its other properties."""

    name: str
    type: str
    fields: Mapping[str, object]

    def text(self, name: str, default: str = "") -> str:
        value = self.fields.get(name, default)
        return default if value is None else str(value)


@dataclass(frozen=True, slots=True)
class LoadedFunction:
    id: str
    name: str
    trigger: Binding
    outputs: Mapping[str, Binding]


@dataclass(frozen=True, slots=True)
class HttpCall:
    method: str
    url: str
    headers: Mapping[str, str]
    query: Mapping[str, str]
    route: Mapping[str, str]
    body: bytes


@dataclass(frozen=True, slots=True)
class QueueCall:
    body: str | bytes
    metadata: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class TimerCall:
    json: str


type Call = HttpCall | QueueCall | TimerCall


@dataclass(frozen=True, slots=True)
class HttpReply:
    status: int
    headers: Sequence[tuple[str, str]] = ()
    body: bytes = b""


@dataclass(frozen=True, slots=True)
class Outcome:
    """`error` and `traceback` are the worker's own words; None where the function returned."""

    error: str | None = None
    traceback: str = ""
    reply: HttpReply | None = None
    messages: Mapping[str, Sequence[str | bytes]] = field(default_factory=dict)
    """What the function put into its queue outputs, by the output's name."""

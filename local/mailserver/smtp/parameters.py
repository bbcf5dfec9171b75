"""Arguments of MAIL and RCPT: a path and parameters (RFC 5321 section 4.1.2), those of delivery reports too (RFC 3461)."""

import re
from dataclasses import dataclass

from local.mailserver.transport import Notice

_PATH = re.compile(
    r"\A(?P<keyword>FROM|TO):[ ]*<(?:@[^:>]*:)?(?P<address>[^<>\x00-\x1f]*)>(?:[ ]+(?P<parameters>.*))?\Z", re.IGNORECASE
)
_WANTED = frozenset({"SUCCESS", "FAILURE", "DELAY"})


@dataclass(frozen=True, slots=True)
class Path:
    address: str
    parameters: dict[str, str]
    """Values by keyword in upper case."""

    @property
    def written(self) -> str:
        """The parameters, as they were sent."""
        return " ".join(f"{name}={value}" if value else name for name, value in self.parameters.items())


def path_of(argument: str, keyword: str) -> Path:
    """Raises ValueError."""
    match = _PATH.match(argument.strip())
    if match is None or match["keyword"].upper() != keyword:
        raise ValueError(argument)
    parameters: dict[str, str] = {}
    for each in (match["parameters"] or "").split():
        name, _, value = each.partition("=")
        parameters[name.upper()] = value
    return Path(match["address"].strip(), parameters)


def notice_of(path: Path) -> Notice:
    """What RCPT says of reports. Raises ValueError."""
    original = path.parameters.get("ORCPT", "")
    if "NOTIFY" not in path.parameters:
        return Notice(original=original)
    when = frozenset(path.parameters["NOTIFY"].upper().split(","))
    if not (when == {"NEVER"} or (when and when <= _WANTED)):
        raise ValueError(path.parameters["NOTIFY"])
    return Notice(when, original)

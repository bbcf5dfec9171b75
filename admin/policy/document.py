"""The file of a policy: read into records, written from records.

    settings: {...}
    profiles: {id: {...}}
    users: {id: {..., mailbox: {..., tracking_rules: [{folder_id: ..., ...}]}}}
    queues: as users
    forward_mailboxes: {id: {..., tracking_rules: [...]}}

Every section may be left out, and so may every field: what the file does not name, it does not touch.
"""

from collections.abc import Hashable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import yaml

from admin.connection import Fields, Json
from admin.failures import WrongUsage
from admin.policy.description import plain_json
from admin.policy.kinds import DEFAULT_PROFILE, IDENTIFIED, Key, Kind

_SECTIONS = {kind.section: kind for kind in (Kind.SETTINGS, *IDENTIFIED)}
OF_ITS_OWNER = ("name", "address")
"""Fields of a mailbox that its user or queue gives it."""


class _Loader(yaml.SafeLoader):
    """YAML where a name that stands twice in a mapping is an error; PyYAML would keep the last one in silence."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Hashable, Json]:
        names = [name.value for name, _ in node.value if isinstance(name, yaml.ScalarNode) and name.value != "<<"]
        twice = next((name for place, name in enumerate(names) if name in names[:place]), None)
        if twice is not None:
            raise yaml.constructor.ConstructorError(None, None, f"{twice} stands there twice", node.start_mark)
        return super().construct_mapping(node, deep)


@dataclass(frozen=True, slots=True)
class Wanted:
    """A record as the file wants it."""

    key: Key
    fields: Fields


@dataclass(frozen=True, slots=True)
class Policy:
    records: tuple[Wanted, ...]
    """In the order in which they are written."""
    complete: frozenset[tuple[Kind, Key | None]]
    """Lists that the file has: what is on the server and in none of them is known to be missing. With the key of what they
    stand under."""


def read(path: Path) -> Policy:
    """Raises WrongUsage, naming the place."""
    try:
        content = yaml.load(path.read_bytes(), _Loader)  # noqa: S506 - a SafeLoader
    except OSError as error:
        raise WrongUsage(f"{path}: {error.strerror}", "Name a file that can be read.") from error
    except (yaml.YAMLError, ValueError, RecursionError) as error:
        raise WrongUsage(f"{path} is no YAML: {error}", "Correct the file at the line that is named.") from error
    return policy_of(content)


def policy_of(content: Json) -> Policy:
    """Raises WrongUsage, naming the place."""
    sections = _mapping("the file", content)
    for name in sections:
        if name not in _SECTIONS:
            raise WrongUsage(f"{name}: there is no such section", f"The sections are {', '.join(_SECTIONS)}.")
    reading = _Reading(sections)
    records = sorted(reading.records(), key=lambda wanted: _order(wanted.key))
    return Policy(tuple(records), frozenset(reading.complete))


def write(content: Mapping[str, Json]) -> str:
    return yaml.safe_dump(dict(content), sort_keys=False, allow_unicode=True, width=120)


def _order(key: Key) -> int:
    """Settings come first, because they allow what follows; the default profile comes after the profiles."""
    return list(Kind).index(Kind.PROFILE) if key.step else list(Kind).index(key.kind)


class _Reading:
    def __init__(self, sections: Mapping[str, Json]) -> None:
        self._sections = sections
        self.complete: set[tuple[Kind, Key | None]] = set()

    def records(self) -> Iterator[Wanted]:
        for kind in IDENTIFIED:
            yield from self._identified(kind)
        settings = _mapping("settings", self._sections.get("settings"))
        first = {name: value for name, value in settings.items() if name != DEFAULT_PROFILE}
        if first:
            yield Wanted(Key(Kind.SETTINGS), first)
        if DEFAULT_PROFILE in settings:
            yield Wanted(Key(Kind.SETTINGS, step=DEFAULT_PROFILE), {DEFAULT_PROFILE: settings[DEFAULT_PROFILE]})

    def _identified(self, kind: Kind) -> Iterator[Wanted]:
        if kind.section not in self._sections:
            return
        self.complete.add((kind, None))
        for id_, given in _mapping(kind.section, self._sections[kind.section]).items():
            key = Key(kind, id_)
            where = f"{kind.section}/{id_}"
            fields = dict(_mapping(where, given))
            if kind.owns_mailbox:
                mailbox = fields.pop(Kind.MAILBOX.section, None)
                yield Wanted(key, fields)
                yield from self._mailbox(f"{where}/mailbox", Key(Kind.MAILBOX, of=key), mailbox)
            else:
                rules = fields.pop(Kind.RULE.section, None) if kind is Kind.FORWARD_MAILBOX else None
                yield Wanted(key, fields)
                yield from self._rules(where, key, rules)

    def _mailbox(self, where: str, key: Key, given: Json) -> Iterator[Wanted]:
        fields = dict(_mapping(where, given))
        rules = fields.pop(Kind.RULE.section, None)
        for name in OF_ITS_OWNER:
            if name in fields:
                raise WrongUsage(f"{where}/{name}: a mailbox has the {name} of its owner", f"Give the {name} one level above.")
        if fields:
            yield Wanted(key, fields)
        yield from self._rules(where, key, rules)

    def _rules(self, where: str, mailbox: Key, given: Json) -> Iterator[Wanted]:
        if given is None:
            return
        where = f"{where}/{Kind.RULE.section}"
        if not isinstance(given, list):
            raise WrongUsage(f"{where} is no list", "Write one entry that begins with - per folder.")
        self.complete.add((Kind.RULE, mailbox))
        for number, each in enumerate(given):
            fields = dict(_mapping(f"{where}/{number}", each))
            folder_id = fields.pop("folder_id", None)
            if not isinstance(folder_id, str) or not folder_id:
                raise WrongUsage(f"{where}/{number} names no folder", "Add folder_id, a text.")
            yield Wanted(Key(Kind.RULE, folder_id, of=mailbox), fields)


def _mapping(where: str, value: Json) -> Mapping[str, Json]:
    """Nothing after a colon counts as an empty one."""
    value = {} if value is None else value
    if not isinstance(value, dict):
        raise WrongUsage(f"{where} is no mapping", "Write fields as `name: value`, one per line.")
    for name in value:
        if not isinstance(name, str):  # YAML reads no as false, and 007 as 7
            raise WrongUsage(f"{where}: the name that YAML reads as {name} is no text", "Put the name in quotes.")
    return {name: plain_json(each) for name, each in value.items()}

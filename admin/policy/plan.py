"""What applying a policy would do, as data. Pure: decides from the file, what the server shows, and its description.

A field that the file leaves out is left alone. A secret cannot be read back, so one that is set already is no difference; it is
sent all the same when the policy is applied, and the server, which can compare, writes nothing where it is the same.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from enum import StrEnum

from admin.connection import Fields, Json
from admin.failures import FieldFailure, WrongUsage
from admin.policy.description import Description, Field
from admin.policy.document import Policy, Wanted
from admin.policy.kinds import Key
from admin.policy.secrets import check_reference, told

type Present = Mapping[Key, Fields]
"""What the server shows of each record that it has."""


class Deed(StrEnum):
    CREATE = "create"
    CHANGE = "change"
    COMPARE = "compare"
    """Only secrets that are set already: the server finds out whether they changed."""
    DELETE = "delete"


@dataclass(frozen=True, slots=True)
class Difference:
    field: str
    """Path within the record, joined by slashes."""
    old: Json
    new: Json
    in_words: bool = False
    """Old and new are words about a secret."""


@dataclass(frozen=True, slots=True)
class Action:
    deed: Deed
    key: Key
    differences: tuple[Difference, ...] = ()
    wanted: Fields | None = None
    """None of what is deleted."""


def plan(policy: Policy, present: Present, description: Description, *, prune: bool = False) -> list[Action]:
    """In the order in which it is done: what is named before what names it, deletions the other way round.

    Raises WrongUsage for a field that the server does not have, or a secret that stands in the file.
    """
    check(policy, description)
    found = (action_for(wanted, present.get(wanted.key), description) for wanted in policy.records)
    actions = [action for action in found if action is not None]
    return actions + (list(_deletions(policy, present)) if prune else [])


def check(policy: Policy, description: Description) -> None:
    schema = description.record
    errors = [each for wanted in policy.records for each in _errors(str(wanted.key), wanted.fields, schema(wanted.key.kind))]
    if errors:
        raise WrongUsage("the file has fields that cannot be set", "Correct them.", errors)


def action_for(wanted: Wanted, shown: Fields | None, description: Description) -> Action | None:
    """What brings a record from what is shown to what is wanted; None where nothing has to be done."""
    schema = description.record(wanted.key.kind)
    differences = tuple(_differences(schema, wanted.fields, shown or {}))
    if shown is None:
        return Action(Deed.CREATE if wanted.key.kind.is_created else Deed.CHANGE, wanted.key, differences, wanted.fields)
    if differences:
        return Action(Deed.CHANGE, wanted.key, differences, wanted.fields)
    if any(value is not None for _, value in secrets_in(schema, wanted.fields)):
        return Action(Deed.COMPARE, wanted.key, (), wanted.fields)
    return None


def unlisted(policy: Policy, present: Present) -> list[Key]:
    """What the server has and the file's lists do not name."""
    named = {wanted.key for wanted in policy.records} | {key for wanted in policy.records if (key := wanted.key.of)}
    return [key for key in present if (key.kind, key.of) in policy.complete and key not in named]


def secrets_in(schema: Field, given: Fields, path: str = "") -> Iterator[tuple[str, Json]]:
    """The references to secrets, by path."""
    for name, field in schema.fields.items():
        if name in given and field.is_secret:
            yield f"{path}{name}", given[name]
        elif name in given and isinstance(given[name], dict):
            yield from secrets_in(field, given[name], f"{path}{name}/")


def _deletions(policy: Policy, present: Present) -> Iterator[Action]:
    for key in reversed(unlisted(policy, present)):
        yield Action(Deed.DELETE, key)


def _errors(where: str, given: Fields, schema: Field) -> Iterator[FieldFailure]:
    known = schema.fields
    for name, value in given.items():
        pointer = f"{where}/{name}"
        if name not in known:
            yield FieldFailure(pointer, "there is no such field", f"The fields are {', '.join(known)}.")
        elif known[name].is_secret:
            try:
                check_reference(pointer, value)
            except WrongUsage as error:
                yield FieldFailure(pointer, "is no reference to a secret", error.remedy)
        elif isinstance(value, dict) and known[name].fields:
            yield from _errors(pointer, value, known[name])


def _differences(schema: Field, given: Fields, shown: Fields, path: str = "") -> Iterator[Difference]:
    known = schema.fields
    for name, value in given.items():
        field, place = known[name], f"{path}{name}"
        if field.is_secret:
            yield from _secret_difference(place, value, is_set=bool(shown.get(f"{name}_is_set")))
        elif isinstance(value, dict) and field.fields:
            yield from _differences(field, value, shown.get(name) or {}, f"{place}/")
        elif (new := field.canonical(value)) != (old := field.canonical(shown.get(name))):
            yield Difference(place, old, new)


def _secret_difference(place: str, reference: Json, *, is_set: bool) -> Iterator[Difference]:
    if is_set and reference is None:
        yield Difference(place, "set", "removed", in_words=True)
    elif not is_set and reference is not None:
        yield Difference(place, "not set", told(reference), in_words=True)

"""The fields of the domain's dataclasses: types, defaults, ranges, and the texts that stand below them.

One definition of each record; schemas, merging and documentation are derived from it through here.
"""

# ruff: noqa: ANN401
# Annotations that are read at run time have no narrower type than Any.

import ast
import inspect
import re
import textwrap
from collections.abc import Mapping, Sequence
from dataclasses import MISSING, Field, fields, is_dataclass
from datetime import timedelta
from enum import IntEnum
from functools import cache
from itertools import pairwise
from types import NoneType
from typing import Any, NamedTuple, get_args, get_type_hints

from shared.domain.configuration import SecretRef
from shared.domain.ranges import RANGES, Range


class RecordField(NamedTuple):
    name: str
    kind: Any
    """Its annotation."""
    text: str | None
    """What stands below it in the definition."""
    limits: Range | None
    field: Field[Any]

    @property
    def is_required(self) -> bool:
        return self.field.default is MISSING and self.field.default_factory is MISSING

    @property
    def default(self) -> Any:
        """Raises TypeError where it has none."""
        if self.field.default is not MISSING:
            return self.field.default
        if self.field.default_factory is MISSING:
            raise TypeError(f"{self.name} has no default")
        return self.field.default_factory()

    @property
    def is_secret(self) -> bool:
        return self.kind in (SecretRef, SecretRef | None)

    @property
    def nested(self) -> type | None:
        """The dataclass that it holds, or may hold; secrets aside."""
        kinds = () if self.is_secret else (self.kind, *get_args(self.kind))
        return next((kind for kind in kinds if isinstance(kind, type) and is_dataclass(kind)), None)

    @property
    def is_optional(self) -> bool:
        return NoneType in get_args(self.kind)

    @property
    def description(self) -> str | None:
        """Its text in words of JSON, the integers of its choice, and its unit."""
        integers = [f"Integers: {_integers(choice)}." for choice in self.choices]
        seconds = ["In seconds."] if timedelta in (self.kind, *get_args(self.kind)) else []
        return " ".join(part for part in (as_json(self.text or ""), *integers, *seconds) if part) or None

    @property
    def choices(self) -> Sequence[type[IntEnum]]:
        kinds = (self.kind, *get_args(self.kind))
        return [kind for kind in kinds if isinstance(kind, type) and issubclass(kind, IntEnum)]


def _integers(choice: type[IntEnum]) -> str:
    return ", ".join(f"{member.name.lower()} {member.value}" for member in choice)


@cache
def record_fields(record: type) -> Sequence[RecordField]:
    """The fields of a dataclass, in order."""
    hints, texts, limits = get_type_hints(record), _texts(record), RANGES.get(record, {})
    return tuple(
        RecordField(each.name, hints[each.name], texts.get(each.name), limits.get(each.name), each) for each in fields(record)
    )


def _texts(record: type) -> Mapping[str, str]:
    """The texts that stand below the fields of a dataclass."""
    try:
        definition = ast.parse(textwrap.dedent(inspect.getsource(record))).body[0]
    except (OSError, TypeError):
        return {}  # a deployment without sources has schemas without descriptions
    body = definition.body if isinstance(definition, ast.ClassDef) else []
    return {
        above.target.id: inspect.cleandoc(below.value.value)
        for above, below in pairwise(body)
        if isinstance(above, ast.AnnAssign)
        and isinstance(above.target, ast.Name)
        and isinstance(below, ast.Expr)
        and isinstance(below.value, ast.Constant)
        and isinstance(below.value.value, str)
    }


def as_json(text: str) -> str:
    """The definitions speak Python, the reader writes JSON."""
    return re.sub(r"\b(?:None|True|False)\b", lambda word: {"None": "null"}.get(word[0], word[0].lower()), text)

"""What is generated from the definitions is current, and complete."""

import json
from typing import Any

import pytest

from functions.api import __main__ as description
from functions.api.documentation import PAGE, RECORDS, page
from functions.api.record_fields import record_fields
from shared.domain.ranges import RANGES, Characters, Durations, Entries, Numbers, Range


def test_the_page_of_the_configuration_is_current() -> None:
    assert PAGE.read_text() == page(), "write it anew: python -m functions.api.documentation"


def test_every_field_of_every_record_says_its_effect() -> None:
    for record in RECORDS:
        for field in record_fields(record.definition):
            assert field.text, (record.definition.__name__, field.name)


def test_every_range_is_one_of_a_field() -> None:
    for record, ranges in RANGES.items():
        assert ranges.keys() <= {field.name for field in record_fields(record)}


def test_defaults_are_within_their_ranges() -> None:
    for record in RANGES:
        for field in record_fields(record):
            if field.limits is not None and not field.is_required and field.default is not None:
                assert is_within(field.default, field.limits), (record.__name__, field.name)


def is_within(value: Any, limits: Range) -> bool:
    match limits:
        case Numbers(low, high):
            return bool(low <= value <= high)
        case Durations(low, high):
            return bool(low <= value <= high)
        case Characters(low, high) | Entries(low, high):
            return low <= len(value) <= high


def test_the_module_prints_the_description(capsys: pytest.CaptureFixture[str]) -> None:
    description.main()

    assert json.loads(capsys.readouterr().out)["info"]["title"] == "Sidesync"

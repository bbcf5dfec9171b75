"""Restriction elements as tests of what is searched: items, or folders ([MS-OXWSSRCH] 2.2.4). Knows no property itself."""

import operator
from collections.abc import Callable, Mapping
from datetime import datetime

from lxml import etree

from local.mailserver.ews.call import Call
from local.mailserver.ews.envelope import NAMES
from local.mailserver.ews.errors import ResponseError

type Value = str | int | bool | datetime
type Values[T] = Mapping[str, Callable[[T], Value | None]]
"""What can be searched by, by field URI."""

_COMPARISONS: dict[str, Callable[[Value, Value], bool]] = {
    "IsEqualTo": operator.eq,
    "IsNotEqualTo": operator.ne,
    "IsGreaterThan": operator.gt,
    "IsGreaterThanOrEqualTo": operator.ge,
    "IsLessThan": operator.lt,
    "IsLessThanOrEqualTo": operator.le,
}


type Named[T] = Callable[[etree._Element], Callable[[T], Value | None]]  # noqa: SLF001  # the name that lxml gives its type
"""What an element means that names a property otherwise than by a field URI."""


def restriction_of[T](call: Call, values: Values[T], extended: Named[T] | None = None) -> Callable[[T], bool]:
    """The test that the request's restriction is; without one everything passes. Raises ResponseError, SoapFault."""
    restriction = call.find("m:Restriction")
    return _test(restriction[0], values, extended) if restriction is not None and len(restriction) else lambda _: True


def value_of[T](element: etree._Element, values: Values[T], extended: Named[T] | None = None) -> Callable[[T], Value | None]:
    """The property that an element names. Raises ResponseError, SoapFault."""
    own = element.find("t:ExtendedFieldURI", NAMES)
    if own is not None and extended is not None:
        return extended(own)
    path = element.find("t:FieldURI", NAMES)
    uri = path.get("FieldURI", "") if path is not None else ""
    if uri not in values:
        raise ResponseError("ErrorUnsupportedPathForQuery", f"The property {uri} cannot be searched here.")
    return values[uri]


def _test[T](element: etree._Element, values: Values[T], extended: Named[T] | None) -> Callable[[T], bool]:
    name = etree.QName(element).localname
    if name in ("And", "Or", "Not"):
        tests = [_test(child, values, extended) for child in element]
        if name == "Not":
            return lambda found: not tests[0](found)
        combine = all if name == "And" else any
        return lambda found: combine(test(found) for test in tests)
    value = value_of(element, values, extended)
    if name == "Exists":
        return lambda found: value(found) is not None
    if name == "Contains":
        return _contains(element, value)
    if name in _COMPARISONS:
        return _comparison(element, value, _COMPARISONS[name])
    raise ResponseError("ErrorUnsupportedPathForQuery", f"The restriction {name} is not served.")


def _comparison[T](
    element: etree._Element, value_of: Callable[[T], Value | None], compare: Callable[[Value, Value], bool]
) -> Callable[[T], bool]:
    constant = element.find("t:FieldURIOrConstant/t:Constant", NAMES)
    if constant is None:
        raise ResponseError("ErrorUnsupportedPathForQuery", "Comparisons are with constants.")
    text = constant.get("Value", "")

    def test(found: T) -> bool:
        value = value_of(found)
        return value is not None and compare(_folded(value), _folded(_like(value, text)))

    return test


def _folded(value: Value) -> Value:
    """The store compares text without regard to case."""
    return value.lower() if isinstance(value, str) else value


def _like(value: Value, text: str) -> Value:
    """The constant as what it is compared with."""
    try:
        if isinstance(value, bool):
            return text in ("true", "1")
        if isinstance(value, int):
            return int(text)
        return datetime.fromisoformat(text) if isinstance(value, datetime) else text
    except ValueError:
        raise ResponseError("ErrorInvalidValueForProperty", f"'{text}' is no value of this property.") from None


def _contains[T](element: etree._Element, value_of: Callable[[T], Value | None]) -> Callable[[T], bool]:
    constant = element.find("t:Constant", NAMES)
    wanted = constant.get("Value", "") if constant is not None else ""
    ignores_case = element.get("ContainmentComparison", "Exact").startswith("IgnoreCase")
    mode = element.get("ContainmentMode", "Substring")

    def test(found: T) -> bool:
        value, part = str(value_of(found) or ""), wanted
        if ignores_case:
            value, part = value.lower(), part.lower()
        return {"FullString": value == part, "Prefixed": value.startswith(part)}.get(mode, part in value)

    return test

"""FindItem: the items of folders, filtered, sorted, in pages ([MS-OXWSSRCH]), by the fields that mail programs filter by."""

import operator
from collections.abc import Callable
from datetime import datetime
from typing import Any

from lxml import etree

from local.mailserver.ews import envelope
from local.mailserver.ews.call import Call
from local.mailserver.ews.envelope import NAMES
from local.mailserver.ews.errors import ResponseError
from local.mailserver.ews.shapes import Shape, read_shape
from local.mailserver.model import Item
from local.mailserver.web import Stream

type Value = str | int | bool | datetime
type Test = Callable[[Item], bool]

_VALUES: dict[str, Callable[[Item], Value | None]] = {
    "item:DateTimeReceived": lambda item: item.received,
    "item:DateTimeSent": lambda item: item.message.sent,
    "item:DateTimeCreated": lambda item: item.created,
    "item:HasAttachments": lambda item: bool(item.message.attachments),
    "item:ItemClass": lambda item: item.item_class,
    "item:Size": lambda item: item.message.size,
    "item:Subject": lambda item: item.message.subject,
    "message:InternetMessageId": lambda item: item.message.message_id,
    "message:IsRead": lambda item: item.is_read,
}
_COMPARISONS: dict[str, Callable[[Value, Value], bool]] = {
    "IsEqualTo": operator.eq,
    "IsNotEqualTo": operator.ne,
    "IsGreaterThan": operator.gt,
    "IsGreaterThanOrEqualTo": operator.ge,
    "IsLessThan": operator.lt,
    "IsLessThanOrEqualTo": operator.le,
}


def find_item(call: Call) -> list[bytes | Stream]:
    shape = read_shape(call.required("m:ItemShape"), in_list=True)
    out: list[bytes | Stream] = []
    for parent in call.required("m:ParentFolderIds"):
        try:
            content = _found(call, parent, shape)
        except ResponseError as error:
            call.codes.append(error.code)
            out += envelope.failure(call.operation, error)
        else:
            call.codes.append("NoError")
            out += envelope.success(call.operation, *content)
    return out


def _found(call: Call, parent: etree._Element, shape: Shape) -> list[bytes | Stream]:
    folder = call.folder(parent)
    with folder.mailbox.lock:
        test = _test_of(call)
        matching = [item for item in folder.newest_first() if test(item)]
        _sort(call, matching)
        view = call.find("m:IndexedPageItemView")
        offset = int(view.get("Offset", "0")) if view is not None else 0
        limit = int(view.get("MaxEntriesReturned", "1000")) if view is not None else 1000
        page = matching[offset : offset + limit]
        end = offset + len(page)
        out: list[bytes | Stream] = [
            f'<m:RootFolder IndexedPagingOffset="{end}" TotalItemsInView="{len(matching)}"'
            f' IncludesLastItemInRange="{"true" if end >= len(matching) else "false"}"><t:Items>'.encode()
        ]
        for item in page:
            shape.render(item, out)
    return [*out, b"</t:Items></m:RootFolder>"]


def _sort(call: Call, items: list[Item]) -> None:
    """By the last order first: sorting is stable. What lacks the property goes last."""
    for order in reversed(call.element.findall("m:SortOrder/t:FieldOrder", NAMES)):
        value_of = _value_of(order)
        keyed = [(value_of(item), item) for item in items]
        present = [(key, item) for key, item in keyed if key is not None]
        present.sort(key=_first, reverse=order.get("Order") == "Descending")
        items[:] = [item for _, item in present] + [item for key, item in keyed if key is None]


def _first(pair: tuple[Any, Item]) -> Any:  # noqa: ANN401  # one field has values of one type, and they can be compared
    return pair[0]


def _test_of(call: Call) -> Test:
    if call.find("m:QueryString") is not None:
        raise ResponseError("ErrorInvalidOperation", "Searches by query string are not served.")
    restriction = call.find("m:Restriction")
    return _test(restriction[0]) if restriction is not None and len(restriction) else lambda _: True


def _test(element: etree._Element) -> Test:
    name = etree.QName(element).localname
    if name in ("And", "Or", "Not"):
        tests = [_test(child) for child in element]
        if name == "Not":
            return lambda item: not tests[0](item)
        combine = all if name == "And" else any
        return lambda item: combine(test(item) for test in tests)
    value_of = _value_of(element)
    if name == "Exists":
        return lambda item: value_of(item) is not None
    if name == "Contains":
        return _contains(element, value_of)
    if name in _COMPARISONS:
        return _comparison(element, value_of, _COMPARISONS[name])
    raise ResponseError("ErrorUnsupportedPathForQuery", f"The restriction {name} is not served.")


def _value_of(element: etree._Element) -> Callable[[Item], Value | None]:
    path = element.find("t:FieldURI", NAMES)
    uri = path.get("FieldURI", "") if path is not None else ""
    if uri not in _VALUES:
        raise ResponseError("ErrorUnsupportedPathForQuery", f"The property {uri} cannot be searched here.")
    return _VALUES[uri]


def _comparison(
    element: etree._Element, value_of: Callable[[Item], Value | None], compare: Callable[[Value, Value], bool]
) -> Test:
    constant = element.find("t:FieldURIOrConstant/t:Constant", NAMES)
    if constant is None:
        raise ResponseError("ErrorUnsupportedPathForQuery", "Comparisons are with constants.")
    text = constant.get("Value", "")

    def test(item: Item) -> bool:
        value = value_of(item)
        return value is not None and compare(value, _like(value, text))

    return test


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


def _contains(element: etree._Element, value_of: Callable[[Item], Value | None]) -> Test:
    constant = element.find("t:Constant", NAMES)
    wanted = constant.get("Value", "") if constant is not None else ""
    ignores_case = element.get("ContainmentComparison", "Exact").startswith("IgnoreCase")
    mode = element.get("ContainmentMode", "Substring")

    def test(item: Item) -> bool:
        value, part = str(value_of(item) or ""), wanted
        if ignores_case:
            value, part = value.lower(), part.lower()
        return {"FullString": value == part, "Prefixed": value.startswith(part)}.get(mode, part in value)

    return test

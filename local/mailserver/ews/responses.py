"""One response message for each thing that a request names, in order; an error of one leaves the others alone."""

from collections.abc import Callable

from lxml import etree

from local.mailserver.ews import envelope
from local.mailserver.ews.call import Call
from local.mailserver.ews.errors import ResponseError
from local.mailserver.web import Stream


def each(
    call: Call, things: etree._Element, act: Callable[[etree._Element], list[bytes | Stream]], rest: bytes = b""
) -> list[bytes | Stream]:
    """`act` makes the content of a response message; `rest` is what an error has instead."""
    out: list[bytes | Stream] = []
    for thing in things:
        try:
            content = act(thing)
        except ResponseError as error:
            call.codes.append(error.code)
            out += envelope.failure(call.operation, error, rest)
        else:
            call.codes.append("NoError")
            out += envelope.success(call.operation, *content)
    return out

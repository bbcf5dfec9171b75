"""The configuration of the server as the content of a policy: every field that can be set, and no secret."""

from collections.abc import Mapping

from admin.connection import Fields, Json
from admin.policy.document import OF_ITS_OWNER
from admin.policy.kinds import IDENTIFIED, Key, Kind
from admin.policy.plan import Present
from admin.policy.server import Server, settable


def exported(server: Server) -> Mapping[str, Json]:
    present = server.everything()
    content: Fields = {Kind.SETTINGS.section: _fields(server, Key(Kind.SETTINGS), present)}
    for kind in IDENTIFIED:
        keys = sorted((key for key in present if key.kind is kind), key=lambda key: key.id)
        content[kind.section] = {key.id: _whole(server, key, present) for key in keys}
    return content


def _whole(server: Server, key: Key, present: Present) -> Fields:
    """A record with what stands under it."""
    fields = _fields(server, key, present)
    if key.kind is Kind.FORWARD_MAILBOX:
        return fields | _rules(server, key, present)
    mailbox = Key(Kind.MAILBOX, of=key)
    if mailbox not in present:
        return fields
    own = {name: value for name, value in _fields(server, mailbox, present).items() if name not in OF_ITS_OWNER}
    return fields | {Kind.MAILBOX.section: own | _rules(server, mailbox, present)}


def _rules(server: Server, mailbox: Key, present: Present) -> Fields:
    keys = [key for key in present if key.kind is Kind.RULE and key.of == mailbox]
    rules = [{"folder_id": key.id} | _fields(server, key, present) for key in keys]
    return {Kind.RULE.section: rules} if rules else {}


def _fields(server: Server, key: Key, present: Present) -> Fields:
    return {name: _readable(value) for name, value in settable(server.description.record(key.kind), present[key]).items()}


def _readable(value: Json) -> Json:
    """Whole seconds without decimals."""
    return int(value) if isinstance(value, float) and value.is_integer() else value

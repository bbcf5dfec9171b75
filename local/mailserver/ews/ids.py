"""Ids as EWS writes them: change keys, and attachment ids that hold the item and the way to the attachment in it."""

import base64
import binascii

from local.mailserver.contents import Item

_ITEM_ID_BYTES = 112
_MARK = b"\x01\x12"
"""Two bytes bring an item id to a multiple of three: what follows is encoded independently."""
_STEP = 3


_KEY_HEAD = b"\x09\x00\x00\x00\x16\x00\x00\x00"


def change_key(version: int) -> str:
    return base64.b64encode(_KEY_HEAD + version.to_bytes(16, "big")).decode()


def version_of(key: str) -> int:
    """The version that a change key stands for. Raises ValueError for what is none."""
    decoded = base64.b64decode(key, validate=True)
    if len(decoded) != len(_KEY_HEAD) + 16 or not decoded.startswith(_KEY_HEAD):
        raise ValueError(key)
    return int.from_bytes(decoded[len(_KEY_HEAD) :], "big")


def attachment_prefix(item_or_attachment_id: str) -> str:
    """What the ids of attachments begin with: of an item, or of a message attached to one."""
    decoded = base64.b64decode(item_or_attachment_id)
    return base64.b64encode(decoded + _MARK).decode() if len(decoded) == _ITEM_ID_BYTES else item_or_attachment_id


def attachment_suffix(number: int) -> str:
    return base64.b64encode(number.to_bytes(_STEP, "big")).decode()


def item_and_path(attachment_id: str) -> tuple[str, list[int]]:
    """The item id, and the numbers of the attachments that lead to the one meant. Raises ValueError."""
    try:
        decoded = base64.b64decode(attachment_id, validate=True)
    except binascii.Error as error:
        raise ValueError(attachment_id) from error
    rest = decoded[_ITEM_ID_BYTES + len(_MARK) :]
    if decoded[_ITEM_ID_BYTES : _ITEM_ID_BYTES + len(_MARK)] != _MARK or not rest or len(rest) % _STEP:
        raise ValueError(attachment_id)
    path = [int.from_bytes(rest[at : at + _STEP], "big") for at in range(0, len(rest), _STEP)]
    return base64.b64encode(decoded[:_ITEM_ID_BYTES]).decode(), path


def item_id_element(item: Item) -> bytes:
    return f'<t:ItemId Id="{item.id}" ChangeKey="{change_key(item.version)}"/>'.encode()

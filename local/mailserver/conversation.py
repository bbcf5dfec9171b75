"""Conversation indexes (PidTagConversationIndex, [MS-OXOMSG] 2.2.1.3): of a message, of a new one, of an answer."""

import hashlib
import os
from datetime import UTC, datetime

from local.mailserver import mime
from local.mailserver.message import Message

HEADER = 22
"""Bytes of the block that all messages of a conversation begin with."""
_EPOCH = datetime(1601, 1, 1, tzinfo=UTC)
_FAR = 1 << 49
"""Ticks from which on a distance is kept less exactly: about 1.8 years."""


def conversation_index(message: Message) -> bytes:
    """As sent, else made up from date and topic."""
    sent = (message.header("Thread-Index") or "").replace(" ", "")
    decoded = mime.decoded_content(sent.encode("ascii", "ignore"), "base64") if sent else b""
    if len(decoded) >= HEADER:
        return decoded
    return _header(message.sent or datetime(2000, 1, 1, tzinfo=UTC), topic_hash(message))


def topic_hash(message: Message) -> bytes:
    return hashlib.sha256(message.conversation_topic.lower().encode("utf-8", "surrogatepass")).digest()[:16]


def new_index(time: datetime) -> bytes:
    """Of the first message of a conversation."""
    return _header(time, os.urandom(16))


def answer_index(index: bytes, time: datetime) -> bytes:
    """That of the message answered, with a block for the answer: how much later it is, and some chance."""
    later = max(0, _ticks(time) - int.from_bytes(index[:6] + b"\0\0", "big"))
    distance = (later >> 18) & 0x7FFFFFFF if later < _FAR else (later >> 23) & 0x7FFFFFFF | 0x80000000
    return index + distance.to_bytes(4, "big") + os.urandom(1)


def _header(time: datetime, identity: bytes) -> bytes:
    return _ticks(time).to_bytes(8, "big")[:6] + identity


def _ticks(time: datetime) -> int:
    """FILETIME: 100 nanoseconds since 1601."""
    return max(0, int((time - _EPOCH).total_seconds())) * 10_000_000

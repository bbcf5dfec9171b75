"""Raw MIME (RFC 5322, 2045 to 2049, 2183, 2231) as the messages of the domain, for every source that gives mail in this form.

Mail is written by strangers and by broken programs: nothing here fails over what it reads, depth, counts and lengths are
bounded, time is linear and memory small. Where the standards leave room, Exchange decides, because the same mail may come
through it. Knows no protocol and no mailbox.
"""

from shared.connectors.mime.envelope import read_envelope, received_of
from shared.connectors.mime.message import read_message

__all__ = ["read_envelope", "read_message", "received_of"]

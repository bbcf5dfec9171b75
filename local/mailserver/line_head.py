"""A head whose clients speak in lines (POP3, IMAP, SMTP), over TLS from the first byte or not."""

from abc import abstractmethod

from local.mailserver.backend import Backend
from local.mailserver.listener import Disconnect, Head, Peer
from local.mailserver.wire import Wire


class LineHead(Head):
    """On one port, `implicit_tls` from the first byte (RFC 8314) or not."""

    def __init__(self, backend: Backend, port: int, name: str, *, implicit_tls: bool) -> None:
        self._backend = backend
        self._implicit_tls = implicit_tls
        super().__init__(port, name)

    def _serve(self, peer: Peer) -> None:
        wire = Wire(peer)
        if self._implicit_tls and self._backend.tls is not None:
            wire.secure(self._backend.tls)
        try:
            self._converse(wire)
        except Disconnect:
            wire.reset()

    @abstractmethod
    def _converse(self, wire: Wire) -> None:
        """Until either side ends it. Raises Disconnect."""

"""The heads of lines together: POP3, IMAP and SMTP, each without TLS at first and, where there is a certificate, with it."""

import ssl

from local.mailserver.backend import Backend
from local.mailserver.imap.head import ImapHead
from local.mailserver.pop3.head import Pop3Head
from local.mailserver.pop3.maildrop import Locks
from local.mailserver.smtp.head import SmtpHead


class LineHeads:
    def __init__(self, backend: Backend, *, pop3_port: int, imap_port: int, smtp_port: int, tls: bool) -> None:
        maildrops = Locks()
        self._backend = backend
        self._heads: dict[str, Pop3Head | ImapHead | SmtpHead] = {
            "pop3": Pop3Head(backend, maildrops, pop3_port),
            "imap": ImapHead(backend, imap_port),
            "smtp": SmtpHead(backend, smtp_port),
        }
        if tls:
            self._heads["pop3s"] = Pop3Head(backend, maildrops, implicit_tls=True)
            self._heads["imaps"] = ImapHead(backend, implicit_tls=True)
            self._heads["smtps"] = SmtpHead(backend, implicit_tls=True)

    def start(self, context: ssl.SSLContext | None) -> None:
        self._backend.tls = context
        for head in self._heads.values():
            head.start()

    def stop(self) -> None:
        for head in self._heads.values():
            head.stop()

    def port(self, name: str) -> int:
        """Raises RuntimeError for one with TLS where the server has no certificate."""
        if name not in self._heads:
            raise RuntimeError("the server was not started with tls=True")
        return self._heads[name].port

    def ports(self) -> dict[str, int]:
        return {f"{name}_port": head.port for name, head in self._heads.items()}

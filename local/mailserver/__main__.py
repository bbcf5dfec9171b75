"""`python -m local.mailserver`: the mail server as a process of its own: prints its addresses as a line of JSON and serves."""

import argparse
import json
import signal
import threading

from local.mailserver.server import MailServer


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m local.mailserver", description="A mail server in memory.")
    parser.add_argument("--ews-port", type=int, default=0, help="HTTP port of EWS, tokens and control; 0: any free one")
    parser.add_argument("--smtp-port", type=int, default=0, help="SMTP port; 0: any free one")
    parser.add_argument("--pop3-port", type=int, default=0, help="POP3 port; 0: any free one")
    parser.add_argument("--imap-port", type=int, default=0, help="IMAP port; 0: any free one")
    parser.add_argument("--tls", action="store_true", help="serve with TLS as well, with a certificate of its own")
    parser.add_argument("--compress", action="store_true", help="compress replies for clients that accept it")
    options = parser.parse_args()
    stop = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stop.set())
    ports = {f"{name}_port": getattr(options, f"{name}_port") for name in ("ews", "smtp", "pop3", "imap")}
    with MailServer(**ports, tls=options.tls, compress=options.compress) as server:
        print(json.dumps(server.addresses()), flush=True)
        stop.wait()


if __name__ == "__main__":
    main()

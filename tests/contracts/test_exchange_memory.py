"""Large content streams: what a 20 MB attachment takes in this process is bounded. The mail server runs in another one."""

import json
import subprocess
import sys
import tracemalloc
from collections.abc import Callable, Iterator
from hashlib import sha256
from pathlib import Path

import pytest

from local.mailserver.remote import MailServerControl
from shared.connectors.connect import Connect
from shared.ports import IncomingEmail
from tests.contracts.exchange_mailboxes import PASSWORD, SERVICE, KnownSecrets, a_mailbox, a_profile
from tests.contracts.incoming_email import a_message, everything, fetched

ADDRESS = "anna@contoso.example"
CONTENT = sha256(b"seed").digest() * (20 << 15)
"""20 MiB."""
FEW_MIB = 4 << 20

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def incoming() -> Iterator[IncomingEmail]:
    program = [sys.executable, "-m", "local.mailserver"]
    with subprocess.Popen(program, cwd=Path(__file__).parents[2], stdout=subprocess.PIPE, text=True) as process:  # noqa: S603 (our own program)
        assert process.stdout is not None
        addresses = json.loads(process.stdout.readline())
        with MailServerControl(addresses["control_url"]) as server:
            server.add_mailbox(ADDRESS)
            server.add_account(SERVICE, PASSWORD, impersonation=True)
            message = a_message("large@fabrikam.example")
            message.add_attachment(CONTENT, maintype="application", subtype="zip", filename="large.zip")
            server.deliver(bytes(message), [ADDRESS])
        connect = Connect(KnownSecrets(), allow_local_servers=True)
        with connect(a_profile(addresses["ews_url"]), a_mailbox(ADDRESS)) as opened:
            yield opened
        connect.close()
        process.terminate()


def digest_and_peak(chunks: Callable[[], Iterator[bytes]]) -> tuple[str, int, int]:
    """SHA-256, bytes, and the most memory that reading took."""
    digest, size = sha256(), 0
    tracemalloc.start()
    for chunk in chunks():
        digest.update(chunk)
        size += len(chunk)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    return digest.hexdigest(), size, peak


def test_a_large_attachment_streams_within_a_few_mib(incoming: IncomingEmail) -> None:
    (attachment,) = fetched(incoming)[0].attachments
    found, size, peak = digest_and_peak(attachment.chunks)
    assert (found, size) == (sha256(CONTENT).hexdigest(), len(CONTENT))
    assert peak < FEW_MIB


def test_a_large_raw_message_streams_within_a_few_mib(incoming: IncomingEmail) -> None:
    (item,) = everything(incoming)[0]
    _, size, peak = digest_and_peak(lambda: incoming.raw(item.ref))
    assert size > len(CONTENT)
    assert peak < FEW_MIB


def test_a_stream_that_is_given_up_leaves_the_connection_usable(incoming: IncomingEmail) -> None:
    for _ in range(20):
        stream = fetched(incoming)[0].attachments[0].chunks()
        assert next(stream)
        stream.close()

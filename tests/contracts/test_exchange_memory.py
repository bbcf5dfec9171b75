"""Large content streams, both ways: what a 20 MB attachment takes in this process is bounded. The mail server runs in another
one."""

import json
import subprocess
import sys
import tracemalloc
from collections.abc import Callable, Generator, Iterator
from hashlib import sha256
from pathlib import Path

import pytest

from local.mailserver.remote import MailServerControl
from shared.connectors.connect import Connect
from shared.domain.email import Address, IncomingMessage
from shared.domain.outgoing import OutgoingAttachment, Receipt
from shared.ports import Drafting, IncomingEmail
from tests.contracts.exchange_mailboxes import PASSWORD, SERVICE, KnownSecrets, a_mailbox, a_profile
from tests.contracts.incoming_email import a_message as an_incoming_message
from tests.contracts.incoming_email import everything, fetched
from tests.unit.connectors.outgoing_messages import a_message

ADDRESS = "anna@contoso.example"
CONTENT = sha256(b"seed").digest() * (20 << 15)
"""20 MiB."""
FEW_MIB = 4 << 20

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def connect() -> Iterator[Connect]:
    connecting = Connect(KnownSecrets(), allow_local_servers=True)
    yield connecting
    connecting.close()


@pytest.fixture(scope="module")
def ews_url() -> Iterator[str]:
    program = [sys.executable, "-m", "local.mailserver"]
    with subprocess.Popen(program, cwd=Path(__file__).parents[2], stdout=subprocess.PIPE, text=True) as process:  # noqa: S603 (our own program)
        assert process.stdout is not None
        addresses = json.loads(process.stdout.readline())
        with MailServerControl(addresses["control_url"]) as server:
            server.add_mailbox(ADDRESS)
            server.add_account(SERVICE, PASSWORD, impersonation=True)
            message = an_incoming_message("large@fabrikam.example")
            message.add_attachment(CONTENT, maintype="application", subtype="zip", filename="large.zip")
            server.deliver(bytes(message), [ADDRESS])
        yield addresses["ews_url"]
        process.terminate()


@pytest.fixture(scope="module")
def incoming(connect: Connect, ews_url: str) -> Iterator[IncomingEmail]:
    with connect(a_profile(ews_url), a_mailbox(ADDRESS)) as opened:
        yield opened


def blocks() -> Iterator[bytes]:
    """`CONTENT`, in the blocks of a blob."""
    return (CONTENT[start : start + (1 << 18)] for start in range(0, len(CONTENT), 1 << 18))


def test_a_large_attachment_is_sent_within_a_few_mib(connect: Connect, ews_url: str, incoming: IncomingEmail) -> None:
    own = Address(ADDRESS)
    attachment = OutgoingAttachment("sent.zip", "application/zip", len(CONTENT), blocks)
    message = a_message(from_=own, to=(own,), attachments=(attachment,))
    with connect.outgoing(a_profile(ews_url), a_mailbox(ADDRESS)) as outgoing:
        assert isinstance(outgoing, Drafting)
        tracemalloc.start()
        (draft,) = outgoing.prepare([message])
        _, peak = tracemalloc.get_traced_memory()
        tracemalloc.stop()
        assert peak < FEW_MIB
        assert outgoing.submit([str(draft)], save_copy=False) == [Receipt()]
    item = next(each for each in everything(incoming)[0] if each.message_id == message.message_id)
    ((_, arrived),) = incoming.fetch([item.ref])
    assert isinstance(arrived, IncomingMessage)
    found, size, _ = digest_and_peak(arrived.attachments[0].chunks)
    assert (found, size) == (sha256(CONTENT).hexdigest(), len(CONTENT))
    incoming.discard([item.ref])


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
        assert isinstance(stream, Generator)
        stream.close()

"""Outgoing mail with a server of its own is nowhere to be looked for: autodiscover finds where mail is read."""

from datetime import datetime
from typing import Any

import pytest

from shared.domain.choices import AuthenticationProtocol, Workload
from shared.domain.configuration import Discovered, EmailServerProfile, Mailbox
from shared.domain.errors import Unreachable
from shared.domain.operations import RunOutcome
from shared.messages import SyncMailbox
from shared.sync.outgoing import OutgoingSync
from tests.unit.sync.outgoing.scene import OutgoingScene, by_exchange

OWN_SERVER = {"use_same_settings_for_outgoing": False, "outgoing_location": "send.contoso.example"}


class Autodiscover:
    asked = 0

    def __call__(self, profile: EmailServerProfile, mailbox: Mailbox, now: datetime) -> Discovered:  # noqa: ARG002 # it finds everybody
        self.asked += 1
        return Discovered("https://mail.contoso.example/EWS/Exchange.asmx", "15.2.1544.4", AuthenticationProtocol.NTLM, now)


@pytest.fixture
def autodiscover() -> Autodiscover:
    return Autodiscover()


def run(scene: OutgoingScene, autodiscover: Autodiscover) -> RunOutcome:
    sync = OutgoingSync(scene.stores, scene.outward, scene.clock, discover=autodiscover)
    return sync.run(SyncMailbox("m", scene.mailbox.id, Workload.OUTGOING))


@pytest.mark.parametrize(("settings", "asked"), [(OWN_SERVER, 0), ({}, 1)])
def test_autodiscover_is_asked_only_where_outgoing_mail_goes_by_it(
    autodiscover: Autodiscover, settings: dict[str, Any], asked: int
) -> None:
    scene = by_exchange(use_autodiscover=True, incoming_location=None, **settings)
    scene.send("Offer")
    assert run(scene, autodiscover) is RunOutcome.COMPLETED
    assert autodiscover.asked == asked


@pytest.mark.parametrize(("settings", "is_kept"), [(OWN_SERVER, True), ({}, False)])
def test_a_server_of_its_own_that_is_away_says_nothing_of_where_mail_is_read(
    autodiscover: Autodiscover, settings: dict[str, Any], is_kept: bool
) -> None:
    scene = by_exchange(use_autodiscover=True, incoming_location=None, **settings)
    scene.stores.mailboxes.set_discovered(scene.mailbox.id, autodiscover(scene.profile, scene.mailbox, scene.clock()))
    scene.send("Offer")
    scene.outward.refuses = [Unreachable("away")]
    assert run(scene, autodiscover) is RunOutcome.FAILED
    found = scene.stores.mailboxes.get(scene.mailbox.id)
    assert found is not None
    assert (found.discovered is not None) is is_kept

"""Mailboxes, schedules and profiles that a later version of Sidesync wrote: they are told, and keep nobody from his turn."""

from collections.abc import Callable

import pytest

from shared.domain.choices import Workload
from shared.domain.configuration import Breaker
from shared.domain.eligibility import credential_version
from shared.domain.errors import UnreadableRow
from shared.domain.ids import ProfileId
from shared.domain.operations import RunOutcome
from shared.ports import Stores
from shared.stores.entities import (
    PROFILES,
    breaker_row,
    mailbox_partition,
    schedule_row,
)
from shared.sync.enumeration import Enumeration
from tests.builders import MONDAY, a_message, a_profile
from tests.contracts.later_version import LATER, Key, Tables, told
from tests.unit.sync.scene import Scene


@pytest.fixture
def incoming(on_azurite: Stores) -> Scene:
    return Scene(stores=on_azurite)


def test_a_mailbox_whose_schedule_cannot_be_read_keeps_no_other_from_its_turn(incoming: Scene, tables: Tables) -> None:
    key = "Mailboxes", mailbox_partition(incoming.mailboxes["anna"].id), schedule_row(incoming.mailboxes["anna"].id)
    before = tables.later_version_writes(*key)
    walk = Enumeration(incoming.stores, incoming.clock).enumerate_all()

    assert walk.enqueued == 1
    assert incoming.stored_mailbox("ben").schedule[Workload.INCOMING].queued_until is not None
    assert told(incoming.alerts(), Workload.INCOMING).about == f"mailbox:{incoming.mailboxes['anna'].id}"
    assert tables.row(*key) == before
    tables.update(*key)
    assert Enumeration(incoming.stores, incoming.clock).enumerate_all().enqueued == 1


LATER_PROFILE = a_profile(id=ProfileId(f"{a_profile().id}-later"))


@pytest.mark.parametrize("row", [LATER_PROFILE.id, breaker_row(LATER_PROFILE.id, Workload.OUTGOING)])
def test_a_profile_that_cannot_be_read_keeps_nobody_of_another_from_his_turn(incoming: Scene, tables: Tables, row: str) -> None:
    profiles = incoming.stores.profiles
    profiles.create(LATER_PROFILE)
    profiles.set_breaker(LATER_PROFILE.id, Workload.OUTGOING, Breaker("authentication_failed", MONDAY, LATER), replacing=None)
    before = tables.later_version_writes("Profiles", PROFILES, row)
    walk = Enumeration(incoming.stores, incoming.clock).enumerate_all()

    assert walk.enqueued == 2
    assert told(incoming.alerts(), Workload.INCOMING).about == f"profile:{LATER_PROFILE.id}"
    assert profiles.get(a_profile().id) is not None, "whose id the other's begins with"
    with pytest.raises(UnreadableRow):
        profiles.get(LATER_PROFILE.id)
    assert tables.row("Profiles", PROFILES, row) == before


def configured(scene: Scene, name: str = "anna") -> Key:
    return "Mailboxes", mailbox_partition(scene.mailboxes[name].id), scene.mailboxes[name].id


def scheduled(scene: Scene) -> Key:
    return "Mailboxes", mailbox_partition(scene.mailboxes["anna"].id), schedule_row(scene.mailboxes["anna"].id)


def profiled(_: Scene) -> Key:
    return "Profiles", PROFILES, a_profile().id


@pytest.mark.parametrize("written", [configured, scheduled, profiled])
def test_a_mailbox_whose_configuration_cannot_be_read_is_told_and_runs_after_the_update(
    incoming: Scene, tables: Tables, written: Callable[[Scene], Key]
) -> None:
    before = tables.later_version_writes(*written(incoming))
    incoming.anna.deliver(a_message("one"))

    assert incoming.run() is RunOutcome.REFUSED
    assert told(incoming.alerts(), Workload.INCOMING).about == f"mailbox:{incoming.mailboxes['anna'].id}"
    assert tables.row(*written(incoming)) == before
    tables.update(*written(incoming))
    assert incoming.run() is RunOutcome.COMPLETED
    assert incoming.subjects() == ["one"]


@pytest.mark.parametrize(("unreadable", "other"), [("anna", "ben"), ("ben", "anna")])
def test_a_mailbox_that_cannot_be_read_is_not_sent_to_probe_in_place_of_another(
    incoming: Scene, tables: Tables, unreadable: str, other: str
) -> None:
    """Its message would be refused, each time: nobody would find out that the server takes the password again."""
    [profile] = incoming.stores.profiles.list()
    opened = Breaker("authentication_failed", MONDAY, incoming.clock(), credential=credential_version(profile.record))
    incoming.stores.profiles.set_breaker(profile.record.id, Workload.INCOMING, opened, replacing=None)
    tables.later_version_writes(*configured(incoming, unreadable))
    walk = Enumeration(incoming.stores, incoming.clock).enumerate_all()

    assert walk.enqueued == 1
    assert incoming.stored_mailbox(other).schedule[Workload.INCOMING].queued_until is not None
    tables.update(*configured(incoming, unreadable))
    assert incoming.stored_mailbox(unreadable).schedule[Workload.INCOMING].queued_until is None

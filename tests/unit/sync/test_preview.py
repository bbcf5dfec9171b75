"""The dry run: says what a change would do to the last messages of a mailbox, and writes nothing anywhere."""

import logging
from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta

import pytest

from shared.domain.choices import Approval, IncomingFilteringMethod, OwnerKind, Reason, Verdict, Workload
from shared.domain.configuration import Breaker, Mailbox
from shared.domain.email import ItemRef
from shared.domain.errors import AuthenticationFailed, Disabled, InvalidRecord, MailboxError, MailboxNotFound, NotApproved
from shared.domain.folders import SENT_ITEMS, Folder, TreeFolder
from shared.domain.ids import MailboxId, OwnerId, ProfileId
from shared.domain.organisation import OrganisationSettings
from shared.stores.memory import snapshot
from shared.sync.folders import Folders
from shared.sync.preview import LONGEST, MOST_MESSAGES, ChangedConfiguration, Preview, PreviewResult
from tests.builders import MONDAY, a_message, a_rule
from tests.unit.sync.faults import FaultyWorld
from tests.unit.sync.scene import Scene

PROJECTS = Folder("folder-projects", "Projects")
READING = {
    "addresses.find", "correlations.find", "correlations.opted_out", "activities.find", "mailboxes.get", "owners.get",
    "profiles.get", "settings.get", "tracking_rules.list", "open", "mail.tree", "mail.latest", "mail.envelopes",
    "mail.envelopes.next", "mail.fetch", "mail.fetch.next",
}  # fmt: skip


def a_scene() -> Scene:
    """Anna accepts answers only. An offer was stored before; an answer to it, a newsletter, filed and sent mail came since."""
    scene = Scene()
    scene.anna.folders_below.append(TreeFolder(PROJECTS.id, PROJECTS.name))
    scene.anna.deliver(a_message("Offer"))
    scene.until_idle("anna")
    owner = scene.stores.owners.get(OwnerKind.USER, OwnerId("user-anna"))
    assert owner is not None
    scene.stores.owners.replace(replace(owner.record, filtering_method=IncomingFilteringMethod.RESPONSES), owner.etag)
    answer = a_message("Re: Offer", in_reply_to="offer@fabrikam.example", message_id="answer@fabrikam.example")
    for number, message in enumerate([answer, a_message("Newsletter", sender="news@elsewhere.example")]):
        scene.anna.deliver(replace(message, received=MONDAY + timedelta(minutes=number)))
    scene.anna.deliver(replace(a_message("Filed"), received=MONDAY + timedelta(minutes=5)), PROJECTS)
    sent = a_message("Sent", sender="anna@contoso.example", to=["carol@fabrikam.example"])
    scene.anna.deliver(replace(sent, received=MONDAY + timedelta(minutes=6)), SENT_ITEMS)
    scene.world = FaultyWorld()
    return scene


def previewed(scene: Scene, last: int = 50, **changes: object) -> PreviewResult:
    preview = Preview(scene.world.stores(scene.stores), scene.world.opener(scene.servers), scene.clock)
    return preview.run(scene.mailboxes["anna"].id, last, ChangedConfiguration(**changes))  # type: ignore[arg-type]  # by name


def verdicts(result: PreviewResult) -> dict[str, tuple[bool, Reason | None, bool, Reason | None]]:
    return {
        each.subject: (
            each.before.verdict is Verdict.PROMOTED,
            each.before.reason,
            each.after.verdict is Verdict.PROMOTED,
            each.after.reason,
        )
        for each in result.messages
    }


def test_a_wider_filter_shows_what_would_be_tracked() -> None:
    result = previewed(a_scene(), filtering_method=IncomingFilteringMethod.ALL)
    assert verdicts(result) == {
        "Newsletter": (False, Reason.NO_CORRELATION_MATCH, True, Reason.RELEVANT),
        "Re: Offer": (True, Reason.RESPONSE, True, Reason.RELEVANT),
        "Offer": (False, Reason.NO_CORRELATION_MATCH, True, Reason.RELEVANT),
    }
    assert (result.tracked_before, result.tracked_after, result.newly_tracked, result.no_longer_tracked) == (1, 3, 2, 0)
    assert [each.subject for each in result.messages if each.differs] == ["Newsletter", "Offer"]


def test_it_tells_in_words_who_said_what() -> None:
    [newsletter] = [each for each in previewed(a_scene()).messages if each.subject == "Newsletter"]
    assert newsletter.sender == "news@elsewhere.example"
    assert newsletter.before.words.startswith("The message would be left in the mailbox only. ")
    assert newsletter.before == newsletter.after
    assert newsletter.before.votes == (
        "User user-anna accepts answers to emails that are activities: no. Whoever it reached accepts only answers to emails"
        " that are activities, and it is none.",
    )
    assert newsletter.before.correlation


def test_an_exclude_list_shows_what_would_not_be_tracked_any_more() -> None:
    result = previewed(a_scene(), settings=OrganisationSettings(exclude=("fabrikam.example",)))
    assert verdicts(result)["Re: Offer"] == (True, Reason.RESPONSE, False, Reason.EXCLUDED)
    assert (result.newly_tracked, result.no_longer_tracked) == (0, 1)


def test_a_method_of_correlation_that_is_switched_off_shows_which_answers_are_lost() -> None:
    result = previewed(a_scene(), settings=OrganisationSettings(correlation_methods=()))
    assert verdicts(result)["Re: Offer"][2:] == (False, Reason.NO_CORRELATION_MATCH)


def test_a_ceiling_shows_what_it_leaves_out() -> None:
    result = previewed(a_scene(), settings=OrganisationSettings(filter_ceiling=IncomingFilteringMethod.NONE))
    assert verdicts(result)["Re: Offer"][2:] == (False, Reason.FILTER_NONE)


def test_a_rule_brings_in_a_folder_that_is_not_read_now() -> None:
    scene = a_scene()
    result = previewed(scene, rules=(a_rule(scene.mailboxes["anna"], PROJECTS, "contoso"),))
    assert verdicts(result)["Filed"] == (False, None, True, Reason.FOLDER_RULE)
    [filed] = [each for each in result.messages if each.subject == "Filed"]
    assert (filed.folder, filed.before.words) == (
        "Projects",
        "The message would be left in the mailbox only. Its folder is not read.",
    )


def test_without_its_rule_the_mail_of_a_folder_is_not_read() -> None:
    scene = a_scene()
    scene.stores.tracking_rules.put(a_rule(scene.mailboxes["anna"], PROJECTS, "contoso"), None)
    assert verdicts(previewed(scene, rules=()))["Filed"] == (True, Reason.FOLDER_RULE, False, None)


def test_sent_items_are_looked_at_where_they_would_be_tracked() -> None:
    result = previewed(a_scene(), settings=OrganisationSettings(track_sent_items=True))
    assert verdicts(result)["Sent"] == (False, None, False, Reason.NO_CORRELATION_MATCH)


def test_the_last_messages_are_those_received_last_newest_first() -> None:
    result = previewed(a_scene(), last=2)
    assert [each.subject for each in result.messages] == ["Newsletter", "Re: Offer"]
    assert result.is_complete


def test_an_answer_finds_its_original_among_the_messages_that_would_be_tracked() -> None:
    scene = a_scene()
    question = a_message("Question", sender="x@elsewhere.example", message_id="q@elsewhere.example", categories=("Tracked",))
    scene.anna.deliver(replace(question, received=MONDAY + timedelta(hours=1)))
    answer = a_message("Re: Question", in_reply_to="q@elsewhere.example", sender="y@elsewhere.example")
    scene.anna.deliver(replace(answer, received=MONDAY + timedelta(hours=2)))
    found = verdicts(previewed(scene, settings=OrganisationSettings(track_by_category=False)))
    assert found["Re: Question"] == (True, Reason.RESPONSE, False, Reason.NO_CORRELATION_MATCH)


def test_old_mail_of_a_mailbox_that_was_just_enabled_is_shown_as_if_it_arrived_now() -> None:
    scene = a_scene()
    stored = scene.stored_mailbox()
    scene.stores.mailboxes.replace(replace(stored.record, enabled_on=MONDAY + timedelta(days=1)), stored.etag, {})
    assert previewed(scene, filtering_method=IncomingFilteringMethod.ALL).tracked_after == 3


# ---- nothing is written


def test_nothing_is_written_anywhere_nothing_asked_of_the_server_but_to_read_and_nothing_logged(
    caplog: pytest.LogCaptureFixture,
) -> None:
    scene = a_scene()
    before = snapshot(scene.stores)
    everything = {"stamp_categories": True, "create_contacts": True, "track_sent_items": True}
    with caplog.at_level(logging.DEBUG):
        previewed(
            scene,
            filtering_method=IncomingFilteringMethod.ALL,
            settings=OrganisationSettings(**everything),  # type: ignore[arg-type]  # by name
            rules=(a_rule(scene.mailboxes["anna"], PROJECTS, "contoso", include_subfolders=True),),
        )
    assert snapshot(scene.stores) == before
    assert set(scene.world.calls) <= READING
    told = " ".join(str(record.__dict__) for record in caplog.records)
    assert "previewed" in told
    assert not any(word in told for word in ("Newsletter", "elsewhere", "Offer", "fabrikam"))


# ---- bounds


@pytest.mark.parametrize("last", [0, -1, MOST_MESSAGES + 1])
def test_it_looks_at_one_to_200_messages(last: int) -> None:
    with pytest.raises(InvalidRecord, match="last"):
        previewed(a_scene(), last=last)


def test_it_ends_in_time_and_says_what_it_left_out() -> None:
    scene = a_scene()
    for number in range(150):
        scene.anna.deliver(a_message(f"More {number}"))

    def slow(name: str) -> None:
        if name == "mail.envelopes":
            scene.clock.advance(LONGEST)

    scene.world.watch = slow
    result = previewed(scene, last=150)
    assert len(result.messages) == 100
    assert not result.is_complete


def test_a_message_that_is_gone_by_then_is_counted() -> None:
    scene = a_scene()
    latest = scene.anna.latest
    scene.anna.latest = lambda folder, count: [ItemRef("gone", folder.id), *latest(folder, count)]  # type: ignore[method-assign]  # put in between
    result = previewed(scene)
    assert (result.unreadable, len(result.messages)) == (1, 3)


# ---- who may look


def changed(**changes: object) -> Callable[[Scene], None]:
    def change(scene: Scene) -> None:
        stored = scene.stored_mailbox()
        mailbox: Mailbox = replace(stored.record, **changes)  # type: ignore[arg-type]  # by name
        scene.stores.mailboxes.replace(mailbox, stored.etag, {})

    return change


def has_breaker(scene: Scene) -> None:
    breaker = Breaker("authentication_failed", MONDAY, MONDAY + timedelta(hours=1))
    scene.stores.profiles.set_breaker(ProfileId("contoso"), Workload.INCOMING, breaker, replacing=None)


@pytest.mark.parametrize(
    ("prepare", "error"),
    [
        (changed(approval=Approval.PENDING), NotApproved),
        (changed(active=False), Disabled),
        (changed(profile_id=None), Disabled),
        (changed(profile_id=ProfileId("nobody")), Disabled),
        (has_breaker, AuthenticationFailed),
    ],
)
def test_a_mailbox_that_must_not_be_opened_is_not(prepare: Callable[[Scene], None], error: type[MailboxError]) -> None:
    scene = a_scene()
    prepare(scene)
    with pytest.raises(error):
        previewed(scene)
    assert "open" not in scene.world.calls


def test_a_mailbox_that_is_not_there_is_not_found() -> None:
    scene = a_scene()
    preview = Preview(scene.stores, scene.servers, scene.clock)
    with pytest.raises(MailboxNotFound):
        preview.run(MailboxId("nobody"), 10, ChangedConfiguration())


# ---- folders for choosing


def test_the_folders_of_a_mailbox_without_rules_are_read_once_in_a_while() -> None:
    scene = a_scene()
    folders = Folders(scene.world.stores(scene.stores), scene.world.opener(scene.servers), scene.clock)
    anna = scene.mailboxes["anna"].id
    assert [each.name for each in folders.below_inbox(anna).folders] == ["Projects"]
    scene.anna.folders_below.append(TreeFolder("folder-new", "New"))
    assert len(folders.below_inbox(anna).folders) == 1
    assert len(folders.below_inbox(anna, anew=True).folders) == 2
    scene.anna.folders_below.clear()
    scene.clock.advance(timedelta(minutes=15))
    assert folders.below_inbox(anna).folders == ()
    assert scene.world.calls.count("open") == 3

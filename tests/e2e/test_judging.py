"""Judging on the running host: mail to a queue and its answers, what people do by hand, and messages of queues that come twice
or are broken.
"""

import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import quote

import pytest
from azure.core.exceptions import ResourceExistsError
from azure.storage.queue import QueueClient, TextBase64EncodePolicy

from local.demo.api import Api, run_function
from local.demo.machine import Machine
from local.demo.organisation import SERVICE_ACCOUNT, SERVICE_PASSWORD, profile
from local.mailserver.remote import MailServerControl
from shared.domain.ids import MailboxId, short_hash
from shared.messages import ChangeItems, ItemTask, Queue, RelinkFolder

pytestmark = pytest.mark.slow

PATIENCE = 120.0
CUSTOMER, COLLEAGUE = "carol@fabrikam.example", "desk@fabrikam.example"
TAILSPIN, WINGTIP = {"type": "account", "id": "tailspin"}, {"type": "account", "id": "wingtip"}


@dataclass
class Site:
    """An organisation with a queue and a user who want mail of customers and answers."""

    machine: Machine
    api: Api
    control: MailServerControl
    mailboxes: dict[str, str] = field(default_factory=dict)

    def configure(self) -> None:
        self.control.add_account(SERVICE_ACCOUNT, SERVICE_PASSWORD, impersonation=True)
        server = {**profile(self.machine.ews_url, datetime.now(UTC)), "min_polling_interval": 0}
        self.api.put("/profiles/contoso", server)
        approval = {"require_approval_for_users": False, "require_approval_for_queues": False}
        self.api.patch("/settings", {"default_profile_id": "contoso", **approval})
        self.api.put("/records/contact/carol", {"name": "Carol", "addresses": [CUSTOMER]})
        for path in ("/queues/support", "/users/anna"):
            self.add(path)

    def add(self, path: str) -> str:
        """A user or queue with its mailbox; returns the mailbox."""
        name = path.rpartition("/")[2]
        self.control.add_mailbox(_address(name))
        record = {"name": name.title(), "address": _address(name), "filtering_method": "leads_contacts_accounts"}
        self.mailboxes[name] = str(self.api.put(path, record)["mailbox_id"])
        return self.mailboxes[name]

    def item(self, name: str, message_id: str) -> dict[str, Any]:
        """What became of a message in a mailbox, as soon as that is decided."""
        items: list[dict[str, Any]] = []
        deadline = time.monotonic() + PATIENCE
        while not items:
            assert time.monotonic() < deadline, f"nothing is known of {message_id}"
            self.read(name)
            items = self.explained(name, message_id)
        return items[-1]

    def explained(self, name: str, message_id: str) -> list[dict[str, Any]]:
        items: list[dict[str, Any]] = self.api.get(f"/mailboxes/{self.mailboxes[name]}/explain", message_id=message_id)["items"]
        return items

    def read(self, name: str) -> None:
        self.api.post(f"/mailboxes/{self.mailboxes[name]}/sync")
        run_function(self.machine.base_url, self.machine.master_key, "enumerate_mailboxes")
        time.sleep(0.5)

    def activity(self, activity_id: str) -> dict[str, Any]:
        return self.api.get(f"/activities/{activity_id}")

    def listed(self, **of: str) -> list[str]:
        return [each["activity_id"] for each in self.api.everything("/activities", **of)]

    def send(self, queue: str, text: str, times: int = 1) -> None:
        client = QueueClient.from_connection_string(
            self.machine.azurite.connection_string, queue, message_encode_policy=TextBase64EncodePolicy()
        )
        with client:
            with suppress(ResourceExistsError):
                client.create_queue()
            for _ in range(times):
                client.send_message(text)

    def alerts(self, about: str) -> set[str]:
        return {alert["code"] for alert in self.api.everything("/alerts", about=about)}


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    with (
        Machine(tmp_path_factory.mktemp("logs")) as machine,
        Api(machine.base_url, machine.key) as api,
        MailServerControl(machine.control_url) as control,
    ):
        found = Site(machine, api, control)
        found.configure()
        yield found


def test_a_question_to_a_queue_is_one_item_of_it_and_the_answers_belong_to_it(site: Site) -> None:
    both = [_address("support"), _address("anna")]
    site.control.deliver(_mail("question", CUSTOMER, both), both)
    question = site.item("support", _id("question"))["activity_id"]
    assert site.item("anna", _id("question"))["activity_id"] == question
    assert site.listed(queue="support") == [question]
    assert {each["mailbox_id"] for each in site.activity(question)["sightings"]} == set(site.mailboxes.values())

    site.api.put(f"/activities/{question}/regarding", TAILSPIN)
    site.control.deliver(_mail("answer", COLLEAGUE, both[:1], answers="question"), both[:1])
    site.control.deliver(_mail("stranger", COLLEAGUE, both[:1]), both[:1])
    answer = site.item("support", _id("answer"))
    assert (answer["verdict"], answer["reason"]) == ("promoted", "response")
    stored = site.activity(answer["activity_id"])
    assert (stored["correlated_to"], stored["conversation"], stored["regarding"]) == (question, question, TAILSPIN)
    assert stored["correlation_method"] == "in_reply_to"
    assert site.item("support", _id("stranger"))["reason"] == "no_sender_match"
    assert site.listed(queue="support") == [answer["activity_id"], question]
    assert sorted(site.listed(regarding="account:tailspin")) == sorted([answer["activity_id"], question])


def test_answers_in_a_conversation_that_was_opted_out_are_left_alone_and_explain_says_so(site: Site) -> None:
    to = [_address("anna")]
    site.control.deliver(_mail("private", CUSTOMER, to), to)
    private = site.item("anna", _id("private"))["activity_id"]
    site.api.post(f"/activities/{private}/opt-out")
    site.control.deliver(_mail("private.answer", CUSTOMER, to, answers="private"), to)
    left = site.item("anna", _id("private.answer"))
    assert (left["verdict"], left["reason"], left["activity_id"]) == ("skipped", "opted_out", None)
    assert any("not tracked any more" in line for line in left["story"])
    assert site.activity(private)["subject"] == "private"


def test_a_wish_that_is_delivered_twice_is_done_once(site: Site) -> None:
    site.control.deliver(_mail("wanted", COLLEAGUE, [_address("anna")]), [_address("anna")])
    assert site.item("anna", _id("wanted"))["verdict"] == "skipped"
    mailbox_id = site.mailboxes["anna"]
    message = ChangeItems(
        "twice",
        MailboxId(mailbox_id),
        ItemTask.TRACK,
        identity=short_hash(_id("wanted")),
        regarding_type="account",
        regarding_id="wingtip",
    )
    site.send(Queue.CHANGE_ITEMS.value, message.to_json(), times=2)
    _becomes(["promoted"], lambda: [each["verdict"] for each in site.explained("anna", _id("wanted"))], site, "anna")
    (item,) = site.explained("anna", _id("wanted"))
    before = site.activity(item["activity_id"])
    assert (item["reason"], before["regarding"]) == ("by_hand", WINGTIP)

    site.send(Queue.CHANGE_ITEMS.value, message.to_json())
    _settle(site, Queue.CHANGE_ITEMS, "anna")
    assert site.activity(item["activity_id"]) == before
    assert site.listed(regarding="account:wingtip") == [item["activity_id"]]
    assert site.alerts(f"mailbox:{mailbox_id}") == set()


def test_mail_of_a_folder_follows_its_rule_once_however_often_that_is_said(site: Site) -> None:
    mailbox_id = site.add("/users/bruno")
    folder = site.control.add_folder(_address("bruno"), "Projects", parent="inbox")
    rule = f"/mailboxes/{mailbox_id}/rules/{quote(folder, safe='')}"
    site.api.put(rule, {"folder_name": "Projects", "regarding": {"type": "account", "id": "first"}})
    for number in range(3):
        site.control.deliver(_mail(f"filed.{number}", COLLEAGUE, [_address("bruno")]), [_address("bruno")], folder=folder)
    filed = sorted(site.item("bruno", _id(f"filed.{number}"))["activity_id"] for number in range(3))
    assert sorted(site.listed(regarding="account:first")) == filed

    site.api.put(rule, {"folder_name": "Projects", "regarding": {"type": "account", "id": "second"}})
    _becomes(filed, lambda: sorted(site.listed(regarding="account:second")))
    before = [site.activity(each) for each in filed]
    until = (datetime.now(UTC) + timedelta(minutes=1)).isoformat()
    message = RelinkFolder("twice", MailboxId(mailbox_id), folder, "account", "second", until)
    site.send(Queue.RELINK_FOLDER.value, message.to_json(), times=2)
    _settle(site, Queue.RELINK_FOLDER, "bruno")
    assert [site.activity(each) for each in filed] == before
    assert site.listed(regarding="account:first") == []
    assert sorted(site.listed(regarding="account:second")) == filed


@pytest.mark.parametrize("queue", [Queue.CHANGE_ITEMS, Queue.RELINK_FOLDER])
def test_a_message_that_is_none_of_ours_raises_an_alert(site: Site, queue: Queue) -> None:
    site.send(queue.value, "this is no message of ours")
    _becomes({"malformed_message"}, lambda: site.alerts(f"queue:{queue.value}"))


def test_messages_that_failed_for_good_say_what_was_not_done_and_the_mailbox_goes_on(site: Site) -> None:
    mailbox_id = MailboxId(site.add("/users/chloe"))
    until = datetime.now(UTC).isoformat()
    site.send(Queue.CHANGE_ITEMS.poison, ChangeItems("lost", mailbox_id, ItemTask.JUDGE).to_json())
    site.send(Queue.RELINK_FOLDER.poison, RelinkFolder("lost", mailbox_id, "folder", "account", "x", until).to_json())
    _becomes({"poison_message"}, lambda: site.alerts(f"mailbox:{mailbox_id}"))
    site.control.deliver(_mail("after", CUSTOMER, [_address("chloe")]), [_address("chloe")])
    assert site.item("chloe", _id("after"))["verdict"] == "promoted"


def _address(name: str) -> str:
    return f"{name}@contoso.example"


def _id(name: str) -> str:
    return f"{name}@fabrikam.example"


def _mail(name: str, sender: str, to: list[str], answers: str = "") -> bytes:
    answered = f"In-Reply-To: <{_id(answers)}>\n" if answers else ""
    return (
        f"From: <{sender}>\nTo: {', '.join(to)}\n{answered}Subject: {name}\nMessage-ID: <{_id(name)}>\n"
        "Date: Mon, 02 Nov 2026 08:00:00 +0000\n\ntext\n"
    ).encode()


def _settle(site: Site, queue: Queue, name: str) -> None:
    """What was sent to the queue is done (but for what waits for its time), and the mailbox was read after it."""
    with QueueClient.from_connection_string(site.machine.azurite.connection_string, queue.value) as client:
        _becomes([], client.peek_messages)
    time.sleep(1.0)
    site.read(name)
    time.sleep(1.0)


def _becomes(expected: object, look: Callable[[], object], site: Site | None = None, name: str = "") -> None:
    """Fails with what was there last. With `site` the mailbox is read meanwhile."""
    deadline = time.monotonic() + PATIENCE
    while (found := look()) != expected and time.monotonic() < deadline:
        if site is not None:
            site.read(name)
        time.sleep(0.3)
    assert found == expected

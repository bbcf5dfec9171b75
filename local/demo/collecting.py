"""The checks on POP3: a person's maildrop, and a forward mailbox that collects for somebody and is emptied."""

from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from functools import partial

from local.demo.api import Api, Json
from local.demo.check import Checks, Finding, none_of, wait_for
from local.mailserver.remote import MailServerControl
from local.samples.collected import COLLECTION, PAUL, RITA, SUBJECTS, Collected, collected
from local.samples.people import Person
from shared.domain.choices import Verdict

PROFILE = "contoso-pop3"
FORWARD_MAILBOX = "collection"
_PASSWORD = "every maildrop has its own"


class Collecting:
    """Two maildrops, and the mail in them."""

    def __init__(self, api: Api, control: MailServerControl, pop3_port: int, enumerate_now: Callable[[], None]) -> None:
        self._api = api
        self._control = control
        self._port = pop3_port
        self._enumerate_now = enumerate_now
        self._letters: Sequence[Collected] = ()
        self._mailboxes: dict[Person, str] = {}

    def check(self, checks: Checks) -> None:
        self._deliver()
        self._configure()
        self._enumerate_now()
        wait_for(lambda: all(self._item(letter) for letter in self._letters))
        checks.make("mail of a maildrop is read over POP3: verdicts", self._verdicts)
        for person in (PAUL, COLLECTION):
            checks.make(f"{person.name}: the emails that come of it", partial(self._subjects, person))
        checks.make("what was forwarded as attachment belongs to whom it was for", self._owners)
        checks.make("a forward mailbox is emptied of what is stored, and of nothing else", self._emptied)

    # ---- what happens

    def _deliver(self) -> None:
        for person in (PAUL, COLLECTION):
            self._control.add_mailbox(person.address, person.name, password=_PASSWORD)
        self._letters = collected(datetime.now(UTC))
        for letter in self._letters:
            self._control.deliver(letter.raw, [letter.to.address])

    def _configure(self) -> None:
        self._api.put(
            f"/profiles/{PROFILE}",
            {
                "name": "Contoso POP3",
                "server_type": "pop3_smtp",
                "incoming_location": "127.0.0.1",
                "incoming_port": self._port,
                "incoming_use_tls": False,
                "authentication": "basic",
                "credential_source": "mailbox",
                "process_emails_received_after": "2020-01-01T00:00:00Z",
            },
        )
        signs_in = {"profile_id": PROFILE, "credentials": {"username": PAUL.address, "secret": _PASSWORD}}
        self._mailboxes[PAUL] = self._add_user(PAUL)
        self._api.patch(f"/mailboxes/{self._mailboxes[PAUL]}", signs_in)
        collects = {"credentials": {"username": COLLECTION.address, "secret": _PASSWORD}, "process_and_delete": True}
        forward = {"name": COLLECTION.name, "address": COLLECTION.address, "profile_id": PROFILE, **collects}
        self._mailboxes[COLLECTION] = str(self._api.put(f"/mailboxes/{FORWARD_MAILBOX}", forward)["id"])
        rita = self._add_user(RITA)
        self._api.patch(f"/mailboxes/{rita}", {"incoming_method": "forward_mailbox"})
        for mailbox in (rita, *self._mailboxes.values()):
            self._api.post(f"/mailboxes/{mailbox}/approve")

    def _add_user(self, person: Person) -> str:
        user = {"name": person.name, "address": person.address, "filtering_method": "all"}
        return str(self._api.put(f"/users/{_id(person)}", user)["mailbox_id"])

    # ---- what is found

    def _item(self, letter: Collected) -> Json | None:
        mailbox = self._mailboxes[letter.to]
        items = self._api.get(f"/mailboxes/{mailbox}/explain", message_id=letter.message_id)["items"]
        return items[-1] if items else None

    def _verdicts(self) -> Finding:
        problems, reasons = [], []
        for letter in self._letters:
            item = self._item(letter) or {"verdict": "unknown", "reason": ""}
            reasons.append(str(item["reason"]))
            if (item["verdict"], item["reason"]) != (letter.verdict.value, letter.reason.value):
                problems.append(f"{letter.name}: {item['verdict']} ({item['reason']})")
        return none_of(problems, f"{len(self._letters)} messages: {', '.join(sorted(set(reasons)))}")

    def _subjects(self, person: Person) -> Finding:
        found = sorted(each["subject"] for each in self._activities(person))
        return found == sorted(SUBJECTS[person]), ", ".join(found)

    def _activities(self, person: Person) -> list[Json]:
        return list(self._api.everything(f"/mailboxes/{self._mailboxes[person]}/activities"))

    def _owners(self) -> Finding:
        owners = {self._api.get(f"/activities/{each['activity_id']}")["owner"]["id"] for each in self._activities(COLLECTION)}
        return owners == {_id(RITA)}, f"{', '.join(sorted(owners))}, whose incoming method is forward_mailbox"

    def _emptied(self) -> Finding:
        left = sorted(letter.name for letter in self._letters if letter.to is COLLECTION and letter.verdict is Verdict.SKIPPED)
        wait_for(lambda: len(self._control.items(COLLECTION.address)) <= len(left))
        found = len(self._control.items(COLLECTION.address))
        kept = len(self._control.items(PAUL.address))
        return (found, kept) == (len(left), 2), f"{found} left: {', '.join(left)}; {kept} in the maildrop that is not emptied"


def _id(person: Person) -> str:
    return person.address.partition("@")[0]

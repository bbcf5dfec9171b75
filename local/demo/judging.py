"""The checks on judging: a queue, folder rules, answers, an excluded domain, a category, a delivery report; each explained."""

from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from functools import partial
from urllib.parse import quote

from local.demo.api import Api, Json
from local.demo.check import Checks, Finding, none_of, wait_for
from local.demo.organisation import QUEUE
from local.mailserver.remote import MailServerControl
from local.samples import judged
from local.samples.judged import CUSTOMER, FILED, FILED_ELSEWHERE, JULIA, Told, answers, beginnings
from shared.domain.choices import Reason, Verdict

OWNER = "julia"
TOLD = (judged.ADVERTISEMENT, judged.ANSWER_BY_INDEX, judged.FILED_ELSEWHERE_LETTER)
"""What the summary explains in full."""
_CATEGORY = "Tracked"
_TAILSPIN, _WINGTIP, _FABRIKAM = ({"type": "account", "id": name} for name in ("tailspin", "wingtip", "fabrikam"))


class Story:
    """Julia, the queue, and the mail that reaches them."""

    def __init__(self, api: Api, control: MailServerControl, enumerate_now: Callable[[], None]) -> None:
        self._api = api
        self._control = control
        self._enumerate_now = enumerate_now
        self._letters: dict[str, Told] = {}
        self._items: dict[str, str] = {}
        """The mail server's ids of the items in Julia's Inbox, by name."""
        self._folders: dict[str, str] = {}
        self._mailbox = ""

    def begin(self) -> None:
        """Before mailboxes are read: people, rules, and mail that starts conversations. No checks yet."""
        self._configure()
        self._deliver(beginnings(datetime.now(UTC)))
        self._api.post(f"/mailboxes/{self._mailbox}/approve")

    def check(self, checks: Checks) -> None:
        """What became of the first part; then the second part, and what becomes of that."""
        self._wait(self._letters)
        self._check_verdicts(checks, self._letters, "in the first place")
        checks.make("what Julia sends is an outgoing activity", self._sent)
        checks.make("a message to a queue and a user is one activity, and one item of the queue", self._queue)
        checks.make("mail in a folder with a tracking rule is tracked, about the record of the rule", self._filed)
        later = answers(datetime.now(UTC), self._letters[judged.OFFER])
        self._go_on(later)
        checks.make(
            "answers of people whom nobody knows are found by In-Reply-To and by conversation index, and are about"
            " what the offer is about",
            self._answered,
        )
        checks.make("a delivery report is noted at the email that it speaks of", self._reported)
        checks.make("a message that was left alone is tracked once a person gives it the category", self._categorised)
        checks.make("a rule that is pointed at another record takes its mail along", self._relinked)
        self._check_verdicts(checks, later, "of the answers")
        checks.make("the decision is told in plain words, of what is tracked and of what is not", self._told)

    @property
    def question(self) -> str:
        """The activity that the customer's question became."""
        return str(self._item(judged.QUESTION)["activity_id"])

    def explanations(self) -> Mapping[str, Sequence[str]]:
        """Letters of the story, each with what became of it in plain words."""
        return {f"{name} ({self._subject(name)})": self._item(name)["story"] for name in TOLD}

    # ---- what happens

    def _configure(self) -> None:
        api, control = self._api, self._control
        control.add_mailbox(JULIA.address, JULIA.name)
        for folder in (FILED, FILED_ELSEWHERE):
            self._folders[folder] = control.add_folder(JULIA.address, folder, parent="inbox")
        api.put("/records/contact/olga-rivera", {"name": CUSTOMER.name, "addresses": [CUSTOMER.address]})
        api.patch(f"/queues/{QUEUE}", {"filtering_method": "leads_contacts_accounts"})
        julia = {"name": JULIA.name, "address": JULIA.address, "filtering_method": "leads_contacts_accounts"}
        self._mailbox = str(api.put(f"/users/{OWNER}", julia)["mailbox_id"])
        self._point(FILED, _TAILSPIN)
        self._point(FILED_ELSEWHERE, _WINGTIP)

    def _point(self, folder: str, record: Mapping[str, str]) -> None:
        path = f"/mailboxes/{self._mailbox}/rules/{quote(self._folders[folder], safe='')}"
        self._api.put(path, {"folder_name": folder, "regarding": record})

    def _deliver(self, letters: Mapping[str, Told]) -> None:
        for name, told in letters.items():
            if told.is_sent:
                self._control.send(told.raw, JULIA.address)
            elif told.folder:
                self._control.deliver(told.raw, [JULIA.address], folder=self._folders[told.folder])
            else:
                ids = self._control.deliver(told.raw, [one.address for one in told.to])
                self._items[name] = ids[told.to.index(JULIA)]
        self._letters |= letters

    def _go_on(self, later: Mapping[str, Told]) -> None:
        """Everything that a second run finds: answers, a category; and what is done over the API meanwhile."""
        self._api.put(f"/activities/{self._item(judged.OFFER)['activity_id']}/regarding", _TAILSPIN)
        self._point(FILED_ELSEWHERE, _FABRIKAM)
        self._deliver(later)
        self._control.categorize(JULIA.address, self._items[judged.INQUIRY], [_CATEGORY])
        self._api.post(f"/mailboxes/{self._mailbox}/sync")
        self._enumerate_now()
        self._wait(later)
        wait_for(lambda: self._item(judged.INQUIRY)["verdict"] == Verdict.PROMOTED.value)

    def _wait(self, letters: Mapping[str, Told]) -> None:
        wait_for(lambda: all(self._explain(name)["items"] for name in letters))

    # ---- what is found

    def _explain(self, name: str) -> Json:
        return self._api.get(f"/mailboxes/{self._mailbox}/explain", message_id=self._letters[name].message_id)

    def _item(self, name: str) -> Json:
        items = self._explain(name)["items"]
        if not items:
            raise LookupError(f"nothing is known of {name}")
        item: Json = items[-1]
        return item

    def _activity(self, name: str) -> Json:
        return self._api.get(f"/activities/{self._item(name)['activity_id']}")

    def _subject(self, name: str) -> str:
        (line,) = [each for each in self._letters[name].raw.decode().split("\r\n") if each.startswith("Subject: ")]
        return line.removeprefix("Subject: ")

    def _check_verdicts(self, checks: Checks, letters: Mapping[str, Told], which: str) -> None:
        checks.make(f"a user who wants mail of customers and answers: verdicts {which}", partial(self._verdicts, letters))

    def _verdicts(self, letters: Mapping[str, Told]) -> Finding:
        problems, tracked = [], 0
        for name, told in letters.items():
            item = self._item(name)
            tracked += item["verdict"] == Verdict.PROMOTED.value
            if (item["verdict"], item["reason"]) != (told.verdict.value, told.reason.value):
                problems.append(f"{name}: {item['verdict']} ({item['reason']})")
        reasons = sorted({told.reason.value for told in letters.values()})
        return none_of(problems, f"{tracked} tracked, {len(letters) - tracked} left alone: {', '.join(reasons)}")

    def _sent(self) -> Finding:
        offer = self._activity(judged.OFFER)
        ok = (offer["direction"], offer["status"]) == ("outgoing", "sent")
        return ok, f"{offer['subject']}: {offer['direction']}, {offer['status']}"

    def _queue(self) -> Finding:
        activity = self._activity(judged.QUESTION)
        items = [each["activity_id"] for each in self._api.everything("/activities", queue=QUEUE)]
        queue = self._api.get(f"/queues/{QUEUE}")["mailbox_id"]
        wait_for(lambda: len(self._activity(judged.QUESTION)["sightings"]) == 2)
        sightings = {each["mailbox_id"] for each in self._activity(judged.QUESTION)["sightings"]}
        ok = items == [activity["id"]] and sightings == {queue, self._mailbox}
        return ok, f"{len(items)} item of {QUEUE}, seen in {len(sightings)} mailboxes"

    def _filed(self) -> Finding:
        found = {name: self._activity(name)["regarding"] for name in (judged.FILED_LETTER, judged.FILED_ELSEWHERE_LETTER)}
        return list(found.values()) == [_TAILSPIN, _WINGTIP], "; ".join(f"{name}: {of}" for name, of in found.items())

    def _answered(self) -> Finding:
        offer = self._activity(judged.OFFER)
        found = [self._activity(name) for name in (judged.ANSWER, judged.ANSWER_BY_INDEX)]
        methods = [each["correlation_method"] for each in found]
        problems = [each["subject"] for each in found if (each["correlated_to"], each["regarding"]) != (offer["id"], _TAILSPIN)]
        ok = not problems and methods == ["in_reply_to", "conversation_index"]
        return ok, f"{', '.join(methods)}; about {_written(found[0]['regarding'])}, as somebody said of the offer"

    def _reported(self) -> Finding:
        notes = self._activity(judged.OFFER)["annotations"]
        told = [f"{one['address']}: {one['action']}, {one['status']}" for note in notes for one in note["recipients"]]
        return told == [f"{CUSTOMER.address}: failed, 5.2.2"], "; ".join(told) or "nothing is noted"

    def _categorised(self) -> Finding:
        item = self._item(judged.INQUIRY)
        ok = (item["verdict"], item["reason"]) == (Verdict.PROMOTED.value, Reason.CATEGORY.value)
        return ok, item["words"]

    def _relinked(self) -> Finding:
        def regarding() -> object:
            return self._activity(judged.FILED_ELSEWHERE_LETTER)["regarding"]

        wait_for(lambda: regarding() == _FABRIKAM)
        listed = [len(list(self._api.everything("/activities", regarding=_written(of)))) for of in (_WINGTIP, _FABRIKAM)]
        ok = regarding() == _FABRIKAM and listed == [0, 1]
        return ok, f"{listed[0]} about {_written(_WINGTIP)}, {listed[1]} about {_written(_FABRIKAM)}"

    def _told(self) -> Finding:
        stories = self.explanations()
        problems = [name for name, story in stories.items() if len(story) < 2]
        untold = self._item(judged.ADVERTISEMENT)
        ok = untold["activity_id"] is None and any("no." in line for line in untold["story"])
        return none_of([*problems, *([] if ok else [judged.ADVERTISEMENT])], " ".join(untold["story"]))


def _written(record: Mapping[str, str]) -> str:
    return f"{record['type']}:{record['id']}"

"""The checks on sending: a user's reply, a queue's answer, one by SMTP of which a recipient is refused, one that nobody takes;
and what comes back to them.
"""

from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from functools import partial

from local.demo.api import Api, Json
from local.demo.check import Checks, Finding, wait_for
from local.demo.collecting import PROFILE as POP3_PROFILE
from local.demo.organisation import QUEUE
from local.mailserver.remote import MailServerControl
from local.samples.judged import CUSTOMER
from local.samples.people import DOMAIN
from local.samples.writing import Letter, write

_REFUSED = f"nobody@{DOMAIN}"
"""A recipient whom the mail server does not know."""
_PICTURE = bytes.fromhex("47494638396101000100800000000000ffffff2c00000000010001000002024401003b")
"""The smallest GIF."""
_REPLY, _ANSWER, _PARTLY, _NOT_AT_ALL = "a user's reply", "a queue's answer", "a letter by SMTP", "a letter to nobody"


class Sending:
    """Julia and the queue answer a customer's question over Exchange; Paul writes by SMTP."""

    def __init__(
        self, api: Api, control: MailServerControl, smtp_port: int, question: str, enumerate_now: Callable[[], None]
    ) -> None:
        """`question`: the activity that the question of the customer became."""
        self._api = api
        self._control = control
        self._port = smtp_port
        self._question = question
        self._enumerate_now = enumerate_now
        self._emails: dict[str, str] = {}
        """Activities by what they are called here."""

    def check(self, checks: Checks) -> None:
        self._configure()
        checks.make("what cannot be sent is told at once, and stays a draft", self._refused_at_once)
        self._write()
        wait_for(lambda: all(self._email(name)["status"] in ("sent", "failed") for name in self._emails))
        for name in (_REPLY, _ANSWER):
            checks.make(
                f"{name} is sent over Exchange, once, with a copy in Sent Items", partial(self._sent_over_exchange, name)
            )
        checks.make("of a letter by SMTP the refused recipient is named, and the other one gets it", self._partly)
        checks.make("a letter that the server takes for no recipient has failed, in the server's words", self._failed)
        self._customer_answers()
        checks.make("the customer's answer to a user is found by In-Reply-To", partial(self._answered, _REPLY, "in_reply_to"))
        checks.make(
            "the customer's answer to a queue is found by the token", partial(self._answered, _ANSWER, "tracking_token")
        )
        checks.make("a letter that comes back as undeliverable says so", self._bounced)

    # ---- what happens

    def _configure(self) -> None:
        api = self._api
        self._control.add_mailbox(CUSTOMER.address, CUSTOMER.name)
        api.patch("/settings", {"token_in_subject": True})
        smtp = {"outgoing_location": "127.0.0.1", "outgoing_port": self._port, "outgoing_use_tls": False}
        api.patch(f"/profiles/{POP3_PROFILE}", {"use_same_settings_for_outgoing": False, **smtp})
        for owner in ("users/julia", f"queues/{QUEUE}", "users/paul"):
            mailbox = api.get(f"/{owner}")["mailbox_id"]
            api.patch(f"/mailboxes/{mailbox}", {"outgoing_method": "server_side"})

    def _write(self) -> None:
        reply = self._draft(_REPLY, "user", "julia", answers={"activity_id": self._question, "kind": "reply"})
        self._attach(reply, "logo.gif", "image/gif", _PICTURE, content_id="logo")
        self._draft(
            _ANSWER, "queue", QUEUE, subject="The oil for your test bench", to=[{"type": "contact", "id": "olga-rivera"}]
        )
        both = [{"address": CUSTOMER.address}, {"address": _REFUSED}]
        self._draft(_PARTLY, "user", "paul", subject="Visit on Friday", to=both)
        self._draft(_NOT_AT_ALL, "user", "paul", subject="Is anybody there?", to=[{"address": _REFUSED}])
        self._draft("a letter that bounces", "user", "julia", subject="The new price list", to=[{"address": _REFUSED}])
        for email in self._emails.values():
            self._api.post(f"/activities/{email}/send")

    def _draft(self, name: str, kind: str, owner: str, **fields: object) -> str:
        body = {"sender": {"kind": kind, "id": owner}, "body_html": f'<p>This is {name}.</p><img src="cid:logo">', **fields}
        self._emails[name] = str(self._api.post("/activities", body)["id"])
        return self._emails[name]

    def _attach(self, email: str, name: str, content_type: str, content: bytes, *, content_id: str) -> None:
        about = {"name": name, "content_type": content_type, "size": len(content), "content_id": content_id, "is_inline": True}
        upload = self._api.post(f"/activities/{email}/attachments", about)["upload"]
        self._api.put_octets(f"/activities/{email}/uploads/{upload}/parts/0", content)
        self._api.post(f"/activities/{email}/uploads/{upload}/complete")

    def _customer_answers(self) -> None:
        """One mail program names what it answers; the other one only keeps the subject."""
        for name, names_it, to in ((_REPLY, True, "julia"), (_ANSWER, False, QUEUE)):
            email = self._email(name)
            letter = Letter(
                (CUSTOMER.name, CUSTOMER.address),
                [("", f"{to}@{DOMAIN}")],
                f"AW: {email['subject']}",
                "Thank you.",
                datetime.now(UTC),
                self._answer_to(name),
                in_reply_to=email["message_id"] if names_it else None,
            )
            self._control.deliver(write(letter), [f"{to}@{DOMAIN}"])
        for owner in ("users/julia", f"queues/{QUEUE}"):
            self._api.post(f"/mailboxes/{self._mailbox(owner)}/sync")
        self._enumerate_now()

    # ---- what is found

    def _email(self, name: str) -> Json:
        return self._api.get(f"/activities/{self._emails[name]}")

    def _mailbox(self, owner: str) -> str:
        return str(self._api.get(f"/{owner}")["mailbox_id"])

    def _answer_to(self, name: str) -> str:
        return f"answer-to-{self._emails[name]}@tailspin.example"

    def _refused_at_once(self) -> Finding:
        email = self._draft("a letter without recipient", "user", "julia", subject="To whom?")
        answer = self._api.answer("POST", f"/activities/{email}/send")
        status = self._email("a letter without recipient")["status"]
        del self._emails["a letter without recipient"]
        problem = answer.json()
        return (answer.status_code, status) == (422, "draft"), f"{answer.status_code}: {problem['errors'][0]['detail']}"

    def _sent_over_exchange(self, name: str) -> Finding:
        email = self._email(name)
        copies = self._control.accepted(f"<{email['message_id']}>")
        sender = email["sender"]
        kept = sum(1 for _ in self._control.items(sender, "sentitems"))
        ok = email["status"] == "sent" and len(copies) == 1 and kept >= 1 and not self._control.items(sender, "drafts")
        return ok, f"{email['subject']}: {email['status']}, {len(copies)} copy on its way to {', '.join(copies[0].recipients)}"

    def _partly(self) -> Finding:
        email, attempts = self._email(_PARTLY), self._attempts(_PARTLY)
        refused = [one["address"] for one in attempts[-1]["refused"]]
        copies = self._control.accepted(f"<{email['message_id']}>")
        ok = (email["status"], refused, len(copies)) == ("sent", [_REFUSED], 1) and email["delivery"]["refused"] == 1
        return ok, f"{email['status']}, {refused[0] if refused else 'nobody'} refused: {attempts[-1]['refused'][0]['detail']}"

    def _failed(self) -> Finding:
        email = self._email(_NOT_AT_ALL)
        delivery: Mapping[str, object] = email["delivery"]
        ok = (email["status"], delivery["error"]) == ("failed", "recipients_refused") and bool(delivery["status_code"])
        return ok, f"{email['status']}: {delivery['status_code']} {delivery['detail']}"

    def _attempts(self, name: str) -> list[Json]:
        found: list[Json] = self._api.list(f"/activities/{self._emails[name]}/attempts")
        return found

    def _answered(self, name: str, method: str) -> Finding:
        mailbox = self._mailbox("users/julia" if name is _REPLY else f"queues/{QUEUE}")

        def items() -> list[Json]:
            found: list[Json] = self._api.get(f"/mailboxes/{mailbox}/explain", message_id=self._answer_to(name))["items"]
            return [each for each in found if each["activity_id"]]

        wait_for(lambda: bool(items()))
        answer = self._api.get(f"/activities/{items()[-1]['activity_id']}")
        found = answer["correlated_to"], answer["correlation_method"]
        ok = found == (self._emails[name], method)
        return ok, f"{answer['subject']}: {answer['correlation_method'] if ok else ' '.join(items()[-1]['story'])}"

    def _bounced(self) -> Finding:
        def notes() -> list[str]:
            annotations = self._email("a letter that bounces")["annotations"]
            return [f"{one['address']}: {one['action']}, {one['status']}" for note in annotations for one in note["recipients"]]

        self._api.post(f"/mailboxes/{self._mailbox('users/julia')}/sync")
        self._enumerate_now()
        wait_for(lambda: bool(notes()))
        return any(_REFUSED in note for note in notes()), "; ".join(notes()) or "nothing came back"

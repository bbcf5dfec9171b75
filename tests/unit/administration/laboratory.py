"""A laboratory: test & enable over stores in memory and a mail server that answers as it is told."""

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import timedelta

from shared.administration.testing import Testing
from shared.domain.choices import (
    AuthenticationProtocol,
    Workload,
)
from shared.domain.configuration import (
    Breaker,
    Discovered,
    EmailServerProfile,
    Mailbox,
    StoredMailbox,
    WorkloadSchedule,
)
from shared.domain.errors import AuthenticationFailed
from shared.domain.ids import ProfileId
from shared.domain.operations import Alert
from shared.messages import ProbeMailbox
from shared.ports import Stores
from shared.stores.memory import memory_stores
from tests.builders import MONDAY, SettableClock, a_mailbox, with_organisation

HOUR = timedelta(hours=1)


@dataclass
class Laboratory:
    """Tests over stores in memory; `answer` is what the mail server does when it is probed."""

    stores: Stores = field(default_factory=memory_stores)
    clock: SettableClock = field(default_factory=SettableClock)
    answer: Callable[[], None] = lambda: None
    probed: list[tuple[EmailServerProfile, Mailbox, Discovered | None]] = field(default_factory=list)

    def _probe(self, profile: EmailServerProfile, mailbox: Mailbox, discovered: Discovered | None) -> None:
        self.probed.append((profile, mailbox, discovered))
        self.answer()

    def _discover(self, profile: EmailServerProfile, mailbox: Mailbox, now: object) -> Discovered:  # noqa: ARG002
        self.clock.advance(timedelta(seconds=30))
        return FOUND

    @property
    def testing(self) -> Testing:
        probes = {Workload.INCOMING: self._probe, Workload.OUTGOING: self._probe}
        return Testing(self.stores, self.clock, probes, self._discover)

    def test(self, name: str = "anna", workload: Workload = Workload.INCOMING) -> WorkloadSchedule:
        self.testing.probe(ProbeMailbox("p1", a_mailbox(name).id))
        return self.mailbox(name).schedule[workload]

    def mailbox(self, name: str = "anna") -> StoredMailbox:
        found = self.stores.mailboxes.get(a_mailbox(name).id)
        assert found is not None
        return found

    def alerts(self, about: str = f"mailbox:{a_mailbox().id}") -> list[Alert]:
        return list(self.stores.alerts.list(about).items)

    def breaker(self, workload: Workload = Workload.INCOMING) -> Breaker | None:
        profile = self.stores.profiles.get(ProfileId("contoso"))
        assert profile is not None
        return profile.breakers.get(workload)


FOUND = Discovered("https://mail.contoso.example/EWS/Exchange.asmx", "15.2", AuthenticationProtocol.NTLM, MONDAY)


def raising(error: BaseException) -> Callable[[], None]:
    def answer() -> None:
        raise error

    return answer


def a_laboratory() -> Laboratory:
    """With two mailboxes on one profile."""
    lab = Laboratory()
    with_organisation(lab.stores, a_mailbox("anna"), a_mailbox("ben"))
    return lab


WRONG_PASSWORD = AuthenticationFailed("HTTP 401", profile_wide=True)

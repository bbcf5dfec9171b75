"""Configuration on the running host: what an administrator does over HTTP shows at the mail server and in the mailboxes."""

import os
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
import yaml

from local.demo.api import Api, run_function
from local.demo.machine import Machine
from local.demo.organisation import SERVICE_ACCOUNT, SERVICE_PASSWORD, profile
from local.mailserver.remote import MailServerControl

pytestmark = pytest.mark.slow

ROOT = Path(__file__).parents[2]
PATIENCE = 120.0
NOW = datetime.now(UTC)


@dataclass
class Site:
    machine: Machine
    api: Api
    control: MailServerControl

    def configure(self, name: str, account: str, *, password: str = SERVICE_PASSWORD, start: datetime = NOW) -> str:
        """A profile, and a user on it who is approved; returns the mailbox."""
        self.control.add_account(account, SERVICE_PASSWORD, impersonation=True)
        self.control.add_mailbox(f"{name}@contoso.example")
        server = {**profile(self.machine.ews_url, start), "min_polling_interval": 0, "timeout": 60}
        self.api.put(f"/profiles/{name}", {**server, "credentials": {"username": account, "secret": password}})
        user = {"name": name, "address": f"{name}@contoso.example", "filtering_method": "all"}
        mailbox_id = str(self.api.put(f"/users/{name}", user)["mailbox_id"])
        self.api.patch(f"/mailboxes/{mailbox_id}", {"profile_id": name})
        self.api.post(f"/mailboxes/{mailbox_id}/approve")
        return mailbox_id

    def status(self, mailbox_id: str) -> str:
        return str(self.api.get(f"/mailboxes/{mailbox_id}")["workloads"]["incoming"]["status"])

    def alerts(self, about: str) -> dict[str, Any]:
        return {alert["code"]: alert for alert in self.api.everything("/alerts", about=about)}

    def subjects(self, mailbox_id: str) -> list[str]:
        return sorted(entry["subject"] for entry in self.api.everything(f"/mailboxes/{mailbox_id}/activities"))

    def refused_sign_ins(self) -> int:
        return sum(asked.status == 401 for asked in self.control.requests.of(head="ews"))

    def enumerate(self) -> None:
        run_function(self.machine.base_url, self.machine.master_key, "enumerate_mailboxes")


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    with (
        Machine(tmp_path_factory.mktemp("logs")) as machine,
        Api(machine.base_url, machine.key) as api,
        MailServerControl(machine.control_url) as control,
    ):
        yield Site(machine, api, control)


def test_test_and_enable_of_a_mailbox_that_works_says_so(site: Site) -> None:
    mailbox_id = site.configure("anna", SERVICE_ACCOUNT)
    site.api.post(f"/mailboxes/{mailbox_id}/test")
    assert _becomes(True, lambda: "test_succeeded" in site.alerts(f"mailbox:{mailbox_id}"))
    assert _becomes("success", lambda: site.status(mailbox_id))


def test_a_wrong_password_is_tried_once_and_its_correction_needs_no_restart(site: Site) -> None:
    host = site.machine.host.pid
    before, began = site.refused_sign_ins(), time.monotonic()
    mailbox_id = site.configure("bruno", "svc-bruno", password="mistyped")
    site.api.post(f"/mailboxes/{mailbox_id}/test")
    assert _becomes("failure", lambda: site.status(mailbox_id))
    assert time.monotonic() - began < 50, "as long as the timeout of the profile"
    alert = site.alerts("profile:bruno")["authentication_failed"]
    assert "password" in alert["cause"]
    assert "password" in alert["remedy"]
    site.api.post(f"/mailboxes/{mailbox_id}/test")
    site.enumerate()
    time.sleep(3)
    assert site.refused_sign_ins() - before == 1

    site.api.patch("/profiles/bruno", {"credentials": {"secret": SERVICE_PASSWORD}})
    site.control.deliver(_mail("after the rotation"), ["bruno@contoso.example"])
    assert _becomes(["after the rotation"], lambda: _after(site.enumerate, lambda: site.subjects(mailbox_id)), every=1.0)
    assert site.status(mailbox_id) == "success"
    assert site.refused_sign_ins() - before == 1
    assert site.machine.host.pid == host


def test_a_reset_to_an_earlier_date_brings_older_mail_in_and_doubles_nothing(site: Site) -> None:
    mailbox_id = site.configure("chloe", "svc-chloe", start=NOW - timedelta(days=100))
    site.api.patch(f"/mailboxes/{mailbox_id}", {"process_email_received_after": (NOW - timedelta(days=2)).isoformat()})
    for days in (1, 10, 90):
        site.control.deliver(_mail(f"{days:02}"), ["chloe@contoso.example"], NOW - timedelta(days=days))
    site.enumerate()
    assert _becomes(["01"], lambda: site.subjects(mailbox_id))
    site.api.answer("POST", f"/mailboxes/{mailbox_id}/reset", {"received_after": (NOW - timedelta(days=30)).isoformat()})
    assert _becomes(["01", "10"], lambda: _after(site.enumerate, lambda: site.subjects(mailbox_id)), every=1.0)
    site.api.post(f"/mailboxes/{mailbox_id}/sync")
    site.enumerate()
    time.sleep(2)
    assert site.subjects(mailbox_id) == ["01", "10"]


def test_of_twenty_who_create_the_same_user_at_once_one_does_and_there_is_one_mailbox(site: Site) -> None:
    def create(_: int) -> tuple[int, str]:
        with Api(site.machine.base_url, site.machine.key) as api:
            answer = api.answer("PUT", "/users/david", {"name": "David", "address": "david@contoso.example"})
            return answer.status_code, str(answer.json().get("mailbox_id"))

    with ThreadPoolExecutor(20) as callers:
        answers = list(callers.map(create, range(20)))
    assert Counter(status for status, _ in answers) == {201: 1, 200: 19}
    listed = [one["id"] for one in site.api.everything("/mailboxes") if one["address"] == "david@contoso.example"]
    assert {mailbox_id for _, mailbox_id in answers} == set(listed)
    assert len(listed) == 1


def test_a_policy_that_is_applied_twice_changes_nothing_the_second_time(site: Site, tmp_path: Path) -> None:
    exported, policy = tmp_path / "exported.yaml", tmp_path / "policy.yaml"
    assert _admin(site, "policy", "export", exported)[0] == 0
    assert _admin(site, "policy", "diff", exported)[0] == 0

    queue = {"name": "Support", "address": "support@contoso.example", "filtering_method": "all"}
    policy.write_text(yaml.safe_dump({"settings": {"exclude": ["newsletter.example"]}, "queues": {"support": queue}}))
    assert _admin(site, "policy", "diff", policy)[0] == 4
    code, told = _admin(site, "policy", "apply", policy)
    assert code == 0, told
    before = _written(site)
    assert _admin(site, "policy", "apply", policy)[0] == 0
    assert _written(site) == before


def _written(site: Site) -> tuple[object, ...]:
    """The audit, and the ETags of what the policy names."""
    etags = [site.api.answer("GET", path).headers["ETag"] for path in ("/settings", "/queues/support")]
    return *site.api.everything("/audit", limit=500), *etags


def _admin(site: Site, *arguments: str | Path) -> tuple[int, str]:
    environment = {**os.environ, "SIDESYNC_URL": site.machine.base_url, "SIDESYNC_KEY": site.machine.key}
    command = [sys.executable, "-m", "admin", *map(str, arguments)]
    done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, timeout=60)  # noqa: S603
    return done.returncode, done.stdout + done.stderr


def _mail(subject: str) -> bytes:
    return f"From: a@northwind.example\nSubject: {subject}\nMessage-ID: <{subject.replace(' ', '.')}@e.example>\n\nx\n".encode()


def _after[T](act: Callable[[], None], look: Callable[[], T]) -> T:
    act()
    return look()


def _becomes[T](expected: T, look: Callable[[], T], every: float = 0.2) -> bool:
    """Fails with what was there last."""
    deadline = time.monotonic() + PATIENCE
    while (found := look()) != expected and time.monotonic() < deadline:
        time.sleep(every)
    assert found == expected
    return True

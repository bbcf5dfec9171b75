"""The host is ended and started again, twice, while mail keeps coming: nothing is lost, nothing comes twice."""

import time
from pathlib import Path

import pytest

from local.demo.api import Api, run_function
from local.demo.machine import Machine
from local.demo.organisation import SERVICE_ACCOUNT, SERVICE_PASSWORD, profile, user_id
from local.mailserver.remote import MailServerControl
from local.samples.people import ANNA
from tests.e2e.organisation import LONG_AGO

PATIENCE = 120.0


@pytest.mark.slow
def test_a_host_that_is_restarted_twice_goes_on_where_it_was(tmp_path: Path) -> None:
    with Machine(tmp_path) as machine, MailServerControl(machine.control_url) as control:
        control.add_account(SERVICE_ACCOUNT, SERVICE_PASSWORD, impersonation=True)
        control.add_mailbox(ANNA.address)
        mailbox_id, key = _configure(machine), machine.key
        expected: set[str] = set()
        for life in range(3):
            for number in range(5):
                control.deliver(_mail(life, number), [ANNA.address])
                expected.add(f"{life}.{number}")
            assert _listed_after_a_run(machine, mailbox_id, expected) == sorted(expected)
            if life < 2:
                assert machine.host.stop() == 0
                machine.start_host()
        assert machine.key == key


def _configure(machine: Machine) -> str:
    with Api(machine.base_url, machine.key) as api:
        api.put("/profiles/contoso-exchange", {**profile(machine.ews_url, LONG_AGO), "min_polling_interval": 0})
        user = api.put(f"/users/{user_id(ANNA)}", {"name": ANNA.name, "address": ANNA.address, "filtering_method": "all"})
        api.patch(f"/mailboxes/{user['mailbox_id']}", {"profile_id": "contoso-exchange"})
        api.post(f"/mailboxes/{user['mailbox_id']}/approve")
        return str(user["mailbox_id"])


def _listed_after_a_run(machine: Machine, mailbox_id: str, expected: set[str]) -> list[str]:
    """Subjects of the activities, as soon as there are as many as expected."""
    deadline = time.monotonic() + PATIENCE
    with Api(machine.base_url, machine.key) as api:
        api.post(f"/mailboxes/{mailbox_id}/sync")
        run_function(machine.base_url, machine.master_key, "enumerate_mailboxes")
        while True:
            subjects = sorted(entry["subject"] for entry in api.everything(f"/mailboxes/{mailbox_id}/activities"))
            if len(subjects) >= len(expected) or time.monotonic() > deadline:
                return subjects
            time.sleep(0.2)


def _mail(life: int, number: int) -> bytes:
    name = f"{life}.{number}"
    return f"From: a@northwind.example\nSubject: {name}\nMessage-ID: <{name}@northwind.example>\n\ntext {name}\n".encode()

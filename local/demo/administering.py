"""The checks on configuration: rules that apply by themselves, test & enable, the address book, and who changed what."""

import json
import time
from collections.abc import Callable, Mapping
from urllib.parse import quote

from local.demo.api import Api, Json
from local.demo.check import Checks, Finding, none_of
from local.demo.organisation import PROFILE, QUEUE, QUEUE_ADDRESS, SERVICE_ACCOUNT, SERVICE_PASSWORD
from local.mailserver.remote import MailServerControl
from local.samples.people import ANNA, DOMAIN, GUSTAV, HANNA

MISTYPED_PROFILE = "contoso-mistyped"
MISTYPED_PASSWORD = "correct horse battery stable"
_MISTYPED_ADDRESS = f"ida@{DOMAIN}"
_RECORDS = 3_000
_BAD_LINES = {1_001: '{"type": "contact", "id":', 2_001: '{"type": "contact", "id": "c-bad", "name": "B", "addresses": ["b"]}'}
_KNOWN = "customer1500@wingtip.example"
_PATIENCE = 60.0


def check_administration(
    checks: Checks, api: Api, control: MailServerControl, ews_url: str, mailboxes: Mapping[str, str]
) -> None:
    """What takes a while in the functions is begun first and looked at last."""
    tested, refused_before = mailboxes[ANNA.address], _refused_sign_ins(control)
    mistyped = _configure_mistyped(api, control, ews_url)
    for mailbox_id in (tested, mistyped):
        api.post(f"/mailboxes/{mailbox_id}/test")
    load = api.upload("/loads", _file(), "application/x-ndjson")["id"]
    checks.make("mailboxes of new users and queues have the default profile by themselves", lambda: _default_profile(api))
    checks.make("approval as the settings say: users wait for it, queues do not", lambda: _approval(api, mailboxes))
    checks.make("a folder tracking rule; the same again changes nothing", lambda: _rule(api, control, tested))
    checks.make("a profile in use is not deleted (409), and it is said who uses it", lambda: _in_use(api))
    checks.make("an update that would undo another one is refused (412)", lambda: _lost_update(api))
    checks.make("test & enable tries a mailbox for real and says how each workload fared", lambda: _tested(api, tested))
    checks.make(
        "test & enable with a wrong password names the credentials and the remedy, after one attempt",
        lambda: _mistyped(api, control, mistyped, refused_before),
    )
    checks.make("a bulk load lists the lines that it rejects, and loads the others", lambda: _loaded(api, load))
    checks.make("an address is found, however it is written", lambda: _looked_up(api))
    checks.make("the audit says who changed what, and no secret", lambda: _audit(api))


def _configure_mistyped(api: Api, control: MailServerControl, ews_url: str) -> str:
    """A user whose mailbox is on a profile with a wrong password; returns the mailbox."""
    control.add_mailbox(_MISTYPED_ADDRESS)
    server = {
        "name": "Contoso Exchange, mistyped",
        "server_type": "exchange_server",
        "incoming_location": ews_url,
        "authentication": "basic",
        "credential_source": "profile",
        "credentials": {"username": SERVICE_ACCOUNT, "secret": MISTYPED_PASSWORD},
    }
    api.put(f"/profiles/{MISTYPED_PROFILE}", server)
    mailbox_id = str(api.put("/users/ida", {"name": "Ida Lund", "address": _MISTYPED_ADDRESS})["mailbox_id"])
    api.patch(f"/mailboxes/{mailbox_id}", {"profile_id": MISTYPED_PROFILE})
    api.post(f"/mailboxes/{mailbox_id}/approve")
    return mailbox_id


# ---- rules


def _default_profile(api: Api) -> Finding:
    chosen = {GUSTAV.address, _MISTYPED_ADDRESS}  # somebody said otherwise
    found = {one["address"]: one["profile_id"] for one in api.everything("/mailboxes") if one["address"] not in chosen}
    problems = [f"{address} has {profile_id}" for address, profile_id in found.items() if profile_id != PROFILE]
    return none_of(problems, f"{len(found)} mailboxes on {PROFILE}")


def _approval(api: Api, mailboxes: Mapping[str, str]) -> Finding:
    user = api.get(f"/mailboxes/{mailboxes[HANNA.address]}")
    queue = api.get(f"/mailboxes/{api.get(f'/queues/{QUEUE}')['mailbox_id']}")
    ok = (user["approval"], queue["approval"]) == ("pending", "approved")
    return ok, f"{HANNA.address} {user['approval']}, {QUEUE_ADDRESS} {queue['approval']}"


def _rule(api: Api, control: MailServerControl, mailbox_id: str) -> Finding:
    folder = control.add_folder(ANNA.address, "Wingtip", parent="inbox")
    path = f"/mailboxes/{mailbox_id}/rules"
    rule = {"folder_name": "Wingtip", "regarding": {"type": "account", "id": "wingtip"}}
    statuses = [api.answer("PUT", f"{path}/{quote(folder, safe='')}", rule).status_code for _ in range(2)]
    listed = [(one["folder_id"], one["folder_name"]) for one in api.everything(path)]
    ok = statuses == [201, 200] and listed == [(folder, "Wingtip")]
    return ok, f"answered {statuses[0]}, then {statuses[1]}; {len(listed)} rule listed"


def _in_use(api: Api) -> Finding:
    answer = api.answer("DELETE", f"/profiles/{PROFILE}")
    named = ANNA.address in answer.text and api.answer("GET", f"/profiles/{PROFILE}").status_code == 200
    told = answer.json()["detail"].split(", ")[0]
    return (
        answer.status_code == 409 and named,
        f"{answer.status_code}: {told}, and {answer.text.count(f'@{DOMAIN}')} mailboxes in all",
    )


def _lost_update(api: Api) -> Finding:
    """Two administrators read the same queue; the second to write has not seen what the first wrote."""
    path = f"/queues/{QUEUE}"
    seen = {"If-Match": api.answer("GET", path).headers["ETag"]}
    first = api.answer("PATCH", path, {"name": "Support, first line"}, seen)
    second = api.answer("PATCH", path, {"name": "Support, second line"}, seen)
    name = api.get(path)["name"]
    ok = (first.status_code, second.status_code, name) == (200, 412, "Support, first line")
    return ok, f"{first.status_code}, then {second.status_code}: {second.json()['remedy']} Kept: {name}"


# ---- test & enable


def _tested(api: Api, mailbox_id: str) -> Finding:
    told = _wait_for(lambda: _alert(api, f"mailbox:{mailbox_id}", "test_succeeded"))
    statuses = {name: one["status"] for name, one in api.get(f"/mailboxes/{mailbox_id}")["workloads"].items()}
    ok = told is not None and statuses["incoming"] == "success"
    return ok, ", ".join(f"{name} {status}" for name, status in statuses.items())


def _mistyped(api: Api, control: MailServerControl, mailbox_id: str, refused_before: int) -> Finding:
    alert = _wait_for(lambda: _alert(api, f"profile:{MISTYPED_PROFILE}", "authentication_failed"))
    status = _wait_for(lambda: _failure(api, mailbox_id))
    attempts = _refused_sign_ins(control) - refused_before
    if alert is None or status is None:
        return False, f"no {'alert' if alert is None else 'status'}, {attempts} attempts"
    ok = "password" in alert["cause"] and "password" in alert["remedy"] and attempts == 1
    return ok, f"incoming {status}, {attempts} attempt. {alert['cause']} {alert['remedy']}"


def _failure(api: Api, mailbox_id: str) -> str | None:
    status = str(api.get(f"/mailboxes/{mailbox_id}")["workloads"]["incoming"]["status"])
    return status if status == "failure" else None


def _alert(api: Api, about: str, code: str) -> Json | None:
    return next((alert for alert in api.everything("/alerts", about=about) if alert["code"] == code), None)


def _refused_sign_ins(control: MailServerControl) -> int:
    return sum(asked.status == 401 for asked in control.requests.of(head="ews"))


# ---- address book


def _file() -> bytes:
    """Records as JSON lines, and two lines that are none."""
    lines = [
        json.dumps({"type": "contact", "id": f"c-{n}", "name": f"Customer {n}", "addresses": [f"customer{n}@wingtip.example"]})
        for n in range(_RECORDS)
    ]
    for number, line in _BAD_LINES.items():
        lines.insert(number - 1, line)
    return "".join(f"{line}\n" for line in lines).encode()


def _loaded(api: Api, load_id: str) -> Finding:
    started = time.perf_counter()
    load = _wait_for(lambda: _finished(api.get(f"/loads/{load_id}")))
    if load is None:
        return False, f"not within {time.perf_counter() - started:.0f} s"
    rejected = list(api.everything(f"/loads/{load_id}/rejected"))
    ok = (load["state"], load["loaded"], [line["line"] for line in rejected]) == ("completed", _RECORDS, list(_BAD_LINES))
    told = "; ".join(f"line {line['line']}: {line['detail']}" for line in rejected)
    return ok, f"{load['lines']:,} lines, {load['loaded']:,} loaded, {load['rejected']} rejected. {told}"


def _finished(load: Json) -> Json | None:
    return load if load["state"] in ("completed", "failed") else None


def _looked_up(api: Api) -> Finding:
    found = api.get(f"/addresses/{quote(_KNOWN.upper())}")["records"]
    own = api.get(f"/addresses/{quote(ANNA.address)}")["records"]
    kinds = [(one["kind"], one["id"]) for one in (*found, *own)]
    ok = kinds == [("contact", "c-1500"), ("user", "anna")]
    return ok, ", ".join(f"{one['kind']} {one['name']}" for one in (*found, *own))


# ---- audit


def _audit(api: Api) -> Finding:
    entries = list(api.everything("/audit", limit=500))
    records = {"settings", f"profile:{PROFILE}", "user:anna", f"queue:{QUEUE}"}
    problems = [f"nothing about {record}" for record in sorted(records - {entry["record"] for entry in entries})]
    changes = {(change["field"], change["new"]) for entry in entries for change in entry["changes"]}
    expected = (("credentials/secret", '"set"'), ("name", '"Support, first line"'), ("default_profile_id", f'"{PROFILE}"'))
    problems += [f"no change of {field} to {new}" for field, new in expected if (field, new) not in changes]
    told = json.dumps(entries)
    problems += ["a secret is shown" for secret in (SERVICE_PASSWORD, MISTYPED_PASSWORD) if secret in told]
    callers = ", ".join(sorted({entry["caller"] for entry in entries}))
    return none_of(problems, f"{len(entries)} changes by {callers}, field by field; a password is only told to be set")


def _wait_for[T](look: Callable[[], T | None]) -> T | None:
    deadline = time.monotonic() + _PATIENCE
    while (found := look()) is None and time.monotonic() < deadline:
        time.sleep(0.3)
    return found

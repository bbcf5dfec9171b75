"""Activities, attachments, runs, alerts, quarantine and explain over HTTP."""

from datetime import timedelta

import pytest

from shared.domain.choices import AlertLevel, Notifications, ParticipationType, Workload
from shared.domain.email import Party
from shared.domain.ids import MailboxId, RunId
from shared.domain.operations import Alert, Run, RunOutcome
from tests.builders import MONDAY
from tests.functions.api.found_mail import ACTIVITY, JUDGED, NOWHERE, has_email, has_quarantined_item
from tests.functions.api.over_memory import Api
from tests.unit.administration.emails import MESSAGE_ID


@pytest.fixture
def mailbox_id(api: Api) -> str:
    return api.has_mailbox_being_read()


def test_activities_of_a_mailbox_are_listed(api: Api, mailbox_id: str) -> None:
    has_email(api, mailbox_id)

    assert api.get(f"/mailboxes/{mailbox_id}/activities").json() == {
        "items": [
            {
                "activity_id": ACTIVITY,
                "time": "2026-11-23T08:00:00Z",
                "subject": "Offer",
                "sender": "carol@fabrikam.example",
                "direction": "incoming",
                "attachment_count": 0,
            }
        ],
        "continuation": None,
    }


def test_an_activity_says_that_attachments_were_left_out(api: Api, mailbox_id: str) -> None:
    has_email(api, mailbox_id, notifications=Notifications.ATTACHMENTS_LEFT_OUT)

    assert api.get(f"/activities/{ACTIVITY}").json()["notifications"] == "attachments_left_out"


def test_an_activity_is_shown_with_parties_text_and_sanitised_html(api: Api, mailbox_id: str) -> None:
    has_email(
        api,
        mailbox_id,
        body_html='<p onclick="x()">Our offer <img src="cid:0@contoso"><img src="https://tracker.example/x"></p>',
        attachments={"logo.png": ("image/png", b"png")},
        parties=(Party(ParticipationType.SENDER, "carol@fabrikam.example", "Carol"),),
        references=("a@b", "c@d"),
    )

    shown = api.get(f"/activities/{ACTIVITY}").json()

    download = f"/api/activities/{ACTIVITY}/attachments/0"
    assert shown["body_html"] == f'<p>Our offer <img src="{download}"><img src="blocked:https://tracker.example/x"></p>'
    assert shown["body_text"] == "Our offer"
    assert shown["message_id"] == MESSAGE_ID
    assert shown["references"] == ["a@b", "c@d"]
    assert (shown["direction"], shown["state"], shown["status"], shown["priority"]) == (
        "incoming",
        "completed",
        "received",
        "normal",
    )
    assert shown["parties"] == [
        {
            "type": "sender",
            "address": "carol@fabrikam.example",
            "name": "Carol",
            "record_kind": None,
            "record_id": None,
            "is_named": False,
            "is_left_out": False,
        }
    ]
    assert shown["attachments"] == [
        {
            "url": download,
            "name": "logo.png",
            "content_type": "image/png",
            "size": 3,
            "sha256": "sha",
            "content_id": "0@contoso",
            "is_inline": False,
            "upload": None,
        }
    ]
    assert shown["sightings"] == [{"mailbox_id": mailbox_id, "seen_on": "2026-11-23T08:00:00Z"}]


def test_the_body_as_received_is_shown_on_request(api: Api, mailbox_id: str) -> None:
    has_email(api, mailbox_id, body_html="<script>alert(1)</script>")

    assert api.get(f"/activities/{ACTIVITY}").json()["body_html"] == ""
    assert api.get(f"/activities/{ACTIVITY}", params={"raw": True}).json()["body_html"] == "<script>alert(1)</script>"


def test_the_body_is_served_sanitised_in_a_sandbox(api: Api, mailbox_id: str) -> None:
    has_email(api, mailbox_id, body_html="<p>Offer</p><script>alert(1)</script>")

    page = api.get(f"/activities/{ACTIVITY}/body")

    assert page.text == "<p>Offer</p>"
    assert page.headers["Content-Type"] == "text/html; charset=utf-8"
    assert page.headers["X-Content-Type-Options"] == "nosniff"
    policy = page.headers["Content-Security-Policy"]
    assert policy.startswith("sandbox ")
    assert "default-src 'none'" in policy
    assert "allow-scripts" not in policy
    assert "allow-same-origin" not in policy


def test_the_pictures_of_a_body_stand_in_its_page_and_nothing_else_does(api: Api, mailbox_id: str) -> None:
    """A page in a sandbox can ask for nothing, and a picture would need the key."""
    has_email(
        api,
        mailbox_id,
        body_html='<img src="cid:0@contoso"><img src="cid:1@contoso"><img src="cid:2@contoso">',
        attachments={
            "a.png": ("image/png", b"png"),
            "b.svg": ("image/svg+xml", b"<svg/>"),
            "c.gif": ("image/gif", bytes(5_000_000)),
        },
    )

    page = api.get(f"/activities/{ACTIVITY}/body")

    assert page.text == '<img src="data:image/png;base64,cG5n"><img><img>'
    assert "img-src data:;" in page.headers["Content-Security-Policy"]


def test_the_raw_body_is_a_download(api: Api, mailbox_id: str) -> None:
    has_email(api, mailbox_id, body_html="<script>alert(1)</script>")

    raw = api.get(f"/activities/{ACTIVITY}/body", params={"raw": True})

    assert raw.text == "<script>alert(1)</script>"
    assert raw.headers["Content-Disposition"].startswith("attachment;")
    assert raw.headers["Content-Security-Policy"] == "sandbox; default-src 'none'"


def test_a_body_without_html_is_served_as_text(api: Api, mailbox_id: str) -> None:
    has_email(api, mailbox_id, body_text="<b>not bold</b>")

    text = api.get(f"/activities/{ACTIVITY}/body")

    assert (text.text, text.headers["Content-Type"]) == ("<b>not bold</b>", "text/plain; charset=utf-8")
    assert text.headers["X-Content-Type-Options"] == "nosniff"


def test_an_attachment_is_downloaded_as_it_was_and_never_shown_in_place(api: Api, mailbox_id: str) -> None:
    content = bytes(range(256)) * 20_000
    has_email(api, mailbox_id, {"page.html": ("text/html", content)})

    answer = api.get(f"/activities/{ACTIVITY}/attachments/0")

    assert answer.content == content
    assert answer.headers["Content-Type"] == "text/html"
    assert answer.headers["X-Content-Type-Options"] == "nosniff"
    assert answer.headers["Content-Security-Policy"] == "sandbox; default-src 'none'"
    assert answer.headers["Content-Disposition"] == "attachment; filename=\"page.html\"; filename*=UTF-8''page.html"


@pytest.mark.parametrize(
    ("name", "plain", "encoded"),
    [
        ("Ärger.pdf", "_rger.pdf", "%C3%84rger.pdf"),
        ('a"; filename="evil.exe', "a__ filename=_evil.exe", "a__%20filename%3D_evil.exe"),
        ("a\r\nSet-Cookie: x=1", "a__Set-Cookie_ x=1", "a__Set-Cookie_%20x%3D1"),
        ("../../etc/passwd", "_.._etc_passwd", "_.._etc_passwd"),
        ("", "attachment", "attachment"),
        ("...", "attachment", "attachment"),
        ("發票.pdf", "__.pdf", "%E7%99%BC%E7%A5%A8.pdf"),
        ("\u202egpj.exe", "_gpj.exe", "_gpj.exe"),
        ("x" * 500, "x" * 150, "x" * 150),
        ("x" * 500 + ".docx", "x" * 145 + ".docx", "x" * 145 + ".docx"),
    ],
)
def test_a_file_name_can_neither_end_the_header_nor_name_a_folder(
    api: Api, mailbox_id: str, name: str, plain: str, encoded: str
) -> None:
    has_email(api, mailbox_id, {name: ("text/plain", b"x")})

    answer = api.get(f"/activities/{ACTIVITY}/attachments/0")

    assert answer.headers["Content-Disposition"] == f"attachment; filename=\"{plain}\"; filename*=UTF-8''{encoded}"
    assert "set-cookie" not in answer.headers


@pytest.mark.parametrize("media_type", ["", "text/html\r\nX: y", "text", "a b/c", "text/html; charset=utf-7", "ä/b"])
def test_a_media_type_that_is_none_becomes_a_stream_of_bytes(api: Api, mailbox_id: str, media_type: str) -> None:
    has_email(api, mailbox_id, {"a.bin": (media_type, b"x")})

    assert api.get(f"/activities/{ACTIVITY}/attachments/0").headers["Content-Type"] == "application/octet-stream"


def test_an_attachment_that_is_empty_is_downloaded_too(api: Api, mailbox_id: str) -> None:
    has_email(api, mailbox_id, {"empty.txt": ("text/plain", b"")})

    assert api.get(f"/activities/{ACTIVITY}/attachments/0").content == b""


def test_what_is_not_there_is_not_found(api: Api, mailbox_id: str) -> None:
    has_email(api, mailbox_id, {"a.txt": ("text/plain", b"x")})
    api.office.stores.blobs.delete("emails/x/0")

    paths = [
        f"/activities/{NOWHERE}",
        f"/activities/{NOWHERE}/body",
        f"/activities/{NOWHERE}/attachments/0",
        f"/activities/{ACTIVITY}/attachments/0",
        f"/activities/{ACTIVITY}/attachments/1",
        f"/mailboxes/{NOWHERE}",
        f"/mailboxes/{NOWHERE}/activities",
        f"/mailboxes/{NOWHERE}/runs",
        f"/mailboxes/{NOWHERE}/quarantine",
        f"/mailboxes/{NOWHERE}/explain?message_id=x",
        f"/mailboxes/{mailbox_id}/explain?activity_id={NOWHERE}",
        "/profiles/nowhere",
        "/users/nowhere",
    ]
    answers = {path: api.get(path) for path in paths}

    assert {path: answer.status_code for path, answer in answers.items()} == dict.fromkeys(paths, 404)
    assert {answer.json()["code"] for answer in answers.values()} == {"record_not_found"}


def test_a_message_is_explained(api: Api, mailbox_id: str) -> None:
    has_email(api, mailbox_id)

    by_message = api.get(f"/mailboxes/{mailbox_id}/explain", params={"message_id": f"<{MESSAGE_ID}>"})
    by_activity = api.get(f"/mailboxes/{mailbox_id}/explain", params={"activity_id": ACTIVITY})

    assert by_message.json() == by_activity.json()
    told = by_message.json()
    assert told["summary"].startswith("The message was stored as an email activity.")
    assert (told["items"][0]["verdict"], told["items"][0]["reason"], told["items"][0]["run_id"]) == (
        "promoted",
        "relevant",
        "run-1",
    )
    assert [each["id"] for each in told["activities"]] == [ACTIVITY]


def test_an_explanation_tells_who_voted_how_and_what_was_tried(api: Api, mailbox_id: str) -> None:
    has_email(api, mailbox_id, judgement=JUDGED)

    [item] = api.get(f"/mailboxes/{mailbox_id}/explain", params={"activity_id": ACTIVITY}).json()["items"]

    assert (len(item["votes"]), "anna" in item["votes"][0], "sales" in item["votes"][1]) == (2, True, True)
    assert len(item["correlation"]) == 1
    assert (item["accepted_by"], item["queues"]) == ({"kind": "queue", "id": "sales"}, ["sales"])
    assert item["story"][0] == item["words"]
    assert set(item["story"]) >= {*item["votes"], *item["correlation"]}


def test_a_message_without_a_trace_is_explained_by_what_can_be_the_cause(api: Api, mailbox_id: str) -> None:
    told = api.get(f"/mailboxes/{mailbox_id}/explain", params={"message_id": "<strange 'id' \"x\" é>"}).json()

    assert told["items"] == []
    assert len(told["causes"]) >= 2


@pytest.mark.parametrize("query", ["", f"?message_id=x&activity_id={NOWHERE}", "?message_id=", "?activity_id=x"])
def test_a_question_about_no_message_is_refused(api: Api, mailbox_id: str, query: str) -> None:
    answer = api.get(f"/mailboxes/{mailbox_id}/explain{query}")

    assert answer.status_code == 422
    assert answer.json()["errors"][0]["pointer"].startswith("query/")


def test_runs_quarantine_and_alerts_are_listed(api: Api, mailbox_id: str) -> None:
    stores = api.office.stores
    stores.runs.put(
        Run(
            RunId("run-1"),
            MailboxId(mailbox_id),
            Workload.INCOMING,
            MONDAY,
            timedelta(seconds=1.5),
            RunOutcome.COMPLETED,
            seen=3,
        )
    )
    has_quarantined_item(api, mailbox_id)
    stores.alerts.put(Alert(f"mailbox:{mailbox_id}", "access_denied", AlertLevel.ERROR, "cause", "remedy", MONDAY))
    stores.alerts.put(Alert("profile:contoso", "authentication_failed", AlertLevel.ERROR, "cause", "remedy", MONDAY))

    (run,) = api.get(f"/mailboxes/{mailbox_id}/runs").json()["items"]
    (item,) = api.get(f"/mailboxes/{mailbox_id}/quarantine").json()["items"]
    alerts = api.get("/alerts").json()["items"]
    (about,) = api.get("/alerts", params={"about": "profile:contoso"}).json()["items"]

    assert (run["outcome"], run["duration"], run["seen"]) == ("completed", 1.5, 3)
    assert (item["error"], item["attempts"], item["message_id"]) == ("item_unreadable", 5, "a@b")
    assert "raw_blob" not in item
    assert {alert["code"] for alert in alerts} == {"access_denied", "authentication_failed"}
    assert (about["code"], about["level"]) == ("authentication_failed", "error")

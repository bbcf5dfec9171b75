"""The checks on what became of the sample mail: one for each thing that the samples show. Reads; changes nothing."""

import hashlib
import re
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial

from local.demo.api import Api, Json
from local.demo.check import Checks, Finding, equal, none_of
from local.demo.matching import Matched, has_text, match
from local.demo.outcome import MailboxOutcome
from local.samples import Sample, Shows
from local.samples.particular import HOSTILE_SCRIPT
from shared.domain.choices import Reason, Verdict


@dataclass(frozen=True, slots=True)
class Shown:
    """What was sent to whom, and what became of it."""

    samples: Sequence[Sample]
    outcomes: Mapping[str, MailboxOutcome]
    """Of the mailboxes that are read, by address."""

    @property
    def activities(self) -> Mapping[str, Mapping[str, Json]]:
        return {address: outcome.activities for address, outcome in self.outcomes.items()}

    def matched(self, *shows: Shows) -> Sequence[Matched]:
        chosen = [sample for sample in self.samples if sample.shows in shows and set(sample.to) & set(self.outcomes)]
        return match(chosen, self.activities)

    def of(self, shows: Shows) -> Sequence[Sample]:
        return [sample for sample in self.samples if sample.shows is shows]


def check_samples(checks: Checks, api: Api, shown: Shown) -> None:
    for outcome in shown.outcomes.values():
        _check_mailbox(checks, outcome, [one for one in shown.samples if outcome.watched.person.address in one.to])
    _check_identity(checks, shown)
    _check_content(checks, api, shown)
    _check_attachments(checks, api, shown)
    _check_skipped(checks, api, shown)
    _check_safety(checks, shown)


# ---- counts


def _check_mailbox(checks: Checks, outcome: MailboxOutcome, samples: Sequence[Sample]) -> None:
    name = outcome.watched.person.name
    checks.make(f"{name}: every message was seen once", lambda: equal(len(samples), outcome.seen))
    expected = Counter((sample.verdict.value, sample.reason.value) for sample in samples)
    checks.make(f"{name}: promoted and skipped as expected", lambda: equal(told(expected), told(outcome.verdicts)))
    activities = len({sample.activity_key for sample in samples if sample.verdict is Verdict.PROMOTED})
    checks.make(f"{name}: the activities listed", lambda: equal(activities, len(outcome.activities)))


def told(verdicts: Counter[tuple[str, str]]) -> str:
    return ", ".join(f"{count} {verdict} ({reason})" for (verdict, reason), count in sorted(verdicts.items()))


# ---- one message, one activity


def _check_identity(checks: Checks, shown: Shown) -> None:
    checks.make("one message in three mailboxes is one activity with three sightings", lambda: _shared(shown))
    checks.make("the same message twice in one mailbox is one activity", lambda: _twice(shown))
    checks.make("one Message-ID with different content gives variants, none suppressed", lambda: _variants(shown))
    checks.make("messages without a Message-ID are kept apart", lambda: _all_matched(shown.matched(Shows.NO_MESSAGE_ID)))


def _shared(shown: Shown) -> Finding:
    (sample,) = shown.of(Shows.SHARED)
    ids = {
        activity["id"]
        for address in sample.to
        for activity in shown.activities[address].values()
        if activity["message_id"] == sample.message_id
    }
    (matched,) = shown.matched(Shows.SHARED)
    sightings = len(matched.activity["sightings"]) if matched.activity else 0
    return (len(ids), sightings) == (1, 3), f"{len(ids)} activity, {sightings} sightings"


def _twice(shown: Shown) -> Finding:
    samples = shown.of(Shows.TWICE)
    listed = [one for one in shown.activities[samples[0].to[0]].values() if one["message_id"] == samples[0].message_id]
    return len(samples) == 2 and len(listed) == 1, f"{len(samples)} messages, {len(listed)} activity"


def _variants(shown: Shown) -> Finding:
    matched = shown.matched(Shows.VARIANT)
    found = [one.activity for one in matched if one.activity]
    ids = {activity["id"] for activity in found}
    marked = [activity for activity in found if activity["has_variants"] or activity["variant_of"]]
    ok = len(ids) == len(matched) == len(marked)
    return ok, f"{len(matched)} messages, {len(ids)} activities, {len(marked)} marked as variants"


def _all_matched(matched: Sequence[Matched]) -> Finding:
    problems = [f"no activity for: {one.sample.name}" for one in matched if one.activity is None]
    return none_of(problems, f"{len(matched)} messages, {len(matched)} activities") if matched else (False, "no such sample")


# ---- content


def _check_content(checks: Checks, api: Api, shown: Shown) -> None:
    checks.make("subjects and texts in every character set", lambda: _texts(shown.matched(Shows.CHARSET)))
    ordinary = (Shows.CORRESPONDENCE, Shows.REPLY, Shows.ATTACHMENT, Shows.INLINE_PICTURE, Shows.LARGE)
    checks.make("subjects and texts of ordinary mail in five languages", lambda: _texts(shown.matched(*ordinary)))
    checks.make("a reply names its original, which is an activity too", lambda: _replies(shown))
    checks.make("pictures in the HTML point at their attachments", lambda: _pictures(shown.matched(Shows.INLINE_PICTURE)))
    checks.make("a body is a page that shows its own pictures", lambda: _page(api, shown.matched(Shows.INLINE_PICTURE)))
    checks.make("high importance", lambda: _importance(shown.matched(Shows.IMPORTANCE)))
    checks.make("an own address claimed from outside is promoted and marked", lambda: _claimed(shown))
    checks.make("broken MIME becomes activities", lambda: _broken(shown))


def _texts(matched: Sequence[Matched]) -> Finding:
    problems = [problem for one in matched for problem in _text_problems(one)]
    return none_of(problems, f"{len(matched)} messages read as they were written")


def _text_problems(matched: Matched) -> Iterator[str]:
    sample, activity = matched.sample, matched.activity
    if activity is None:
        yield f"no activity with the subject and Message-ID of: {sample.name}"
    elif not has_text(sample, activity):
        yield f"another text: {sample.name}"


def _replies(shown: Shown) -> Finding:
    replies = [one for one in shown.matched(*Shows) if one.sample.in_reply_to]
    known = {activity["message_id"] for activities in shown.activities.values() for activity in activities.values()}
    problems = [
        one.sample.name
        for one in replies
        if one.activity is None or one.activity["in_reply_to"] != one.sample.in_reply_to or one.sample.in_reply_to not in known
    ]
    return none_of(problems, f"{len(replies)} replies") if replies else (False, "no replies among the samples")


def _pictures(matched: Sequence[Matched]) -> Finding:
    problems = []
    pictures = 0
    for one in matched:
        html = (one.activity or {}).get("body_html") or ""
        inline = [attachment for attachment in (one.activity or {}).get("attachments", ()) if attachment["is_inline"]]
        wanted = [attachment for attachment in one.sample.attachments if attachment.is_inline]
        pictures += len(inline)
        if len(inline) != len(wanted) or not wanted or not all(_is_shown(attachment, html) for attachment in inline):
            problems.append(one.sample.name)
    return none_of(problems, f"{pictures} pictures in {len(matched)} messages")


def _is_shown(attachment: Json, html: str) -> bool:
    return bool(attachment["content_id"]) and (f"cid:{attachment['content_id']}" in html or "/attachments/" in html)


def _page(api: Api, matched: Sequence[Matched]) -> Finding:
    pages = [api.bytes_of(f"/activities/{one.activity['id']}/body") for one in matched if one.activity]
    shown = sum(page.count(b'src="data:image/png;base64,') for page in pages)
    sent = sum(attachment.is_inline for one in matched for attachment in one.sample.attachments)
    return shown == sent > 0, f"{shown} of {sent} pictures stand in {len(pages)} pages"


def _importance(matched: Sequence[Matched]) -> Finding:
    found = [one.activity["priority"] for one in matched if one.activity]
    return found == ["high"] * len(matched), f"priority {', '.join(map(str, found))}"


def _claimed(shown: Shown) -> Finding:
    (matched,) = shown.matched(Shows.CLAIMED_ADDRESS)
    if matched.activity is None:
        return False, "there is no activity"
    return matched.activity["sender_claims_own_address"] is True, f"From {matched.sample.sender}, not signed in"


def _broken(shown: Shown) -> Finding:
    samples = shown.of(Shows.BROKEN)
    problems = [problem for one in shown.matched(Shows.BROKEN) for problem in _text_problems(one)]
    return none_of(problems, f"{len(samples)} messages, each an activity with what text there is")


# ---- attachments


def _check_attachments(checks: Checks, api: Api, shown: Shown) -> None:
    kinds = (Shows.ATTACHMENT, Shows.INLINE_PICTURE, Shows.CHARSET)
    checks.make("attachments arrive byte for byte, under their names", lambda: _attachments(api, shown.matched(*kinds)))
    checks.make("the 20 MB attachment arrives byte for byte", lambda: _attachments(api, shown.matched(Shows.LARGE)))


def _attachments(api: Api, matched: Sequence[Matched]) -> Finding:
    problems: list[str] = []
    count = size = 0
    for one in matched:
        found = _downloaded(api, one.activity)
        wanted = {(attachment.name, attachment.sha256) for attachment in one.sample.attachments}
        if found != wanted:
            problems.append(
                f"{one.sample.name}: sent {sorted(name for name, _ in wanted)}, got {sorted(name for name, _ in found)}"
            )
        count += len(wanted)
        size += sum(attachment.size for attachment in one.sample.attachments)
    return none_of(problems, f"{count} attachments, {size:,} bytes, downloaded and compared by SHA-256")


def _downloaded(api: Api, activity: Json | None) -> set[tuple[str, str]]:
    """Name and hash of what is served, provided that it is what the activity says."""
    if activity is None:
        return set()
    found = set()
    for number, attachment in enumerate(activity["attachments"]):
        content = api.bytes_of(f"/activities/{activity['id']}/attachments/{number}")
        digest = hashlib.sha256(content).hexdigest()
        if (digest, len(content)) == (attachment["sha256"], attachment["size"]):
            found.add((attachment["name"], digest))
    return found


# ---- skipped


def _check_skipped(checks: Checks, api: Api, shown: Shown) -> None:
    for shows, what in (
        (Shows.INTERNAL, "internal mail is skipped"),
        (Shows.MEETING, "meeting requests are skipped"),
        (Shows.UNREADABLE, "an item that the server cannot give stops nothing and is tried again"),
        (Shows.PLACED, "drafts and own copies are skipped"),
        (Shows.OLD, "mail older than the start date is left alone"),
    ):
        checks.make(f"{what}, and explain says why", partial(_explained, api, shown, shows))


def _explained(api: Api, shown: Shown, shows: Shows) -> Finding:
    problems = []
    said = set()
    samples = shown.of(shows)
    for sample in samples:
        mailbox_id = shown.outcomes[sample.to[0]].watched.mailbox_id
        explanation = api.get(f"/mailboxes/{mailbox_id}/explain", message_id=sample.message_id or "")
        if explanation["activities"] or not _gives_reason(sample, explanation):
            problems.append(f"{sample.name}: {explanation['summary']}")
        said.add(explanation["summary"])
    return none_of(problems, f"{len(samples)} messages: {' '.join(sorted(said))}")


def _gives_reason(sample: Sample, explanation: Json) -> bool:
    if sample.reason is Reason.BEFORE_START_DATE:  # leaves no row of its own; the start date is named as a cause
        return not explanation["items"] and any("before" in cause for cause in explanation["causes"])
    return [(item["verdict"], item["reason"]) for item in explanation["items"]] == [(sample.verdict.value, sample.reason.value)]


# ---- safety


def _check_safety(checks: Checks, shown: Shown) -> None:
    checks.make("hostile HTML is shown without what is dangerous in it", lambda: _sanitised(shown))


def _sanitised(shown: Shown) -> Finding:
    (matched,) = shown.matched(Shows.HOSTILE_HTML)
    if matched.activity is None:
        return False, "there is no activity"
    html = matched.activity["body_html"] or ""
    bad = [mark for mark in ("<script", "onclick", HOSTILE_SCRIPT, "javascript:", "<iframe", "<form") if mark in html.lower()]
    if remote := re.findall(r'src="https?://[^"]*"', html):
        bad.extend(remote)
    return none_of(bad, f"{len(html)} characters of HTML, no script, no frame, no form, no remote picture")

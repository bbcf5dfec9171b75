"""Joins answers that were stored before what they answer to the conversation of that, once it is there.

Works from what is stored: the message may be gone from the server by then. What an answer continues is decided by the rules of
`shared.sync.correlation`, as if it had come after its original; and before it, what its original continues in its turn, so that
whichever answer of a conversation is asked for first, all that leads up to it is joined. An email is written under its ETag,
after the list of what it is about and before the rows that follow from it, which repeating it writes again.
"""

from collections.abc import Collection, Mapping, Sequence
from concurrent.futures import Executor
from dataclasses import dataclass, replace

from shared.domain.choices import CorrelationMethod, ParticipationType, RegardingSource
from shared.domain.conversations import LONGEST_PATH
from shared.domain.email import Address, EmailActivity, EmailContent, IncomingMessage, ItemRef, StoredActivity
from shared.domain.ids import ActivityId
from shared.domain.judgement import Correlation, Judgement
from shared.domain.organisation import OrganisationSettings
from shared.ports import Stores
from shared.sync.conversations import Conversations
from shared.sync.correlation import entries_of
from shared.sync.emails import annotation_of
from shared.sync.outline import ANSWERS
from shared.sync.rewriting import rewrite

# ---- decisions


def message_of(content: EmailContent) -> IncomingMessage:
    """The message as far as correlation asks for it."""
    named = {
        kind: tuple(Address(party.address, party.name) for party in content.parties if party.type is kind)
        for kind in ParticipationType
    }
    return IncomingMessage(
        ref=ItemRef("", ""),
        received=content.received,
        subject=content.subject,
        message_id=content.message_id,
        in_reply_to=content.in_reply_to,
        references=content.references,
        sender=next(iter(named[ParticipationType.SENDER]), None),
        to=named[ParticipationType.TO],
        cc=named[ParticipationType.CC],
        bcc=named[ParticipationType.BCC],
        conversation_index=content.conversation_index,
        report=content.report,
    )


def continuing(email: EmailActivity, original: EmailActivity, found: Correlation, *, is_fragment: bool) -> EmailActivity:
    """The email as one that continues `original`. What it is about already it stays about, and who owns it owns it."""
    regarding = original.regarding if email.regarding is None and email.regarding_set_by is None else None
    return replace(
        email,
        conversation=found.conversation,
        is_fragment=is_fragment,
        correlated_to=original.id,
        parent=original.id if found.method in ANSWERS else None,
        correlation_method=found.method,
        regarding=regarding or email.regarding,
        regarding_set_by=RegardingSource.CORRELATION if regarding else email.regarding_set_by,
    )


def following(
    email: EmailActivity, original: EmailActivity | None, conversation: ActivityId, *, is_fragment: bool
) -> EmailActivity:
    """An email whose original is known for long, when that was joined: it takes over what the original took over itself."""
    email = replace(email, conversation=conversation, is_fragment=is_fragment)
    has_own = email.regarding is not None or email.regarding_set_by is not None
    if original is None or has_own or original.regarding_set_by is not RegardingSource.CORRELATION:
        return email
    return replace(email, regarding=original.regarding, regarding_set_by=RegardingSource.CORRELATION)


def noted(judgement: Judgement, email: EmailActivity, conversation: ActivityId) -> Judgement:
    """How the message was judged, with what was found afterwards. What was tried stays: so it was when it was judged."""
    before = judgement.correlation
    if before.is_match:
        return replace(judgement, correlation=replace(before, conversation=conversation))
    is_opted_out = email.correlation_method is CorrelationMethod.SKIPPED and before.method is CorrelationMethod.NONE
    if email.correlated_to is None and not is_opted_out:
        return judgement
    found = Correlation(
        email.correlation_method,
        email.correlated_to,
        conversation,
        opted_out=is_opted_out,
        tried=before.tried,
        afterwards=True,
    )
    return replace(judgement, correlation=found)


# ---- acts


@dataclass(frozen=True, slots=True)
class Joined:
    """What became of an email that was asked for."""

    email: EmailActivity
    conversation: ActivityId
    """The one that it belongs to now."""


@dataclass(slots=True)
class _Part:
    """An email of a fragment, or one that was."""

    stored: StoredActivity
    content: EmailContent
    message: IncomingMessage


class Joining:
    """Joins emails, some at a time."""

    def __init__(self, stores: Stores, settings: OrganisationSettings, executor: Executor) -> None:
        self._stores = stores
        self._settings = settings
        self._conversations = Conversations(stores, settings, executor)
        self._parts: dict[ActivityId, _Part] = {}
        self._done: set[ActivityId] = set()

    def join(self, activity_ids: Sequence[ActivityId]) -> Mapping[ActivityId, Joined]:
        """What became of those that are there. Repeating it changes nothing more. Raises TransientError."""
        self._read(activity_ids)
        for activity_id in activity_ids:
            for each in reversed(self._upwards(activity_id)):
                self._done.add(each)
                self._join(self._parts[each])
        asked = [part for each in dict.fromkeys(activity_ids) if (part := self._parts.get(each)) is not None]
        self._complete(asked)
        emails = [part.stored.record for part in asked]
        return {email.id: Joined(email, self._conversations.conversation_of(email)) for email in emails}

    # ---- reading

    def _read(self, activity_ids: Collection[ActivityId]) -> None:
        """The emails, and step by step what leads up to them, as far as it belongs to fragments."""
        wanted = set(activity_ids)
        for _ in range(LONGEST_PATH):
            fresh = self._read_parts(wanted - self._parts.keys())
            self._conversations.look_up([part.message for part in fresh if _is_first(part.stored.record)])
            self._conversations.read({each for part in fresh if (each := part.stored.record.correlated_to) is not None})
            originals = {each for part in fresh if (each := self._original(part)) is not None}
            wanted = {each for each in originals if (email := self._conversations.email(each)) and email.is_fragment}
            if not wanted:
                return

    def _read_parts(self, activity_ids: Collection[ActivityId]) -> list[_Part]:
        found = self._stores.activities.find(activity_ids) if activity_ids else {}
        present = {each: stored for each, stored in found.items() if stored.record.deleted_on is None}
        contents = self._stores.activities.contents(present) if present else {}
        fresh = [
            _Part(stored, content, message_of(content))
            for each, stored in present.items()
            if (content := contents.get(each)) is not None
        ]
        for part in fresh:
            self._parts[part.stored.record.id] = part
            self._conversations.rewritten(part.stored.record)
        self._conversations.read({part.stored.record.id for part in fresh})
        self._conversations.ask_for_opt_outs({part.stored.record.id for part in fresh if _is_first(part.stored.record)})
        return fresh

    def _original(self, part: _Part) -> ActivityId | None:
        email = part.stored.record
        return self._conversations.correlate(part.message).activity_id if _is_first(email) else email.correlated_to

    def _upwards(self, activity_id: ActivityId) -> list[ActivityId]:
        """The email and what leads up to it, as far as that is not done yet. Strangers may write a ring."""
        path: list[ActivityId] = []
        following: ActivityId | None = activity_id
        while following in self._parts and following not in self._done and following not in path:
            path.append(following)
            following = self._original(self._parts[following])
        return path

    # ---- joining

    def _join(self, part: _Part) -> None:
        if part.stored.record.is_fragment:
            part.stored = rewrite(
                self._stores.activities, self._stores.timeline, part.stored, lambda email: self._now(part, email)
            )
            self._conversations.rewritten(part.stored.record)

    def _now(self, part: _Part, email: EmailActivity) -> EmailActivity:
        """The email as it shall be, by what is stored by now."""
        if email.deleted_on is not None or not email.is_fragment:
            return email
        if _is_first(email):
            return self._begun_elsewhere(part, email)
        original = None if email.correlated_to is None else self._conversations.email(email.correlated_to)
        conversation = self._conversations.conversation_of(email if original is None else original)
        return following(email, original, conversation, is_fragment=self._is_fragment(conversation))

    def _begun_elsewhere(self, part: _Part, email: EmailActivity) -> EmailActivity:
        """One that began a conversation, as far as was known. A person who opted that out means it and what follows it, so it
        stays apart from what was before it."""
        found = self._conversations.correlate(part.message)
        if found.conversation in (None, email.id) or self._conversations.is_opted_out(email.id):
            return email
        is_fragment = self._is_fragment(found.conversation)
        if found.opted_out:
            skipped = CorrelationMethod.SKIPPED
            return replace(email, conversation=found.conversation, is_fragment=is_fragment, correlation_method=skipped)
        original = None if found.activity_id is None else self._conversations.email(found.activity_id)
        return email if original is None else continuing(email, original, found, is_fragment=is_fragment)

    def _is_fragment(self, conversation: ActivityId | None) -> bool:
        first = None if conversation is None else self._conversations.email(conversation)
        return first is not None and first.is_fragment

    def _complete(self, parts: Sequence[_Part]) -> None:
        """What follows from the emails as they are now: by what they are found, and what reports tell of others. Of what was
        joined before too: whoever did so may have stopped in between."""
        joined = [part for part in parts if not _is_first(part.stored.record) and part.stored.record.deleted_on is None]
        entries = [entry for part in joined for entry in entries_of(part.stored.record, part.content, self._settings)]
        if entries:
            self._stores.correlations.put(entries)
        told = [note for part in joined if (note := annotation_of(part.stored.record, part.content)) is not None]
        if told:
            self._stores.activities.annotate(told)


def _is_first(email: EmailActivity) -> bool:
    """It begins the fragment that it belongs to."""
    return email.is_fragment and email.conversation == email.id and email.correlation_method is CorrelationMethod.NONE

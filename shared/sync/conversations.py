"""Finds the emails that messages continue: looks up what their clues lead to, in few steps for a whole batch.

What the clues are and what they prove is decided in `shared.sync.correlation`; here is only where it is looked up. Emails that
this run accepted lie over the store: an answer that stands in the same page as its original finds it. Emails of fragments are
followed to the conversation that they belong to now; of others that costs nothing.
"""

from collections.abc import Collection, Iterator, Mapping, Sequence
from concurrent.futures import Executor
from datetime import datetime

from shared.domain.conversations import path_of
from shared.domain.email import CorrelationEntry, CorrelationKind, EmailActivity, EmailContent, Envelope
from shared.domain.ids import ActivityId
from shared.domain.judgement import Correlation
from shared.domain.organisation import OrganisationSettings
from shared.ports import Activities, Correlations, Stores
from shared.sync.correlation import Clue, FoundEmail, correlate, entries_of, open_clues
from shared.sync.judged import JUST_NOW, Original

MOST_ENTRIES = 20
"""The latest emails that one clue is followed to."""


class Conversations:
    """The conversations that one run sees. What was looked up is remembered for the run."""

    def __init__(self, stores: Stores, settings: OrganisationSettings, executor: Executor) -> None:
        """`executor` runs lookups that do not depend on each other."""
        self._activities: Activities = stores.activities
        self._correlations: Correlations = stores.correlations
        self._settings = settings
        self._executor = executor
        self._emails: dict[ActivityId, EmailActivity | None] = {}
        self._opted_out: dict[ActivityId, bool] = {}
        self._entries: dict[tuple[CorrelationKind, str], Sequence[CorrelationEntry]] = {}
        self._looked_up: set[Clue] = set()
        self._accepted: dict[ActivityId, EmailActivity] = {}
        self._accepted_entries: dict[tuple[CorrelationKind, str], list[CorrelationEntry]] = {}

    # ---- finding

    def look_up(self, envelopes: Sequence[Envelope]) -> None:
        """Looks up, step by step, what the clues of all `envelopes` lead to, and the emails found. Raises TransientError."""
        while True:
            while asked := self._open(envelopes):
                self._follow(asked)
                self._looked_up |= asked
            found = {found for envelope in envelopes if (found := self.correlate(envelope).activity_id) is not None}
            if found <= self._emails.keys():
                return
            self.read(found)  # one that was deleted leads nowhere: then the next clue counts

    def correlate(self, envelope: Envelope) -> Correlation:
        """What a message continues, by what was looked up and by what this run accepted."""
        return correlate(envelope, self._leads(envelope), self._settings)

    def original(self, correlation: Correlation) -> Original | None:
        """The email that `correlation` found. Raises TransientError."""
        activity_id = correlation.activity_id
        if activity_id is None:
            return None
        if activity_id not in self._accepted:
            self._find({activity_id})
        self._follow_fragments({activity_id})
        if email := self.email(activity_id):
            conversation = self.conversation_of(email)
            return Original(activity_id, conversation, email.regarding, email.owner, self._fragment_since(email, conversation))
        return Original(activity_id, correlation.conversation or activity_id, None, None)

    def conversation_of(self, email: EmailActivity) -> ActivityId:
        """The one that the email belongs to now, by what was looked up."""
        return self._path(email)[-1]

    def read(self, activity_ids: Collection[ActivityId]) -> None:
        """Reads emails, and what leads to their conversations. Raises TransientError."""
        self._find(activity_ids)
        self._follow_fragments(activity_ids)

    def email(self, activity_id: ActivityId) -> EmailActivity | None:
        """As it is stored, where it was looked up, else as this run will store it."""
        return self._emails.get(activity_id) or self._accepted.get(activity_id)

    def ask_for_opt_outs(self, conversations: Collection[ActivityId]) -> None:
        """Raises TransientError."""
        unknown = sorted(each for each in conversations if each not in self._opted_out)
        if unknown:
            found = self._correlations.opted_out(unknown)
            self._opted_out |= {each: each in found for each in unknown}

    def is_opted_out(self, *conversations: ActivityId) -> bool:
        """Whether one of them was, by what was asked for. Of a fragment that was joined to another conversation, either may."""
        return any(self._opted_out.get(each, False) for each in conversations)

    # ---- what this run adds

    def rewritten(self, email: EmailActivity) -> None:
        """As it is stored now."""
        self._emails[email.id] = email

    def accepted(self, email: EmailActivity, content: EmailContent) -> None:
        """An email that will be stored: later messages find it. Where it is stored already, what is stored counts."""
        if email.id not in self._accepted:
            self._accepted[email.id] = email
            self.left_behind(entries_of(email, content, self._settings))

    def left_behind(self, entries: Sequence[CorrelationEntry]) -> None:
        """What later messages find others by."""
        for entry in entries:
            self._accepted_entries.setdefault((entry.kind, entry.key), []).append(entry)

    # ---- looking up

    def _open(self, envelopes: Sequence[Envelope]) -> set[Clue]:
        return {clue for each in envelopes for clue in open_clues(each, self._leads(each), self._settings)}

    def _follow(self, clues: Collection[Clue]) -> None:
        """By id first: entries are asked for only where no email has the id."""
        self._find({email for clue in clues for email in clue.emails})
        keys: dict[CorrelationKind, set[str]] = {}
        for clue in clues:
            if (clue.kind, clue.key) not in self._entries and not any(self._emails.get(email) for email in clue.emails):
                keys.setdefault(clue.kind, set()).add(clue.key)
        asked = [
            (kind, self._executor.submit(self._correlations.find, kind, sorted(wanted), MOST_ENTRIES))
            for kind, wanted in sorted(keys.items())
        ]
        for kind, answer in asked:
            for key, entries in answer.result().items():
                self._entries[kind, key] = entries
        entries = [entry for clue in clues for entry in self._entries.get((clue.kind, clue.key), ())]
        found = {each for clue in clues for each in clue.emails}
        self._follow_fragments(found, entries)
        conversations = {each for entry in entries for each in self._path_of_entry(entry)}
        conversations |= {
            each for activity_id in found if (email := self._emails.get(activity_id)) for each in self._path(email)
        }
        self.ask_for_opt_outs(conversations)

    def _find(self, activity_ids: Collection[ActivityId]) -> None:
        unknown = sorted(each for each in set(activity_ids) if each not in self._emails)
        if unknown:
            found = self._activities.find(unknown)
            self._emails |= {each: stored.record if (stored := found.get(each)) else None for each in unknown}

    def _follow_fragments(self, found: Collection[ActivityId], entries: Sequence[CorrelationEntry] = ()) -> None:
        """Reads what fragments lead over, each step for all of them together. It ends: each step reads what was not read."""
        while True:
            fragments = [email for each in found if (email := self.email(each)) is not None and email.is_fragment]
            ends = {self._path(email)[-1] for email in fragments}
            ends |= {self._path_of_entry(entry)[-1] for entry in entries if entry.is_fragment}
            unknown = {end for end in ends if end not in self._emails and end not in self._accepted}
            if not unknown:
                return
            self._find(unknown)

    def _path(self, email: EmailActivity) -> tuple[ActivityId, ...]:
        return path_of(email.conversation or email.id, self.email, is_fragment=email.is_fragment)

    def _path_of_entry(self, entry: CorrelationEntry) -> tuple[ActivityId, ...]:
        return path_of(entry.conversation, self.email, is_fragment=entry.is_fragment)

    def _fragment_since(self, email: EmailActivity, conversation: ActivityId) -> datetime | None:
        """When the answer was stored that the conversation of `email` begins with."""
        first = self.email(conversation) if email.is_fragment else None
        if first is None or not first.is_fragment:
            return None
        return first.created_on if self._emails.get(conversation) is not None else JUST_NOW

    # ---- what clues lead to

    def _leads(self, envelope: Envelope) -> "_Leads":
        return _Leads(self, envelope.received)

    def is_looked_up(self, clue: Clue) -> bool:
        return clue in self._looked_up

    def found(self, clue: Clue, until: datetime) -> Sequence[FoundEmail]:
        """The emails that `clue` leads to: by their id, then by entries of no later time than `until`, newest first.

        A message continues what came before it: so a page that is read again correlates no email with the answers to it that
        were stored meanwhile. A conversation that was opted out counts whenever its emails came.
        """
        found: dict[ActivityId, FoundEmail] = {}
        for activity_id in clue.emails:
            if email := self._by_id(activity_id):
                found.setdefault(activity_id, email)
        key = (clue.kind, clue.key)
        entries = [*self._accepted_entries.get(key, ()), *self._entries.get(key, ())]
        for entry in sorted(entries, key=lambda entry: entry.time, reverse=True):
            email = self._by_entry(entry)
            if email.opted_out or entry.time <= until or entry.kind is CorrelationKind.MESSAGE:
                found.setdefault(entry.activity_id, email)
        return list(found.values())

    def _by_id(self, activity_id: ActivityId) -> FoundEmail | None:
        email = self.email(activity_id)
        if email is None:
            return None
        path = self._path(email)
        return FoundEmail(
            activity_id=email.id,
            conversation=path[-1],
            time=email.received,
            opted_out=self.is_opted_out(*path),
            variant_of=email.variant_of,
            is_deleted=email.deleted_on is not None,
        )

    def _by_entry(self, entry: CorrelationEntry) -> FoundEmail:
        is_gone = (email := self._emails.get(entry.activity_id)) is not None and email.deleted_on is not None
        path = self._path_of_entry(entry)
        return FoundEmail(
            activity_id=entry.activity_id,
            conversation=path[-1],
            time=entry.time,
            opted_out=self.is_opted_out(*path),
            addresses=frozenset(entry.addresses),
            is_deleted=is_gone,
        )


class _Leads(Mapping[Clue, Sequence[FoundEmail]]):
    """What the clues of one message lead to, for `shared.sync.correlation`: a clue is in it once it was looked up."""

    def __init__(self, conversations: Conversations, until: datetime) -> None:
        self._conversations = conversations
        self._until = until

    def __getitem__(self, clue: Clue) -> Sequence[FoundEmail]:
        if not self._conversations.is_looked_up(clue):
            raise KeyError(clue)
        return self._conversations.found(clue, self._until)

    def __contains__(self, clue: object) -> bool:
        return isinstance(clue, Clue) and self._conversations.is_looked_up(clue)

    def __iter__(self) -> Iterator[Clue]:
        raise TypeError("what clues lead to is not listed")

    def __len__(self) -> int:
        raise TypeError("what clues lead to is not counted")

"""Judges messages: gathers what a judgement needs to know for a whole batch, and has each judged by the rules.

Writes nothing, and changes nothing but what it remembers itself: whoever wants to know what would become of messages may judge
them with other settings, rules or filters (`judging_of`), over the same stores.
"""

from collections.abc import Collection, Mapping, Sequence
from concurrent.futures import Executor
from datetime import datetime

from shared.domain.choices import Direction, IncomingFilteringMethod
from shared.domain.configuration import AddressMatch, Mailbox, Matches
from shared.domain.email import Envelope, ItemRef
from shared.domain.errors import ItemError, ItemUnreadable, SyncError
from shared.domain.filtering import effective
from shared.domain.folders import SENT_ITEMS
from shared.domain.ids import MailboxId
from shared.domain.ledger import TodoKind
from shared.domain.organisation import OrganisationSettings
from shared.domain.records import FolderTrackingRule, match_of
from shared.ports import Owners, Stores
from shared.sync.acceptance import Facts, addresses_judged, direction_stored, judge
from shared.sync.addresses import KnownAddresses
from shared.sync.conversations import Conversations
from shared.sync.forwarding import Receivers, addresses_asked
from shared.sync.items import Candidate
from shared.sync.judged import Judged, Wish
from shared.sync.outline import outline_of
from shared.sync.resolution import contact_to_create, resolve, with_contact

type Wishes = Mapping[ItemRef, Wish]
"""What people asked for, by the item that they meant."""


class Judging:
    """The judgements about one mailbox, as one run or one dry run sees it."""

    def __init__(
        self,
        mailbox: Mailbox,
        receivers: Receivers,
        settings: OrganisationSettings,
        rules: Mapping[str, FolderTrackingRule],
        addresses: KnownAddresses,
        conversations: Conversations,
    ) -> None:
        """`rules`: by the id of the folder they hold in."""
        self._mailbox = mailbox
        self._receivers = receivers
        self._settings = settings
        self._rules = rules
        self._addresses = addresses
        self._conversations = conversations

    @property
    def mailbox_id(self) -> MailboxId:
        return self._mailbox.id

    @property
    def unwraps(self) -> bool:
        """What is judged are the messages attached to those that the mailbox received."""
        return self._receivers.unwraps

    @property
    def tracks_by_category(self) -> bool:
        return self._settings.track_by_category

    def judge(self, envelopes: Sequence[Envelope], wishes: Wishes | None = None) -> list[Judged]:
        """A judgement for each, in their order; judged oldest first, so that an answer finds its original. Raises
        TransientError."""
        asked: set[str] = set()
        for envelope in envelopes:
            asked |= addresses_judged(envelope, self._mailbox) | addresses_asked(envelope)
        matches = self._addresses.find(asked)
        self._receivers.look_up(envelopes, matches)
        self._conversations.look_up(envelopes)
        judged = {
            place: self._judge(envelopes[place], matches, (wishes or {}).get(envelopes[place].ref))
            for place in sorted(range(len(envelopes)), key=lambda place: _age(envelopes[place]))
        }
        return [judged[place] for place in range(len(envelopes))]

    def judge_each(self, envelopes: Sequence[Envelope], wishes: Wishes | None = None) -> list[Judged | ItemError]:
        """As `judge`; a message that breaks it is the error at its place, and does not affect the others."""
        try:
            return list(self.judge(envelopes, wishes))
        except ItemError as error:  # of what it continues, or who wrote it, a row cannot be read
            if len(envelopes) == 1:
                return [error]
        except SyncError:
            raise
        except Exception as error:  # noqa: BLE001 # computed from messages that strangers wrote
            if len(envelopes) == 1:
                return [ItemUnreadable(f"{type(error).__name__} while the message was judged.").because_of(error)]
        return [judged for envelope in envelopes for judged in self.judge_each([envelope], wishes)]

    def is_promoted_anyhow(self, folder: str, categories: Collection[str]) -> bool:
        """Whether a rule or a category promotes what lies there, but for what is excluded."""
        return folder in self._rules or self.is_categorized(categories)

    def is_categorized(self, categories: Collection[str]) -> bool:
        """Whether the tracking category is among them."""
        wanted = self._settings.tracked_category.casefold()
        return self._settings.track_by_category and any(category.casefold() == wanted for category in categories)

    def needs_content(self, folder: str, item_class: str, categories: Collection[str]) -> bool:
        """Whether judging the envelope first is for nothing: it does not tell enough, or hardly ever leads to a refusal."""
        is_report = item_class.lower().startswith("report.")
        if is_report or self._receivers.unwraps or self.is_promoted_anyhow(folder, categories):
            return True
        voice = self._receivers.voice
        if voice is None or not voice.active:
            return False
        method = voice.filtering_method
        chosen = IncomingFilteringMethod.RESPONSES if method is None else method
        return effective(chosen, self._settings.filter_ceiling) is IncomingFilteringMethod.ALL

    # ---- one message

    def _judge(self, envelope: Envelope, matches: Matches, wish: Wish | None) -> Judged:
        receiver = self._receivers.of(envelope, matches)
        facts = Facts(
            mailbox=receiver.mailbox,
            direction=Direction.OUTGOING if envelope.ref.folder == SENT_ITEMS.id else Direction.INCOMING,
            settings=self._settings,
            matches={address: matches[address] for address in addresses_judged(envelope, self._mailbox)},
            own_voice=receiver.voice,
            refusal=receiver.refusal,
            correlation=self._conversations.correlate(envelope),
            rule=self._rules.get(envelope.ref.folder),
            by_category=self.is_categorized(envelope.categories),
            by_hand=wish is not None,
        )
        judged = self._with_parties(envelope, facts, wish)
        self._remember(judged)
        return judged

    def _with_parties(self, envelope: Envelope, facts: Facts, wish: Wish | None) -> Judged:
        matches, mailbox = facts.matches, facts.mailbox
        contact = contact_to_create(envelope, matches, mailbox) if self._settings.create_contacts else None
        if contact is not None:
            matches = with_contact(matches, contact)
        direction = direction_stored(envelope, facts)
        original = self._conversations.original(facts.correlation)
        owner = original.owner if original is not None else None
        resolution = resolve(envelope, direction, matches, mailbox, self._settings, owner)
        return Judged(envelope, facts, judge(envelope, facts), direction, resolution, original, contact, wish)

    def _remember(self, judged: Judged) -> None:
        """Later messages find this one before it is stored."""
        if leftover := judged.leftover:
            self._conversations.left_behind([leftover])
        if judged.is_accepted and judged.activity_id is not None:
            self._conversations.accepted(*outline_of(judged, judged.activity_id))


def judging_of(
    stores: Stores,
    mailbox: Mailbox,
    settings: OrganisationSettings,
    rules: Mapping[str, FolderTrackingRule],
    executor: Executor,
    voice: AddressMatch | None = None,
) -> Judging:
    """Judging over what is stored. `voice`: the owner's, where another filter than its own is to be tried."""
    receivers = Receivers(stores.mailboxes, mailbox, voice or own_voice(stores.owners, mailbox), executor)
    conversations = Conversations(stores, settings, executor)
    return Judging(mailbox, receivers, settings, rules, KnownAddresses(stores.addresses), conversations)


def own_voice(owners: Owners, mailbox: Mailbox) -> AddressMatch | None:
    """The owner of a mailbox as a voter; None of a forward mailbox. Raises TransientError."""
    if mailbox.owner is None:
        return None
    stored = owners.get(mailbox.owner.kind, mailbox.owner.id)
    return None if stored is None else match_of(stored.record)


def wish_of(candidate: Candidate) -> Wish | None:
    """What a person asked for of an item."""
    todo = candidate.todo
    return Wish(todo.regarding) if todo is not None and todo.kind is TodoKind.TRACK else None


def _age(envelope: Envelope) -> tuple[datetime, int]:
    """Servers tell seconds: of what came in one, answers stand behind what they answer, which has fewer references."""
    return envelope.received, len(envelope.references) or int(envelope.in_reply_to is not None)

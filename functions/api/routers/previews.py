"""The dry run over HTTP: what a changed filter, setting or folder rule would do to the last messages of a mailbox."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace

from fastapi import APIRouter

from functions.api.documented import LOOKS
from functions.api.identifiers import MailboxPath
from functions.api.merging import made, merged
from functions.api.schemas.previews import ChangesGiven, PreviewGiven, PreviewShown, RuleTried
from shared.administration import Administration
from shared.administration.settings import valid_settings
from shared.administration.tracking_rules import TrackingRuleAdministration
from shared.domain.configuration import Mailbox
from shared.domain.errors import InvalidRecord
from shared.domain.ids import MailboxId
from shared.domain.records import FolderTrackingRule
from shared.sync.preview import ChangedConfiguration, Preview


def previews(administration: Administration, use: Preview) -> APIRouter:
    router = APIRouter(prefix="/mailboxes/{mailbox_id}/preview", tags=["messages"])

    @router.post("", summary="Try changes on the last messages of a mailbox", responses=LOOKS)
    def preview_changes(mailbox_id: MailboxPath, body: PreviewGiven) -> PreviewShown:
        """A dry run: reads the last messages from the mail server, judges each by the present configuration and by the changed
        one, and writes nothing. The answer has subjects and senders, so only administrators may ask. 409 where the mailbox
        cannot be opened, with the reason."""
        mailbox = administration.mailboxes.get(MailboxId(mailbox_id)).stored.record
        changed = _changed(mailbox, administration, body.changes)
        return PreviewShown.model_validate(use.run(mailbox.id, body.last, changed))

    return router


def _changed(mailbox: Mailbox, administration: Administration, given: ChangesGiven) -> ChangedConfiguration:
    """Raises InvalidRecord and NotPossibleNow, for what a change proper would be refused for too."""
    present = administration.settings.get().record
    merged_ones = merged(ChangedConfiguration(settings=present), given, "changes/")
    if merged_ones.filtering_method is not None and mailbox.owner is None:
        raise InvalidRecord(
            "changes/filtering_method", "the mailbox belongs to nobody, who would have a filter", "Leave it out."
        )
    with _within("changes/settings"):
        settings = valid_settings(merged_ones.settings or present)
    rules = None if given.rules is None else tuple(_rules(mailbox.id, administration.tracking_rules, given.rules))
    return replace(merged_ones, settings=settings, rules=rules)


def _rules(mailbox_id: MailboxId, use: TrackingRuleAdministration, given: Sequence[RuleTried]) -> Iterator[FolderTrackingRule]:
    seen: set[str] = set()
    for place, each in enumerate(given):
        with _within(f"changes/rules/{place}"):
            rule = use.tried(made(FolderTrackingRule, each, mailbox_id=mailbox_id))
            if rule.folder_id in seen:
                raise InvalidRecord("folder_id", "another rule is about this folder already", "Leave one of the two out.")
        seen.add(rule.folder_id)
        yield rule


@contextmanager
def _within(place: str) -> Iterator[None]:
    """Names fields by where they stand in the body."""
    try:
        yield
    except InvalidRecord as error:
        raise InvalidRecord(f"{place}/{error.field}", str(error), error.remedy) from error

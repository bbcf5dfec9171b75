"""What a dry run asks and answers, and the folders that rules can be about."""

from collections.abc import Sequence
from datetime import datetime

from pydantic import ConfigDict, Field

from functions.api.derived import Given, Shown, accepts, shows
from functions.api.schemas import examples
from functions.api.schemas.configuration import SettingsPatch
from shared.domain.folders import KnownTree, TreeFolder
from shared.domain.ranges import RULES_OF_A_MAILBOX
from shared.domain.records import FolderTrackingRule
from shared.sync.preview import MOST_MESSAGES, ChangedConfiguration, PreviewResult


@accepts(FolderTrackingRule, without=("mailbox_id",))
class RuleTried(Given):
    """A folder-level tracking rule as it would be."""


@accepts(ChangedConfiguration, without=("rules", "settings"), partial=True)
class ChangesGiven(Given):
    """What is to be tried; what is left out is as it is now."""

    settings: SettingsPatch | None = Field(default=None, description="JSON merge patch of the organisation's settings.")
    rules: Sequence[RuleTried] | None = Field(
        default=None, description="The tracking rules of the mailbox, all of them.", max_length=RULES_OF_A_MAILBOX
    )


class PreviewGiven(Given):
    """On how many of the last messages which changes are tried."""

    model_config = ConfigDict(json_schema_extra={"examples": examples.PREVIEW})

    last: int = Field(default=50, strict=True, ge=1, le=MOST_MESSAGES, description="Messages, the latest ones.")
    changes: ChangesGiven = ChangesGiven()


@shows(PreviewResult)
class PreviewShown(Shown):
    """What would become of the last messages, and what becomes of them now."""


@shows(TreeFolder)
class FolderShown(Shown):
    """A folder below the Inbox."""


class FoldersShown(Shown):
    """The folders below the Inbox."""

    items: Sequence[FolderShown]
    read_on: datetime = Field(description="When they were read from the mail server.")

    @classmethod
    def of(cls, tree: KnownTree) -> "FoldersShown":
        return cls(items=[FolderShown.model_validate(each) for each in tree.folders], read_on=tree.read_on)

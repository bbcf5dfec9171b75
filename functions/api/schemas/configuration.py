"""What the API accepts and shows of the configuration records: derived from the domain, with what belongs beside each."""

from collections.abc import Mapping

from pydantic import ConfigDict, Field

from functions.api.derived import Given, SecretSetOn, Shown, accepts, shows
from functions.api.schemas import examples
from shared.administration.mailboxes import CHANGEABLE
from shared.administration.standing import MailboxStanding, remedy
from shared.domain import words
from shared.domain.choices import Workload
from shared.domain.configuration import (
    Breaker,
    Credentials,
    Discovered,
    EmailServerProfile,
    Mailbox,
    Owner,
    StoredOwner,
    StoredProfile,
    WorkloadSchedule,
)
from shared.domain.eligibility import Ineligible
from shared.domain.ids import mailbox_id_of
from shared.domain.organisation import OrganisationSettings
from shared.domain.records import FolderTrackingRule

# ---- settings


@accepts(OrganisationSettings)
class SettingsGiven(Given):
    """The settings of the organisation; what is left out has its default."""

    model_config = ConfigDict(json_schema_extra={"examples": examples.SETTINGS})


@accepts(OrganisationSettings, partial=True)
class SettingsPatch(Given):
    """JSON merge patch of the settings: what is left out stays, null returns to the default."""

    model_config = ConfigDict(json_schema_extra={"examples": examples.SETTINGS_PATCH})


@shows(OrganisationSettings)
class SettingsShown(Shown):
    """The settings of the organisation."""


# ---- profiles


@accepts(EmailServerProfile, without=("id",))
class ProfileGiven(Given):
    """An email server profile; its id stands in the path. A secret that is left out is kept."""

    model_config = ConfigDict(json_schema_extra={"examples": examples.PROFILE})


@accepts(EmailServerProfile, without=("id",), partial=True)
class ProfilePatch(Given):
    """JSON merge patch of a profile: what is left out stays, null returns to the default."""

    model_config = ConfigDict(json_schema_extra={"examples": examples.PROFILE_PATCH})


@shows(Breaker, without=("credential", "probe"))
class BreakerShown(Shown):
    """Why calls are stopped, and until when."""


@shows(EmailServerProfile)
class ProfileShown(Shown):
    """An email server profile."""

    breaker: BreakerShown | None = Field(
        default=None,
        description="Open where the server refused the profile's credentials; closes by itself or when they change.",
    )
    outgoing_breaker: BreakerShown | None = Field(
        default=None,
        description="As `breaker`, where outgoing mail has a server or credentials of its own, or SMTP; it stops sending only.",
    )

    @classmethod
    def of(cls, stored: StoredProfile, set_on: SecretSetOn) -> "ProfileShown":
        breakers = {workload: BreakerShown.model_validate(breaker) for workload, breaker in stored.breakers.items()}
        shown = cls.model_validate(stored.record, context={"set_on": set_on})
        return shown.model_copy(
            update={"breaker": breakers.get(Workload.INCOMING), "outgoing_breaker": breakers.get(Workload.OUTGOING)}
        )


# ---- users and queues


@accepts(Owner, without=("id", "kind"))
class OwnerGiven(Given):
    """A user or queue; its id stands in the path. Its mailbox is created with it."""

    model_config = ConfigDict(json_schema_extra={"examples": examples.OWNER})


@accepts(Owner, without=("id", "kind"), partial=True)
class OwnerPatch(Given):
    """JSON merge patch of a user or queue: what is left out stays, null returns to the default."""

    model_config = ConfigDict(json_schema_extra={"examples": examples.OWNER_PATCH})


@shows(Owner, without=("kind",))
class OwnerShown(Shown):
    """A user or queue."""

    mailbox_id: str = Field(default="", description="Its one mailbox; the id is derived from the owner.")

    @classmethod
    def of(cls, stored: StoredOwner) -> "OwnerShown":
        mailbox_id = mailbox_id_of(stored.record.kind, stored.record.id)
        return cls.model_validate(stored.record).model_copy(update={"mailbox_id": mailbox_id})


# ---- mailboxes


@accepts(Credentials, only=("username", "secret"), partial=True)
class MailboxCredentials(Given):
    """Used where the profile's credential source is the mailbox."""


@accepts(Mailbox, only=[name for name in CHANGEABLE if name != "credentials"], partial=True)
class MailboxPatch(Given):
    """JSON merge patch of a mailbox: what is left out stays, null returns to the default."""

    model_config = ConfigDict(json_schema_extra={"examples": examples.MAILBOX_PATCH})

    credentials: MailboxCredentials | None = None


@accepts(Mailbox, only=("name", "address", "profile_id", "process_email_received_after", "process_and_delete", "active"))
class ForwardMailboxGiven(Given):
    """A forward mailbox: it belongs to nobody, is only read, and its id stands in the path."""

    model_config = ConfigDict(json_schema_extra={"examples": examples.FORWARD_MAILBOX})

    credentials: MailboxCredentials = MailboxCredentials()


@shows(WorkloadSchedule, without=("breaker",))
class WorkloadShown(Shown):
    """When a workload runs next, how it fared, and why it does not run where it does not."""

    breaker: BreakerShown | None = None
    eligible: bool = Field(default=True, description="Nothing keeps the workload from running when it is due.")
    ineligible_reason: Ineligible | None = Field(default=None, description="What keeps it from running.")
    ineligible_cause: str | None = None
    ineligible_remedy: str | None = None

    @classmethod
    def of(cls, schedule: WorkloadSchedule, reason: Ineligible | None) -> "WorkloadShown":
        ineligible = {
            "eligible": reason is None,
            "ineligible_reason": reason,
            "ineligible_cause": words.INELIGIBLE[reason] if reason else None,
            "ineligible_remedy": remedy(reason) if reason else None,
        }
        return cls.model_validate(schedule).model_copy(update=ineligible)


@shows(Discovered)
class DiscoveredShown(Shown):
    """What autodiscover found for a mailbox."""


@shows(Mailbox)
class MailboxShown(Shown):
    """The configuration of a mailbox, and beside it, per workload, its schedule; the ETag is that of the configuration."""

    workloads: Mapping[Workload, WorkloadShown] = {}
    discovered: DiscoveredShown | None = Field(default=None, description="With a profile that uses autodiscover.")

    @classmethod
    def of(cls, standing: MailboxStanding, set_on: SecretSetOn) -> "MailboxShown":
        stored = standing.stored
        workloads = {
            workload: WorkloadShown.of(stored.schedule.get(workload, WorkloadSchedule()), reason)
            for workload, reason in standing.held_back.items()
        }
        discovered = DiscoveredShown.model_validate(stored.discovered) if stored.discovered else None
        shown = cls.model_validate(stored.record, context={"set_on": set_on})
        return shown.model_copy(update={"workloads": workloads, "discovered": discovered})


# ---- folder-level tracking rules


@accepts(FolderTrackingRule, without=("mailbox_id", "folder_id"))
class RuleGiven(Given):
    """A folder-level tracking rule; mailbox and folder stand in the path."""

    model_config = ConfigDict(json_schema_extra={"examples": examples.RULE})


@accepts(FolderTrackingRule, without=("mailbox_id", "folder_id"), partial=True)
class RulePatch(Given):
    """JSON merge patch of a rule: what is left out stays, null returns to the default."""

    model_config = ConfigDict(json_schema_extra={"examples": examples.RULE_PATCH})


@shows(FolderTrackingRule)
class RuleShown(Shown):
    """A folder-level tracking rule: mail that lies in this folder is tracked."""

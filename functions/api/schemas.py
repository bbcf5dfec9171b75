"""What the API accepts and shows, resource by resource: the domain's records, and what belongs beside them."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, SecretStr

from functions.api.derived import Given, Shown, accepts, shows
from shared.administration.explanation import Explanation
from shared.administration.mailboxes import CHANGEABLE
from shared.administration.standing import MailboxStanding, remedy
from shared.administration.writing import Keep, NewSecret
from shared.domain import words
from shared.domain.choices import Workload
from shared.domain.configuration import (
    Breaker,
    Credentials,
    EmailServerProfile,
    Mailbox,
    Owner,
    StoredOwner,
    StoredProfile,
    WorkloadSchedule,
)
from shared.domain.eligibility import Ineligible
from shared.domain.email import Attachment, EmailActivity, EmailContent, Sighting, TimelineEntry
from shared.domain.ids import ProfileId, mailbox_id_of
from shared.domain.operations import Alert, QuarantinedItem, Run

Secret = Annotated[
    SecretStr | None,
    Field(description="A new password or client secret; null removes the stored one, leaving it out keeps it. Never shown."),
]


def new_secret(given: Given, secret: SecretStr | None) -> NewSecret:
    if "secret" not in given.model_fields_set:
        return Keep.SECRET
    return None if secret is None else secret.get_secret_value()


# ---- profiles


@accepts(Credentials, without=("secret",))
class CredentialsGiven(Given):
    """Who signs in."""

    secret: Secret = None

    @property
    def new_secret(self) -> NewSecret:
        return new_secret(self, self.secret)

    def record(self) -> Credentials:
        return Credentials(**{name: value for name, value in self.every().items() if name != "secret"})


@accepts(EmailServerProfile, without=("id", "credentials"))
class ProfileGiven(Given):
    """An email server profile; its id stands in the path."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {
                    "name": "Contoso Exchange",
                    "server_type": "exchange_server",
                    "incoming_location": "https://mail.contoso.com/EWS/Exchange.asmx",
                    "authentication": "ntlm",
                    "credential_source": "profile",
                    "credentials": {"username": "CONTOSO\\sidesync", "secret": "the password"},
                },
                {
                    "name": "Exchange Online",
                    "server_type": "exchange_online",
                    "incoming_location": "https://outlook.office365.com/EWS/Exchange.asmx",
                    "authentication": "oauth",
                    "credential_source": "application",
                    "credentials": {
                        "tenant_id": "contoso.onmicrosoft.com",
                        "client_id": "00001111-aaaa-2222-bbbb-3333cccc4444",
                        "secret": "the client secret",
                    },
                },
            ]
        }
    )

    credentials: CredentialsGiven = CredentialsGiven()

    def record(self, profile_id: str) -> EmailServerProfile:
        return EmailServerProfile(id=ProfileId(profile_id), **(self.every() | {"credentials": self.credentials.record()}))


@shows(Breaker, without=("credential",))
class BreakerShown(Shown):
    """Why calls are stopped, and until when."""


@shows(EmailServerProfile)
class ProfileShown(Shown):
    """An email server profile."""

    breaker: BreakerShown | None = Field(
        default=None,
        description="Open where the server refused the profile's credentials; closes by itself or when they change.",
    )

    @classmethod
    def of(cls, stored: StoredProfile) -> "ProfileShown":
        breaker = BreakerShown.model_validate(stored.breaker) if stored.breaker else None
        return cls.model_validate(stored.record).model_copy(update={"breaker": breaker})


# ---- users


@accepts(Owner, without=("id", "kind"))
class UserGiven(Given):
    """A user; its id stands in the path. Its mailbox is created with it."""

    model_config = ConfigDict(json_schema_extra={"examples": [{"name": "Anna Berg", "address": "anna@contoso.com"}]})


@shows(Owner, without=("kind",))
class UserShown(Shown):
    """A user."""

    mailbox_id: str = Field(default="", description="The user's one mailbox; the id is derived from the user.")

    @classmethod
    def of(cls, stored: StoredOwner) -> "UserShown":
        mailbox_id = mailbox_id_of(stored.record.kind, stored.record.id)
        return cls.model_validate(stored.record).model_copy(update={"mailbox_id": mailbox_id})


# ---- mailboxes


@accepts(Credentials, only=("username",), partial=True)
class MailboxCredentialsGiven(Given):
    """Used where the profile's credential source is the mailbox."""

    secret: Secret = None

    def onto(self, credentials: Credentials) -> Credentials:
        return replace(credentials, **{name: value for name, value in self.given().items() if name != "secret"})


@accepts(Mailbox, only=[name for name in CHANGEABLE if name != "credentials"], partial=True)
class MailboxPatch(Given):
    """JSON merge patch of a mailbox: what is left out stays, null clears."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [{"profile_id": "contoso-exchange", "process_email_received_after": "2026-01-31T00:00:00Z"}]
        }
    )

    credentials: MailboxCredentialsGiven | None = None

    @property
    def new_secret(self) -> NewSecret:
        if "credentials" not in self.model_fields_set:
            return Keep.SECRET
        return None if self.credentials is None else new_secret(self.credentials, self.credentials.secret)

    def edit(self, mailbox: Mailbox) -> Mailbox:
        changes = self.given()
        if "credentials" in changes:
            given = self.credentials
            changes["credentials"] = Credentials() if given is None else given.onto(mailbox.credentials)
        return replace(mailbox, **changes)


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


@shows(Mailbox)
class MailboxShown(Shown):
    """The configuration of a mailbox, and beside it, per workload, its schedule; the ETag is that of the configuration."""

    workloads: Mapping[Workload, WorkloadShown] = {}

    @classmethod
    def of(cls, standing: MailboxStanding) -> "MailboxShown":
        workloads = {
            workload: WorkloadShown.of(standing.stored.schedule.get(workload, WorkloadSchedule()), reason)
            for workload, reason in standing.held_back.items()
        }
        return cls.model_validate(standing.stored.record).model_copy(update={"workloads": workloads})


# ---- activities


@shows(TimelineEntry, without=("list_of", "whose"))
class ActivityListed(Shown):
    """An activity as a list shows it."""


@shows(Attachment, without=("blob",))
class AttachmentShown(Shown):
    """An attachment; its content is served as a download."""

    url: str = ""

    @classmethod
    def of(cls, attachment: Attachment, url: str) -> "AttachmentShown":
        return cls.model_validate(attachment).model_copy(update={"url": url})


@shows(Sighting, without=("activity_id", "item_id"))
class SightingShown(Shown):
    """A mailbox in which the email was seen."""


@shows(EmailContent, without=("subject", "received", "attachments"))
@shows(EmailActivity, without=("fingerprint", "content_id"))
class ActivityShown(Shown):
    """An email activity. `body_html` is sanitised unless the raw body was asked for."""

    attachments: Sequence[AttachmentShown] = ()
    sightings: Sequence[SightingShown] = ()


# ---- operations


@shows(Run)
class RunShown(Shown):
    """One run of a mailbox that did something."""


@shows(Alert)
class AlertShown(Shown):
    """Something an administrator should know."""


@shows(QuarantinedItem, without=("raw_blob",))
class QuarantinedItemShown(Shown):
    """An item that failed for good and is kept with its raw form."""


@shows(Explanation)
class ExplanationShown(Shown):
    """What became of a message in a mailbox, and why."""


class Health(BaseModel):
    """The API answers."""

    status: Literal["ok"] = "ok"

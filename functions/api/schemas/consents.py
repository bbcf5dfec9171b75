"""The consent of a mailbox's owner, as the API shows it: never a token, nor what leads to one but the link."""

from collections.abc import Sequence
from datetime import datetime

from pydantic import BaseModel, Field

from shared.administration.consenting import ConsentLink, ConsentStanding
from shared.domain.choices import ConsentStatus
from shared.domain.consents import end_of


class ConsentShown(BaseModel):
    """Whether the owner of a mailbox consented to its being read."""

    status: ConsentStatus = Field(
        description="`not_needed`: its profile signs in by other means; `missing`: nobody consented yet; `granted`;"
        " `outdated`: it was for another application, provider, protocol or mail server than the profile has; `ended`: the"
        " provider does not accept it any more."
    )
    granted_on: datetime | None = None
    granted_by: str | None = Field(default=None, description="Who had asked the owner.")
    renewed_on: datetime | None = Field(default=None, description="When the provider last gave tokens for it, to the day.")
    ends_on: datetime | None = Field(default=None, description="When it ends if nothing uses it from now on.")
    ended_on: datetime | None = Field(default=None, description="Since when the provider does not accept it.")
    scopes: Sequence[str] = Field(default=(), description="What was consented to.")

    @classmethod
    def of(cls, standing: ConsentStanding) -> "ConsentShown":
        consent = standing.consent
        if consent is None:
            return cls(status=standing.status)
        return cls(
            status=standing.status,
            granted_on=consent.granted_on,
            granted_by=consent.granted_by,
            renewed_on=consent.renewed_on,
            ends_on=end_of(consent),
            ended_on=consent.ended_on,
            scopes=consent.terms.scopes,
        )


class ConsentAsked(BaseModel):
    """What the owner of the mailbox opens, and until when the answer counts."""

    authorization_url: str = Field(description="For the owner's browser, and for nobody else: whoever opens it can answer.")
    expires_on: datetime
    redirect_uri: str = Field(description="Has to be registered at the provider.")

    @classmethod
    def of(cls, link: ConsentLink) -> "ConsentAsked":
        request = link.request
        return cls(authorization_url=link.authorization_url, expires_on=request.expires_on, redirect_uri=request.redirect_uri)

"""The HTTP API as an ASGI application, put together from one router per resource. The host checks the function key."""

from typing import Any, Protocol

from fastapi import FastAPI

from functions.api.access import Access
from functions.api.documented import described
from functions.api.guard import Guard
from functions.api.problems import answer_with_problems
from functions.api.routers.activities import activities
from functions.api.routers.address_book import address_book, loads
from functions.api.routers.alerts import alerts
from functions.api.routers.audit import audit
from functions.api.routers.consents import consent_page, consents
from functions.api.routers.drafts import attachments, drafts, outgoing
from functions.api.routers.emails import emails
from functions.api.routers.findings import findings
from functions.api.routers.folders import folders
from functions.api.routers.items import items, quarantine
from functions.api.routers.mailboxes import forward_mailboxes, mailbox_actions, mailboxes
from functions.api.routers.owners import owners
from functions.api.routers.page import page
from functions.api.routers.previews import previews
from functions.api.routers.profiles import profiles
from functions.api.routers.rules import rules
from functions.api.routers.service import service
from functions.api.routers.settings import settings
from functions.api.secret_dates import SecretDates
from shared.administration import Administration
from shared.domain.choices import OwnerKind
from shared.sync.folders import Folders
from shared.sync.preview import Preview

PREFIX = "/api"
VERSION = "0.1.0"


class AccessSettings(Protocol):
    """What the API needs of the settings of the deployment."""

    @property
    def platform_authentication(self) -> bool:
        """The platform authenticates callers (Microsoft Entra ID)."""
        ...

    @property
    def public_url(self) -> str | None:
        """Address of the function app as browsers reach it; None is the one that a request was sent to."""
        ...


class Sidesync(Protocol):
    """What the API needs of the composition root."""

    @property
    def administration(self) -> Administration: ...

    @property
    def preview(self) -> Preview: ...

    @property
    def folders(self) -> Folders: ...

    @property
    def settings(self) -> AccessSettings: ...


class Api(FastAPI):
    """FastAPI with a description in which every error is a problem."""

    def openapi(self) -> dict[str, Any]:
        if self.openapi_schema is None:
            self.openapi_schema = described(self)
        return self.openapi_schema


def create_page() -> Api:
    """The page of the API and nothing else: it is served without a key, so nothing that needs one is within reach."""
    app = Api(openapi_url=None, docs_url=None, redoc_url=None, redirect_slashes=False)
    answer_with_problems(app)
    app.add_middleware(Guard)
    app.include_router(page(), prefix=PREFIX)
    return app


def create_consent_page(sidesync: Sidesync) -> Api:
    """Where owners of mailboxes come back to from the provider: served without a key, as they have none."""
    app = Api(openapi_url=None, docs_url=None, redoc_url=None, redirect_slashes=False)
    answer_with_problems(app)
    app.add_middleware(Guard)
    app.include_router(consent_page(sidesync.administration), prefix=PREFIX)
    return app


def create_app(sidesync: Sidesync) -> Api:
    app = Api(
        title="Sidesync",
        version=VERSION,
        summary="Server-side synchronization of mailboxes: configuration, activities and operations.",
        openapi_url=f"{PREFIX}/openapi.json",
        docs_url=None,
        redoc_url=None,
        redirect_slashes=False,
        generate_unique_id_function=lambda route: route.name,
    )
    answer_with_problems(app)
    app.add_middleware(Access, platform_authentication=sidesync.settings.platform_authentication)
    app.add_middleware(Guard)
    administration = sidesync.administration
    set_on = SecretDates(administration.secret_set_on)
    for router in (
        settings(administration),
        profiles(administration, set_on),
        owners(OwnerKind.USER, administration.users),
        owners(OwnerKind.QUEUE, administration.queues),
        mailboxes(administration, set_on),
        mailbox_actions(administration, set_on),
        forward_mailboxes(administration, set_on),
        consents(administration, sidesync.settings.public_url),
        findings(administration),
        items(administration),
        quarantine(administration),
        previews(administration, sidesync.preview),
        folders(administration, sidesync.folders),
        rules(administration),
        address_book(administration.address_book),
        loads(administration.loads),
        emails(administration),
        drafts(administration),
        attachments(administration),
        outgoing(administration),
        activities(administration),
        alerts(administration),
        audit(administration),
        service(),
        page(),
        consent_page(administration),
    ):
        app.include_router(router, prefix=PREFIX)
    return app

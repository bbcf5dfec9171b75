"""The HTTP API as an ASGI application, put together from one router per resource. The host checks the function key."""

from typing import Any, Protocol

from fastapi import FastAPI

from functions.api.documented import described
from functions.api.guard import Guard
from functions.api.problems import answer_with_problems
from functions.api.routers.activities import activities
from functions.api.routers.alerts import alerts
from functions.api.routers.mailboxes import mailboxes
from functions.api.routers.profiles import profiles
from functions.api.routers.service import service
from functions.api.routers.users import users
from shared.administration import Administration

PREFIX = "/api"
VERSION = "0.1.0"


class Sidesync(Protocol):
    """What the API needs of the composition root."""

    @property
    def administration(self) -> Administration: ...


class Api(FastAPI):
    """FastAPI with a description in which every error is a problem."""

    def openapi(self) -> dict[str, Any]:
        if self.openapi_schema is None:
            self.openapi_schema = described(self)
        return self.openapi_schema


def create_app(sidesync: Sidesync) -> FastAPI:
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
    app.add_middleware(Guard)
    administration = sidesync.administration
    for router in (
        profiles(administration),
        users(administration),
        mailboxes(administration),
        activities(administration),
        alerts(administration),
        service(),
    ):
        app.include_router(router, prefix=PREFIX)
    return app

"""The HTTP triggers: one catch-all function, behind it the ASGI application of `functions/api`, imported on the first request.

The route prefix stays in the path: the application's own paths start with /api, its OpenAPI document is /api/openapi.json.
"""

import asyncio
from functools import cache
from threading import Lock
from typing import Literal, cast

import azure.functions as func

from shared import bootstrap

blueprint = func.Blueprint()


@blueprint.route(route="{*path}", trigger_arg_name="request", auth_level=func.AuthLevel.FUNCTION)
async def api(request: func.HttpRequest, context: func.Context) -> func.HttpResponse:
    """Every request of the API."""
    middleware = await asyncio.to_thread(_middleware, "create_app")
    return cast(func.HttpResponse, await middleware.handle_async(_with_whole_path(request), context))


@blueprint.route(route="docs/{file?}", trigger_arg_name="request", auth_level=func.AuthLevel.ANONYMOUS)
async def about_the_api(request: func.HttpRequest, context: func.Context) -> func.HttpResponse:
    """The page of the API, which a browser opens without a key; it asks its reader for one.

    The name matters: the host tries the routes of functions in the order of their names, and `api` would take this one too.
    """
    middleware = await asyncio.to_thread(_page)
    return cast(func.HttpResponse, await middleware.handle_async(_with_whole_path(request), context))


@blueprint.route(route="consent", trigger_arg_name="request", auth_level=func.AuthLevel.ANONYMOUS)
async def accept_consent(request: func.HttpRequest, context: func.Context) -> func.HttpResponse:
    """Where owners of mailboxes come back to from the provider, with a state instead of a key. As for its name, see above."""
    middleware = await asyncio.to_thread(_middleware, "create_consent_page")
    return cast(func.HttpResponse, await middleware.handle_async(_with_whole_path(request), context))


def _with_whole_path(request: func.HttpRequest) -> func.HttpRequest:
    """azure.functions cuts a path at its semicolon: the request would be about another record than the one it names."""
    path, mark, query = request.url.partition("?")
    if ";" not in path:
        return request
    return func.HttpRequest(
        method=request.method,
        url=f"{path.replace(';', '%3B')}{mark}{query}",
        headers=dict(request.headers),
        params=dict(request.params),
        route_params=dict(request.route_params),
        body=request.get_body(),
    )


@cache
def _page() -> func.AsgiMiddleware:
    from functions.api.application import create_page

    return func.AsgiMiddleware(create_page())


_building = Lock()
_built: dict[str, tuple[bootstrap.Sidesync, func.AsgiMiddleware]] = {}


def _middleware(create: Literal["create_app", "create_consent_page"]) -> func.AsgiMiddleware:
    """Built once for the Sidesync of this process."""
    with _building:
        sidesync = bootstrap.sidesync()
        if create not in _built or _built[create][0] is not sidesync:
            from functions.api import application

            _built[create] = sidesync, func.AsgiMiddleware(getattr(application, create)(sidesync))
        return _built[create][1]

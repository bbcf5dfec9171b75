"""The HTTP triggers: one catch-all function, behind it the ASGI application of `functions/api`, imported on the first request.

The route prefix stays in the path: the application's own paths start with /api, its OpenAPI document is /api/openapi.json.
"""

import asyncio
from functools import cache
from threading import Lock
from typing import cast

import azure.functions as func

from shared import bootstrap

blueprint = func.Blueprint()


@blueprint.route(route="{*path}", trigger_arg_name="request", auth_level=func.AuthLevel.FUNCTION)
async def api(request: func.HttpRequest, context: func.Context) -> func.HttpResponse:
    """Every request of the API."""
    middleware = await asyncio.to_thread(_middleware)
    return cast(func.HttpResponse, await middleware.handle_async(_with_whole_path(request), context))


@blueprint.route(route="docs/{file?}", trigger_arg_name="request", auth_level=func.AuthLevel.ANONYMOUS)
async def about_the_api(request: func.HttpRequest, context: func.Context) -> func.HttpResponse:
    """The page of the API, which a browser opens without a key; it asks its reader for one.

    The name matters: the host tries the routes of functions in the order of their names, and `api` would take this one too.
    """
    middleware = await asyncio.to_thread(_page)
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
_built: tuple[bootstrap.Sidesync, func.AsgiMiddleware] | None = None


def _middleware() -> func.AsgiMiddleware:
    """Built once for the Sidesync of this process."""
    global _built
    with _building:
        sidesync = bootstrap.sidesync()
        if _built is None or _built[0] is not sidesync:
            from functions.api.application import create_app

            _built = sidesync, func.AsgiMiddleware(create_app(sidesync))
        return _built[1]

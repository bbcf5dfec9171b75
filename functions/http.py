"""The HTTP trigger: one catch-all function, behind it the ASGI application of `functions/api`, imported on the first request.

The route prefix stays in the path: the application's own paths start with /api, its OpenAPI document is /api/openapi.json.
"""

import asyncio
from functools import cache
from typing import cast

import azure.functions as func

from shared import bootstrap

blueprint = func.Blueprint()


@blueprint.route(route="{*path}", trigger_arg_name="request", auth_level=func.AuthLevel.FUNCTION)
async def api(request: func.HttpRequest, context: func.Context) -> func.HttpResponse:
    """Every request of the API."""
    middleware = await asyncio.to_thread(_middleware)
    return cast(func.HttpResponse, await middleware.handle_async(request, context))


@cache
def _middleware() -> func.AsgiMiddleware:
    from functions.api.application import create_app

    return func.AsgiMiddleware(create_app(bootstrap.sidesync()))

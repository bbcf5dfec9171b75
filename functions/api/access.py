"""Who calls, and whether they may: every request passes here before anything of it is read.

The host has checked the function key. Where the platform authenticates callers (Microsoft Entra ID), it puts them into the
header X-MS-CLIENT-PRINCIPAL and removes one that comes from outside; without platform authentication that header is the word of
a stranger and is not looked at, and whoever holds a function key is an administrator.
"""

import base64
import binascii
import json
import re
from collections.abc import Mapping, Sequence
from http import HTTPStatus
from typing import Annotated, Any, cast

from fastapi import Depends, Request
from fastapi.responses import JSONResponse
from starlette.datastructures import Headers
from starlette.types import ASGIApp, Receive, Scope, Send

from functions.api.problems import problem
from shared.domain.audit import Caller
from shared.domain.choices import Role
from shared.domain.errors import SyncError

PRINCIPAL = "X-MS-CLIENT-PRINCIPAL"
KEY_HOLDER = Caller("function key", frozenset({Role.ADMIN}))
OPEN = ("/api/health", "/api/docs", "/api/consent")
"""Paths that show nothing of anybody. What changes something there is guarded by a state that only its owner has."""

_READING = ("GET", "HEAD", "OPTIONS")
_NOT_TRACKED = re.compile(r"/api/mailboxes/[^/]+/quarantine/[^/]+/raw/?")
"""Paths that show mail which nobody decided to track: it may be private, and is read by administrators only."""
_LONGEST_NAME = 200
_NAMES = (
    "preferred_username",
    "http://schemas.xmlsoap.org/ws/2005/05/identity/claims/upn",
    "http://schemas.xmlsoap.org/ws/2005/05/identity/claims/emailaddress",
    "http://schemas.microsoft.com/identity/claims/objectidentifier",
    "oid",
    "appid",
    "azp",
)
"""Claims that name a caller, the one that people recognise first. A display name is none: anybody may choose it."""


_ROLES = ("roles", "http://schemas.microsoft.com/ws/2008/06/identity/claims/role")


class Unauthenticated(SyncError):
    """The platform names no caller, or not in the form that it does."""

    code = "unauthenticated"
    remedy = "Sign in with Microsoft Entra ID, and call the function app at its own address, not around its authentication."


class Forbidden(SyncError):
    """The caller lacks a role."""

    code = "forbidden"

    def __init__(self, role: Role) -> None:
        super().__init__(f"the role {role.value} is missing")
        self.remedy = f"Assign the role {role.value} to the caller in the app registration of Sidesync."


def require(caller: Caller, role: Role) -> None:
    """Raises Forbidden. An administrator may read as well."""
    if role not in caller.roles and Role.ADMIN not in caller.roles:
        raise Forbidden(role)


def caller_of(headers: Mapping[str, str], *, platform_authentication: bool) -> Caller:
    """Raises Unauthenticated."""
    if not platform_authentication:
        return KEY_HOLDER
    principal = headers.get(PRINCIPAL)
    if not principal:
        raise Unauthenticated("the platform names no caller")
    return _principal(principal)


def _principal(header: str) -> Caller:
    try:
        content = json.loads(base64.b64decode(header.strip(), validate=True))
    except (binascii.Error, ValueError, RecursionError) as error:
        raise Unauthenticated(f"the header {PRINCIPAL} is malformed") from error
    claims = content.get("claims") if isinstance(content, dict) else None
    if not isinstance(claims, list) or content.get("auth_typ") != "aad":
        raise Unauthenticated(f"the header {PRINCIPAL} names no caller of Microsoft Entra ID")
    pairs = [(each.get("typ"), each.get("val")) for each in claims if isinstance(each, dict)]
    texts = [(kind, value.strip()) for kind, value in pairs if isinstance(kind, str) and isinstance(value, str)]
    roles = {value for kind, value in texts if kind in (*_ROLES, content.get("role_typ"))}
    return Caller(_name(texts), frozenset(role for role in Role if role.value in roles))


def _name(claims: Sequence[tuple[str, str]]) -> str:
    """Raises Unauthenticated where the caller is not named: an audit without a name is none."""
    values = {kind: value for kind, value in claims if value}
    found = next((values[kind] for kind in _NAMES if kind in values), None)
    if found is None:
        raise Unauthenticated(f"the header {PRINCIPAL} names no caller")
    return "".join(each if each.isprintable() else "_" for each in found)[:_LONGEST_NAME]


class Access:
    """Lets a request through with its caller, or answers it: 401 where nobody is named, 403 where a role is missing."""

    def __init__(self, app: ASGIApp, *, platform_authentication: bool) -> None:
        self._app = app
        self._platform_authentication = platform_authentication

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http" and (refusal := self._admit(scope)) is not None:
            await refusal(scope, receive, send)
            return
        await self._app(scope, receive, send)

    def _admit(self, scope: Scope) -> JSONResponse | None:
        if _is_open(scope["path"]):
            return None
        try:
            caller = caller_of(Headers(scope=scope), platform_authentication=self._platform_authentication)
            require(caller, _role_for(scope["method"], scope["path"]))
        except Unauthenticated as error:
            return problem(HTTPStatus.UNAUTHORIZED, error.code, str(error), error.remedy)
        except Forbidden as error:
            return problem(HTTPStatus.FORBIDDEN, error.code, str(error), error.remedy)
        scope.setdefault("state", {})["caller"] = caller
        return None


def _role_for(method: str, path: str) -> Role:
    return Role.READER if method in _READING and not _NOT_TRACKED.fullmatch(path) else Role.ADMIN


def _is_open(path: str) -> bool:
    return any(path == each or path.startswith(f"{each}/") for each in OPEN)


def _admitted(request: Request) -> Caller:
    return cast(Caller, cast(Any, request.state).caller)


By = Annotated[Caller, Depends(_admitted)]
"""The caller of this request."""

"""The page of the API: three files that are served as they are, and need nothing from elsewhere.

They show nothing of anybody, so they are open; what the page asks for is answered with the key that its reader gives it.
"""

from pathlib import Path

from fastapi import APIRouter, HTTPException, Response

_FILES = Path(__file__).parents[1] / "page"
_SERVED = {
    "page.html": "text/html; charset=utf-8",
    "page.css": "text/css; charset=utf-8",
    "page.js": "text/javascript; charset=utf-8",
}
_HEADERS = {
    "Content-Security-Policy": (
        "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; img-src data:;"
        " base-uri 'none'; form-action 'none'; frame-ancestors 'none'; require-trusted-types-for 'script'"
    ),
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Cache-Control": "no-cache",
}


def page() -> APIRouter:
    router = APIRouter(prefix="/docs", include_in_schema=False)

    @router.get("")
    def read_page() -> Response:
        return _file("page.html")

    @router.get("/{name}")
    def read_part(name: str) -> Response:
        if name not in _SERVED:
            raise HTTPException(404)
        return _file(name)

    return router


def _file(name: str) -> Response:
    return Response((_FILES / name).read_bytes(), headers=_HEADERS | {"Content-Type": _SERVED[name]})

"""Email activities over HTTP. What strangers wrote is shown sanitised, in a sandbox, and never as a page of ours."""

import base64
import re
from collections.abc import Iterator
from contextlib import suppress
from typing import Annotated
from urllib.parse import quote

from fastapi import APIRouter, Query, Response
from fastapi.responses import StreamingResponse

from functions.api.conditions import show_etag
from functions.api.documented import READS, READS_RECORD, binary
from functions.api.identifiers import ActivityPath, AttachmentPath
from functions.api.schemas.mail import ActivityShown, AnnotationShown, AttachmentShown, SightingShown
from shared.administration import Administration
from shared.administration.activities import WholeEmail
from shared.administration.failures import RecordNotFound
from shared.administration.sanitising import sanitised
from shared.domain.email import EmailContent
from shared.domain.ids import ActivityId

Raw = Annotated[bool, Query(description="The body as it was received, instead of sanitised.")]

_SANDBOX = {
    "Content-Security-Policy": "sandbox; default-src 'none'",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Resource-Policy": "same-origin",
}
_SHOWN_PAGE = _SANDBOX | {
    "Content-Security-Policy": (
        "sandbox allow-popups allow-popups-to-escape-sandbox; default-src 'none';"
        " img-src data:; style-src 'unsafe-inline'; base-uri 'none'; form-action 'none'"
    )
}
_PICTURE = re.compile(r"image/(?:png|gif|jpeg|webp)\Z", re.IGNORECASE)
_EMBEDDED_BYTES = 4 * 1024 * 1024
"""Pictures of a body that are shown with it, at most; those beyond stay attachments."""
_MEDIA_TYPE = re.compile(r"[a-z0-9][a-z0-9!#$&^_.+-]{0,63}/[a-z0-9][a-z0-9!#$&^_.+-]{0,63}\Z", re.IGNORECASE)


def activities(administration: Administration) -> APIRouter:
    router = APIRouter(prefix="/activities", tags=["activities"])

    @router.get("/{activity_id}", summary="Read an email activity", responses=READS_RECORD)
    def read_activity(activity_id: ActivityPath, response: Response, raw: Raw = False) -> ActivityShown:
        email = administration.activities.get(ActivityId(activity_id))
        show_etag(response, email.etag)
        return shown(email, raw=raw)

    @router.get(
        "/{activity_id}/body",
        summary="Show the body of an email",
        response_class=Response,
        responses=READS | binary("The body; raw HTML as a download.", "text/html", "text/plain"),
    )
    def read_body(activity_id: ActivityPath, raw: Raw = False) -> Response:
        content = administration.activities.content(ActivityId(activity_id))
        if content.body_html is None:
            return Response(content.body_text, media_type="text/plain", headers=_SANDBOX)
        if raw:
            return Response(content.body_html, media_type="text/html", headers=_SANDBOX | _as_download("body.html"))
        pictures = dict(_embedded(administration, activity_id, content))
        return Response(sanitised(content.body_html, pictures), media_type="text/html", headers=_SHOWN_PAGE)

    @router.get(
        "/{activity_id}/attachments/{number}",
        summary="Download an attachment",
        response_class=StreamingResponse,
        responses=READS | binary("The content, with the media type that the sender gave it.", "*/*"),
    )
    def download(activity_id: ActivityPath, number: AttachmentPath) -> StreamingResponse:
        attachment, chunks = administration.activities.attachment(ActivityId(activity_id), number)
        media_type = attachment.content_type if _MEDIA_TYPE.match(attachment.content_type) else "application/octet-stream"
        headers = _SANDBOX | _as_download(attachment.name) | {"Content-Type": media_type}
        return StreamingResponse(chunks, headers=headers)

    return router


def shown(email: WholeEmail, *, raw: bool = False) -> ActivityShown:
    content = email.content
    html = content.body_html if raw else _safe_html(email.activity.id, content)
    fields = {
        name: getattr(source, name)
        for source in (content, email.activity)
        for name in ActivityShown.model_fields
        if hasattr(source, name)
    }
    attachments = [
        AttachmentShown.of(each, _attachment_url(email.activity.id, number)) for number, each in enumerate(content.attachments)
    ]
    sightings = [SightingShown.model_validate(each) for each in email.sightings]
    annotations = [AnnotationShown.model_validate(each) for each in email.annotations]
    beside = {"body_html": html, "attachments": attachments, "sightings": sightings, "annotations": annotations}
    return ActivityShown.model_validate(fields | beside)


def _safe_html(activity_id: str, content: EmailContent) -> str | None:
    if content.body_html is None:
        return None
    inline = {
        each.content_id: _attachment_url(activity_id, number)
        for number, each in enumerate(content.attachments)
        if each.content_id
    }
    return sanitised(content.body_html, inline)


def _embedded(administration: Administration, activity_id: str, content: EmailContent) -> Iterator[tuple[str, str]]:
    """The pictures of a body by content id, as data: the page stands in a sandbox, from where it can ask us for nothing."""
    room = _EMBEDDED_BYTES
    for number, each in enumerate(content.attachments):
        if each.content_id and each.size <= room and _PICTURE.match(each.content_type):
            room -= each.size
            with suppress(RecordNotFound):
                _, chunks = administration.activities.attachment(ActivityId(activity_id), number)
                encoded = base64.b64encode(b"".join(chunks)).decode()
                yield each.content_id, f"data:{each.content_type.lower()};base64,{encoded}"


def _attachment_url(activity_id: str, number: int) -> str:
    return f"/api/activities/{activity_id}/attachments/{number}"


def _as_download(name: str) -> dict[str, str]:
    """RFC 6266: a plain name for old programs, and the name itself in UTF-8; neither can end the header or name a folder."""
    visible = "".join(each if each.isprintable() and each not in '/\\:*?"<>|%;' else "_" for each in name).strip(". ")
    short = visible if len(visible) <= 150 else f"{visible[:130]}{visible[-20:]}"  # what a name ends with says of what kind
    shown = short or "attachment"
    plain = shown.encode("ascii", "replace").decode().replace("?", "_")
    return {"Content-Disposition": f"attachment; filename=\"{plain}\"; filename*=UTF-8''{quote(shown, safe='')}"}

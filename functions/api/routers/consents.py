"""The consent of mailboxes' owners over HTTP: asked for, looked at, withdrawn; and the page that owners come back to.

That page is open: whoever brings the state that was given to the provider is believed, once. It says the same few words
whatever comes, and repeats nothing of it.
"""

from fastapi import APIRouter, Request, Response

from functions.api.access import By
from functions.api.documented import ACTS, DELETES, READS
from functions.api.identifiers import MailboxPath
from functions.api.schemas.consents import ConsentAsked, ConsentShown
from shared.administration import Administration
from shared.administration.consenting import Outcome
from shared.domain.ids import MailboxId

PATH = "/consent"
"""Where owners come back to, behind the prefix of the API."""

_HEADERS = {
    "Content-Security-Policy": "default-src 'none'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Cache-Control": "no-store",
}
_SAID = {
    Outcome.CONSENTED: (200, "Thank you. Your consent was received, and this window can be closed."),
    Outcome.DECLINED: (200, "You did not consent, and nothing was changed. This window can be closed."),
    Outcome.FAILED: (
        400,
        "Nothing was changed. If you have not consented yet, ask your administrator for a new link: each works once, and for 15"
        " minutes.",
    ),
}


def consents(administration: Administration, public_url: str | None) -> APIRouter:
    """`public_url`: of the function app, where the host does not know it."""
    router = APIRouter(prefix="/mailboxes/{mailbox_id}/consent", tags=["mailboxes"])
    use = administration.consents

    @router.get("", summary="Read whether the owner of a mailbox consented to its being read", responses=READS)
    def read_consent(mailbox_id: MailboxPath) -> ConsentShown:
        return ConsentShown.of(use.standing(MailboxId(mailbox_id)))

    @router.post("", summary="Ask the owner of a mailbox for consent", responses=ACTS)
    def ask_consent(mailbox_id: MailboxPath, request: Request, by: By) -> ConsentAsked:
        """Answers with a link for the owner to open in a browser. From the provider the owner comes back to /api/consent of
        this function app, which has to be registered there as a redirect URI of the application. What was consented to before
        stays in use until then."""
        base = public_url or str(request.base_url).rstrip("/")
        return ConsentAsked.of(use.ask(MailboxId(mailbox_id), f"{base}/api{PATH}", by))

    @router.delete("", summary="Withdraw the consent of a mailbox's owner", status_code=204, responses=DELETES)
    def withdraw_consent(mailbox_id: MailboxPath, by: By) -> None:
        """Forgotten here at once, and revoked at the provider where that has a way for it (Google); an alert says where not."""
        use.withdraw(MailboxId(mailbox_id), by)

    return router


def consent_page(administration: Administration) -> APIRouter:
    router = APIRouter(prefix=PATH, include_in_schema=False)

    @router.get("")
    def answer(state: str | None = None, code: str | None = None) -> Response:
        status, words = _SAID[administration.consents.answer(state, code)]
        page = f'<!DOCTYPE html><html lang="en"><head><title>Sidesync</title></head><body><p>{words}</p></body></html>'
        return Response(page, status, _HEADERS, "text/html")

    return router

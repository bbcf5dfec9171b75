"""Email server profiles over HTTP."""

from http import HTTPStatus

from fastapi import APIRouter, Response

from functions.api.access import By
from functions.api.conditions import State, StateOrNew, show_etag
from functions.api.documented import CHANGES, DELETES, QUEUES, READS, READS_RECORD, created
from functions.api.identifiers import ProfilePath
from functions.api.merging import made, merged, secrets_in
from functions.api.paging import Part
from functions.api.schemas.configuration import ProfileGiven, ProfilePatch, ProfileShown
from functions.api.schemas.operations import Accepted
from functions.api.secret_dates import SecretDates
from shared.administration import Administration
from shared.domain.configuration import EmailServerProfile, StoredProfile
from shared.domain.ids import ProfileId


def profiles(administration: Administration, set_on: SecretDates) -> APIRouter:
    router = APIRouter(prefix="/profiles", tags=["profiles"])

    def shown(stored: StoredProfile, response: Response) -> ProfileShown:
        show_etag(response, stored.etag)
        return ProfileShown.of(stored, set_on)

    @router.get("", summary="List the email server profiles", responses=READS)
    def list_profiles() -> Part[ProfileShown]:
        return Part(items=[ProfileShown.of(stored, set_on) for stored in administration.profiles.list()])

    @router.get("/{profile_id}", summary="Read a profile", responses=READS_RECORD)
    def read_profile(profile_id: ProfilePath, response: Response) -> ProfileShown:
        return shown(administration.profiles.get(ProfileId(profile_id)), response)

    @router.put("/{profile_id}", summary="Create or replace a profile", responses=CHANGES | created(ProfileShown))
    def put_profile(profile_id: ProfilePath, body: ProfileGiven, response: Response, state: StateOrNew, by: By) -> ProfileShown:
        """The same again changes nothing. Once it connects differently than before, its mailboxes are due."""
        profile = made(EmailServerProfile, body, id=ProfileId(profile_id))
        put = administration.profiles.put(profile, secrets=secrets_in(EmailServerProfile, body), etag=state, caller=by)
        response.status_code = HTTPStatus.CREATED if put.created else HTTPStatus.OK
        return shown(put.stored, response)

    @router.patch("/{profile_id}", summary="Change a profile", responses=CHANGES)
    def patch_profile(profile_id: ProfilePath, body: ProfilePatch, response: Response, state: State, by: By) -> ProfileShown:
        """JSON merge patch. Once the profile connects differently than before, its mailboxes are due."""
        secrets = secrets_in(EmailServerProfile, body)
        changed = administration.profiles.change(
            ProfileId(profile_id), lambda present: merged(present, body), secrets=secrets, etag=state, caller=by
        )
        return shown(changed, response)

    @router.delete("/{profile_id}", summary="Delete a profile", status_code=HTTPStatus.NO_CONTENT, responses=DELETES)
    def delete_profile(profile_id: ProfilePath, state: State, by: By) -> None:
        """409 while mailboxes or the settings use it, naming them."""
        administration.profiles.delete(ProfileId(profile_id), etag=state, caller=by)

    @router.post(
        "/{profile_id}/test",
        summary="Test and enable all mailboxes of a profile",
        status_code=HTTPStatus.ACCEPTED,
        responses=QUEUES,
    )
    def test_profile(profile_id: ProfilePath, by: By) -> Accepted:
        """Each mailbox is tried for real, and enabled where that works; its alerts say what did not."""
        administration.profiles.test(ProfileId(profile_id), caller=by)
        return Accepted(look_at=f"/api/alerts?about=profile:{profile_id}")

    return router

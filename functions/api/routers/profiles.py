"""Email server profiles over HTTP."""

from http import HTTPStatus

from fastapi import APIRouter, Response

from functions.api.conditions import IfMatch, expected_etag, show_etag
from functions.api.documented import CHANGES, READS, READS_RECORD, created
from functions.api.identifiers import ProfilePath
from functions.api.paging import Part
from functions.api.schemas import ProfileGiven, ProfileShown
from shared.administration import Administration
from shared.domain.ids import ProfileId


def profiles(administration: Administration) -> APIRouter:
    router = APIRouter(prefix="/profiles", tags=["profiles"])

    @router.get("", summary="List the email server profiles", responses=READS)
    def list_profiles() -> Part[ProfileShown]:
        return Part(items=[ProfileShown.of(stored) for stored in administration.profiles.list()])

    @router.get("/{profile_id}", summary="Read a profile", responses=READS_RECORD)
    def read_profile(profile_id: ProfilePath, response: Response) -> ProfileShown:
        stored = administration.profiles.get(ProfileId(profile_id))
        show_etag(response, stored.etag)
        return ProfileShown.of(stored)

    @router.put("/{profile_id}", summary="Create or replace a profile", responses=CHANGES | created(ProfileShown))
    def put_profile(profile_id: ProfilePath, body: ProfileGiven, response: Response, if_match: IfMatch = None) -> ProfileShown:
        """The same again changes nothing. Once it connects differently than before, its mailboxes are due."""
        put = administration.profiles.put(body.record(profile_id), body.credentials.new_secret, expected_etag(if_match))
        show_etag(response, put.stored.etag)
        response.status_code = HTTPStatus.CREATED if put.created else HTTPStatus.OK
        return ProfileShown.of(put.stored)

    return router

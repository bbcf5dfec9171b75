"""The settings of the organisation over HTTP."""

from fastapi import APIRouter, Response

from functions.api.access import By
from functions.api.conditions import State, show_etag
from functions.api.documented import CHANGES, READS_RECORD
from functions.api.merging import made, merged
from functions.api.schemas.configuration import SettingsGiven, SettingsPatch, SettingsShown
from shared.administration import Administration
from shared.domain.organisation import OrganisationSettings, StoredSettings


def settings(administration: Administration) -> APIRouter:
    router = APIRouter(prefix="/settings", tags=["settings"])

    def shown(stored: StoredSettings, response: Response) -> SettingsShown:
        show_etag(response, stored.etag)
        return SettingsShown.model_validate(stored.record)

    @router.get("", summary="Read the settings of the organisation", responses=READS_RECORD)
    def read_settings(response: Response) -> SettingsShown:
        return shown(administration.settings.get(), response)

    @router.put("", summary="Replace the settings", responses=CHANGES)
    def put_settings(body: SettingsGiven, response: Response, state: State, by: By) -> SettingsShown:
        """The same again changes nothing."""
        return shown(administration.settings.put(made(OrganisationSettings, body), etag=state, caller=by), response)

    @router.patch("", summary="Change the settings", responses=CHANGES)
    def patch_settings(body: SettingsPatch, response: Response, state: State, by: By) -> SettingsShown:
        """JSON merge patch."""
        return shown(administration.settings.change(lambda present: merged(present, body), etag=state, caller=by), response)

    return router

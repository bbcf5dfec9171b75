"""The API itself over HTTP."""

from fastapi import APIRouter

from functions.api.schemas.operations import Health


def service() -> APIRouter:
    router = APIRouter(tags=["service"])

    @router.get("/health", summary="Whether the API answers; asks no store")
    def health() -> Health:
        return Health()

    return router

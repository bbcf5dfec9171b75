"""Errors of configuring that are no fault of a field: the record is not there, or its state does not allow the request."""

from shared.domain.errors import SyncError


class RecordNotFound(SyncError):
    """There is no record with this id."""

    code = "record_not_found"
    remedy = "Check the id; the list of the resource shows the ones that exist."


class NotPossibleNow(SyncError):
    """The record's state does not allow this; `remedy` says what to change first."""

    code = "not_possible_now"

    def __init__(self, message: str, remedy: str) -> None:
        super().__init__(message)
        self.remedy = remedy

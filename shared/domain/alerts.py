"""The alert that an error becomes: what an administrator reads of it, the same whoever ran into it."""

from collections.abc import Mapping
from datetime import datetime

from shared.domain.choices import AlertLevel, Workload
from shared.domain.errors import SyncError
from shared.domain.operations import Alert
from shared.domain.words import cause_of

UNEXPECTED = "unexpected"
"""Code of an exception that is not one of ours."""


def code_of(error: Exception) -> str:
    return error.code if isinstance(error, SyncError) else UNEXPECTED


def alert_of(
    about: str, error: Exception, now: datetime, parameters: Mapping[str, str], workload: Workload = Workload.INCOMING
) -> Alert:
    """The text of an exception that is not ours stays out: it may quote anything. What another workload than incoming mail ran
    into says so, and is an alert of its own."""
    code = code_of(error)
    remedy = error.remedy if isinstance(error, SyncError) else SyncError.remedy
    cause = f"{cause_of(code)} {error}".strip() if isinstance(error, SyncError) else cause_of(code)
    if workload is not Workload.INCOMING:
        cause, parameters = f"{workload.value.capitalize()}: {cause}", {**parameters, "workload": workload.value}
    return Alert(about, code, AlertLevel.ERROR, cause, remedy, now, parameters=parameters)

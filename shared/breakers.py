"""The breakers of a profile's credentials, opened, probed and closed by whoever signs in: runs and tests alike.

A refused password is not tried again until it changes or an hour has passed, however often, late or at once messages come:
every change of a breaker names the breaker that it replaces, and who lost that race does not try. Refuses to know schedules.

There is one breaker for each sign-in (`configuration.whose_sign_in`): `workload` is the one that somebody signs in for.
"""

from dataclasses import replace
from datetime import datetime, timedelta

from shared.domain import scheduling
from shared.domain.alerts import alert_of
from shared.domain.choices import Workload
from shared.domain.configuration import Breaker, EmailServerProfile, StoredProfile, whose_sign_in
from shared.domain.eligibility import at_probe, breaker_of, breaker_stops, credential_version
from shared.domain.errors import AuthenticationFailed, Busy
from shared.domain.ids import ProfileId
from shared.domain.operations import Alert
from shared.ports import Profiles, Stores

NOTHING_LEARNT = timedelta(minutes=15)
"""After a probe that did not get as far as signing in, the next one."""

_ATTEMPTS = 8


def send_probe(
    profiles: Profiles, profile_id: ProfileId, workload: Workload, now: datetime, until: datetime, message_id: str
) -> bool:
    """Whether the message may be sent to probe the credential. If it is lost, another one may follow at `until`."""
    present = profiles.get(profile_id)
    if present is None or not at_probe(present, workload, now):
        return False
    breaker = breaker_of(present, workload)
    if breaker is None:
        return False
    return _replaced(profiles, present.record, workload, breaker, replace(breaker, probe_after=until, probe=message_id))


def take_probe(
    profiles: Profiles, profile_id: ProfileId, workload: Workload, now: datetime, message_id: str
) -> StoredProfile | None:
    """The profile as it is now, for the one that may try its credential; None where another one does, or nobody may yet.

    Nobody else may for an hour, whatever becomes of this one: a process that dies may have tried. Where no breaker stops the
    workload any more, anybody may.
    """
    present = profiles.get(profile_id)
    breaker = None if present is None else breaker_of(present, workload)
    if present is None or breaker is None or not breaker_stops(present, workload):
        return present
    if not at_probe(present, workload, now) and breaker.probe != message_id:
        return None
    taken = replace(breaker, probe_after=now + scheduling.PROBE_EVERY, probe=None)
    if not _replaced(profiles, present.record, workload, breaker, taken):
        return None
    return replace(present, breakers={**present.breakers, whose_sign_in(present.record, workload): taken})


def leave_probe(profiles: Profiles, profile: StoredProfile, workload: Workload, now: datetime) -> None:
    """Who took the probe with `profile` learnt nothing about the credential."""
    breaker = breaker_of(profile, workload)
    if breaker is not None and breaker_stops(profile, workload):
        sooner = replace(breaker, probe_after=now + NOTHING_LEARNT)
        _replaced(profiles, profile.record, workload, breaker, sooner)


def open_breaker(
    stores: Stores, profile: StoredProfile, workload: Workload, error: AuthenticationFailed, now: datetime
) -> None:
    """The credential of `profile` was refused. Of several that fail together the first one opens the breaker, and a credential
    that was replaced meanwhile opens none. The alert is there before the breaker: nobody else would raise it.

    Raises Busy where others change the breaker all the time.
    """
    probing = breaker_stops(profile, workload)  # nobody else is let through
    for _ in range(_ATTEMPTS):
        present = stores.profiles.get(profile.record.id)
        if present is None or credential_version(present.record) != credential_version(profile.record):
            return
        breaker = scheduling.opened_by(present, workload, now, error.code, probing=probing)
        if breaker is None:
            return
        stores.alerts.put(_alert(present.record, workload, error, now))
        if _replaced(stores.profiles, present.record, workload, breaker_of(present, workload), breaker):
            return
    raise Busy("the breaker of the profile is changed by others again and again")


def close_breaker(profiles: Profiles, profile: StoredProfile, workload: Workload) -> None:
    """Somebody signed in with `profile`. A breaker that was opened after the profile was read stays: it knows better."""
    known = breaker_of(profile, workload)
    if known is None:
        return
    stored = profiles.get(profile.record.id)
    present = None if stored is None else stored.breakers.get(whose_sign_in(profile.record, workload))
    if present is not None and replace(present, probe_after=known.probe_after, probe=known.probe) == known:
        _replaced(profiles, profile.record, workload, present, None)


def _replaced(
    profiles: Profiles, profile: EmailServerProfile, workload: Workload, present: Breaker | None, following: Breaker | None
) -> bool:
    return profiles.set_breaker(profile.id, whose_sign_in(profile, workload), following, replacing=present)


def _alert(profile: EmailServerProfile, workload: Workload, error: AuthenticationFailed, now: datetime) -> Alert:
    """Where outgoing mail has a sign-in of its own, it has an alert of its own, which says whose credentials are meant."""
    alert = alert_of(f"profile:{profile.id}", error, now, {}, whose_sign_in(profile, workload))
    if whose_sign_in(profile, workload) is not Workload.OUTGOING:
        return alert
    named = "credentials" if profile.outgoing_credential_source is None else "outgoing_credentials"
    return replace(alert, remedy=f"{alert.remedy} Emails of this profile are sent with its {named}; reading goes on.")

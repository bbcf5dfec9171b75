"""The breaker of a profile's credential, opened, probed and closed by whoever signs in: runs and tests alike.

A refused password is not tried again until it changes or an hour has passed, however often, late or at once messages come:
every change of a breaker names the breaker that it replaces, and who lost that race does not try. Refuses to know schedules.
"""

from dataclasses import replace
from datetime import datetime, timedelta

from shared.domain import scheduling
from shared.domain.alerts import alert_of
from shared.domain.configuration import StoredProfile
from shared.domain.eligibility import at_probe, breaker_applies, credential_version
from shared.domain.errors import AuthenticationFailed, Busy
from shared.domain.ids import ProfileId
from shared.ports import Profiles, Stores

NOTHING_LEARNT = timedelta(minutes=15)
"""After a probe that did not get as far as signing in, the next one."""

_ATTEMPTS = 8


def send_probe(profiles: Profiles, profile_id: ProfileId, now: datetime, until: datetime, message_id: str) -> bool:
    """Whether the message may be sent to probe the credential. If it is lost, another one may follow at `until`."""
    present = profiles.get(profile_id)
    if present is None or present.breaker is None or not at_probe(present, now):
        return False
    sent = replace(present.breaker, probe_after=until, probe=message_id)
    return profiles.set_breaker(profile_id, sent, replacing=present.breaker)


def take_probe(profiles: Profiles, profile_id: ProfileId, now: datetime, message_id: str) -> StoredProfile | None:
    """The profile as it is now, for the one that may try its credential; None where another one does, or nobody may yet.

    Nobody else may for an hour, whatever becomes of this one: a process that dies may have tried. Where no breaker applies
    any more, anybody may.
    """
    present = profiles.get(profile_id)
    if present is None or present.breaker is None or not breaker_applies(present):
        return present
    if not at_probe(present, now) and present.breaker.probe != message_id:
        return None
    taken = replace(present.breaker, probe_after=now + scheduling.PROBE_EVERY, probe=None)
    won = profiles.set_breaker(profile_id, taken, replacing=present.breaker)
    return replace(present, breaker=taken) if won else None


def leave_probe(profiles: Profiles, profile: StoredProfile, now: datetime) -> None:
    """Who took the probe with `profile` learnt nothing about the credential."""
    if profile.breaker is not None and breaker_applies(profile):
        sooner = replace(profile.breaker, probe_after=now + NOTHING_LEARNT)
        profiles.set_breaker(profile.record.id, sooner, replacing=profile.breaker)


def open_breaker(stores: Stores, profile: StoredProfile, error: AuthenticationFailed, now: datetime) -> None:
    """The credential of `profile` was refused. Of several that fail together the first one opens the breaker, and a credential
    that was replaced meanwhile opens none. The alert is there before the breaker: nobody else would raise it.

    Raises Busy where others change the breaker all the time.
    """
    probing = breaker_applies(profile)  # nobody else is let through
    for _ in range(_ATTEMPTS):
        present = stores.profiles.get(profile.record.id)
        if present is None or credential_version(present.record) != credential_version(profile.record):
            return
        breaker = scheduling.opened_by(present, now, error.code, probing=probing)
        if breaker is None:
            return
        stores.alerts.put(alert_of(f"profile:{profile.record.id}", error, now, {}))
        if stores.profiles.set_breaker(profile.record.id, breaker, replacing=present.breaker):
            return
    raise Busy("the breaker of the profile is changed by others again and again")


def close_breaker(profiles: Profiles, profile: StoredProfile) -> None:
    """Somebody signed in with `profile`. A breaker that was opened after the profile was read stays: it knows better."""
    if profile.breaker is None:
        return
    present = profiles.get(profile.record.id)
    if present is None or present.breaker is None:
        return
    if replace(present.breaker, probe_after=profile.breaker.probe_after, probe=profile.breaker.probe) == profile.breaker:
        profiles.set_breaker(profile.record.id, None, replacing=present.breaker)

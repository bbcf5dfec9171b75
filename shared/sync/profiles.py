"""Email server profiles, remembered by the process for a short life: thousands of mailboxes share a few of them."""

from datetime import datetime, timedelta

from shared.domain.configuration import StoredProfile
from shared.domain.ids import ProfileId
from shared.ports import Clock, Profiles


class RecentProfiles:
    """Profiles as they stood at most `life` ago."""

    def __init__(self, profiles: Profiles, clock: Clock, life: timedelta) -> None:
        self._profiles = profiles
        self._clock = clock
        self._life = life
        self._read: dict[ProfileId, tuple[datetime, StoredProfile]] = {}

    def get(self, profile_id: ProfileId | None) -> StoredProfile | None:
        if profile_id is None:
            return None
        now = self._clock()
        read_on, profile = self._read.get(profile_id, (None, None))
        if read_on is not None and timedelta() <= now - read_on < self._life:  # clocks are set back, too
            return profile
        return self.get_now(profile_id)

    def get_now(self, profile_id: ProfileId) -> StoredProfile | None:
        """Read afresh, whatever is remembered."""
        profile = self._profiles.get(profile_id)
        self._read.pop(profile_id, None)
        if profile is not None:
            self._read[profile_id] = (self._clock(), profile)
        return profile

    def forget(self, profile_id: ProfileId) -> None:
        self._read.pop(profile_id, None)

"""What every command has: the connection, the screen, and how long it waits between two looks."""

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import cached_property

import httpx

from admin.connection import Api, open_client
from admin.failures import WrongUsage
from admin.screen import Screen


@dataclass(frozen=True, slots=True)
class Surroundings:
    """What a command reaches the world through."""

    open_client: Callable[[str, str], httpx.Client] = open_client
    pause: Callable[[float], object] = time.sleep
    now: Callable[[], float] = time.monotonic
    """Seconds of a clock that only goes forward."""
    today: Callable[[], datetime] = lambda: datetime.now(UTC)
    """The time of day, in UTC."""


@dataclass
class Session:
    """Of one command line. Nothing is opened before a command asks."""

    url: str
    key: str
    surroundings: Surroundings = field(default_factory=Surroundings)
    screen: Screen = field(default_factory=Screen)

    @cached_property
    def api(self) -> Api:
        """Raises WrongUsage where no server is named."""
        if not self.url:
            raise WrongUsage("no server is named", "Give --url, or set SIDESYNC_URL, to the address of the function app.")
        self._client = self.surroundings.open_client(self.url, self.key)
        return Api(self._client, self.surroundings.pause)

    def close(self) -> None:
        if "api" in self.__dict__:
            self._client.close()

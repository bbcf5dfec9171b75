"""What a run is about, and what it has around it."""

from collections.abc import Callable
from concurrent.futures import Executor
from dataclasses import dataclass

from shared.domain.choices import Workload
from shared.domain.configuration import Discovered, EmailServerProfile, Mailbox
from shared.domain.ids import RunId
from shared.domain.organisation import OrganisationSettings
from shared.ports import Clock, Discover, Stores
from shared.sync.budgets import ItemLimits, RunBudget


@dataclass(frozen=True, slots=True)
class Assignment:
    """What a run is about."""

    run_id: RunId
    workload: Workload
    mailbox: Mailbox
    profile: EmailServerProfile
    failures: int
    """Failed runs in a row before this one."""
    is_continuation: bool
    discovered: Discovered | None = None
    """Where the mailbox was found last."""
    has_rules: bool = False
    """There may be folder-level tracking rules."""
    is_probe: bool = False
    """It tries the profile's credential again: it is to sign in, whether there is anything to do or not."""


@dataclass(frozen=True, slots=True)
class Surroundings:
    """What every run of a process shares."""

    stores: Stores
    clock: Clock
    budget: RunBudget
    limits: ItemLimits
    executor: Executor
    settings: Callable[[], OrganisationSettings]
    """Those of the organisation, remembered by the process. Raises TransientError."""
    version: str
    discover: Discover | None = None

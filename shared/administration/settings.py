"""The settings of the organisation: read, changed, and the rules of each."""

import json
import re
from collections.abc import Callable
from dataclasses import replace

from shared.administration import rules
from shared.administration.auditing import Auditing
from shared.administration.rules import Rules
from shared.administration.writing import NO_STATE, check_etag, persistently
from shared.domain.audit import Caller, ChangeAction
from shared.domain.choices import CorrelationMethod
from shared.domain.errors import InvalidRecord
from shared.domain.ids import normalised_address
from shared.domain.organisation import OrganisationSettings, StoredSettings
from shared.domain.ranges import (
    BLOCKED_ATTACHMENTS,
    CATEGORY,
    EXCLUDED,
    FORMER_PREFIXES,
    LONGEST_SUBJECT,
    MESSAGE_SIZE,
    RETENTION,
    TRACKING_DIGITS,
    TRACKING_PREFIX,
    Entries,
)
from shared.ports import Stores

SEARCHING = (
    CorrelationMethod.IN_REPLY_TO,
    CorrelationMethod.TRACKING_TOKEN,
    CorrelationMethod.CONVERSATION_INDEX,
    CorrelationMethod.SMART_MATCHING,
)
"""Methods that look for a conversation; the others say that none was found."""

LONGEST_LIST = 30_000
"""Characters of a list as JSON: a column of a table holds little more."""

_EXTENSION = re.compile(r"[a-z0-9]{1,20}\Z")

type Edit = Callable[[OrganisationSettings], OrganisationSettings]


class SettingsAdministration:
    def __init__(self, stores: Stores, auditing: Auditing) -> None:
        self._stores = stores
        self._auditing = auditing

    def get(self) -> StoredSettings:
        """All defaults, without an ETag, where nothing was ever written."""
        return self._stores.settings.get()

    def put(self, settings: OrganisationSettings, caller: Caller, etag: str | None = None) -> StoredSettings:
        """Raises InvalidRecord, Changed."""
        return self.change(lambda _: settings, caller, etag)

    def change(self, edit: Edit, caller: Caller, etag: str | None = None) -> StoredSettings:
        """From the present settings on; the same again changes nothing. Raises InvalidRecord, Changed."""
        trail = self._auditing.trail(caller, "settings")

        def attempt() -> StoredSettings:
            stored = self._stores.settings.get()
            check_etag(stored.etag or NO_STATE, etag)
            settings = self._edited(stored, edit)
            if settings == stored.record:
                return stored
            trail.note(ChangeAction.CHANGED, stored.record, settings, stored.etag or NO_STATE)
            return self._stores.settings.put(settings, stored.etag)

        return persistently(attempt, etag)

    def tried(self, edit: Edit) -> OrganisationSettings:
        """What a change would make of the settings; nothing is written. Raises InvalidRecord."""
        return self._edited(self._stores.settings.get(), edit)

    def _edited(self, stored: StoredSettings, edit: Edit) -> OrganisationSettings:
        settings = with_former_prefixes(valid_settings(edit(stored.record)), stored.record)
        self._check_default_profile(settings)
        return settings

    def _check_default_profile(self, settings: OrganisationSettings) -> None:
        profile_id = settings.default_profile_id
        if profile_id is not None and self._stores.profiles.get(profile_id) is None:
            raise InvalidRecord(
                "default_profile_id",
                f"there is no profile {profile_id!r}",
                "Create the profile first, or choose an existing one.",
            )


def allowed_now(deployment: Rules, stores: Stores) -> Rules:
    """What the deployment allows, or the organisation."""
    allowed = deployment.allow_local_servers or stores.settings.get().record.allow_insecure_servers
    return replace(deployment, allow_local_servers=allowed)


def valid_settings(settings: OrganisationSettings) -> OrganisationSettings:
    """The settings as they are stored, except for whether the default profile is there. Raises InvalidRecord."""
    _check_correlation(settings)
    settings = replace(
        settings,
        tracked_category=_category("tracked_category", settings.tracked_category),
        undeliverable_category=_category("undeliverable_category", settings.undeliverable_category),
    )
    _check_categories(settings)
    return replace(
        settings,
        keep_runs=rules.duration("keep_runs", settings.keep_runs, *RETENTION),
        keep_ledger_details=rules.duration("keep_ledger_details", settings.keep_ledger_details, *RETENTION),
        keep_alerts=rules.duration("keep_alerts", settings.keep_alerts, *RETENTION),
        keep_audit=rules.duration("keep_audit", settings.keep_audit, *RETENTION),
        exclude=_distinct("exclude", settings.exclude, EXCLUDED, _address_or_domain),
        tracking_prefix=_tracking_prefix("tracking_prefix", settings.tracking_prefix),
        former_tracking_prefixes=_distinct(
            "former_tracking_prefixes", settings.former_tracking_prefixes, FORMER_PREFIXES, _tracking_prefix
        ),
        tracking_digits=rules.number("tracking_digits", settings.tracking_digits, *TRACKING_DIGITS),
        longest_subject=rules.number("longest_subject", settings.longest_subject, *LONGEST_SUBJECT),
        largest_message=rules.number("largest_message", settings.largest_message, *MESSAGE_SIZE),
        largest_attachment=rules.number("largest_attachment", settings.largest_attachment, *MESSAGE_SIZE),
        blocked_attachments=_distinct("blocked_attachments", settings.blocked_attachments, BLOCKED_ATTACHMENTS, _extension),
    )


def with_former_prefixes(settings: OrganisationSettings, present: OrganisationSettings) -> OrganisationSettings:
    """What was a prefix once is never forgotten by a change, however often the change is repeated: mail that carries its tokens
    is still under way. Cases do not tell prefixes apart."""
    used = [*present.former_tracking_prefixes, *settings.former_tracking_prefixes, present.tracking_prefix]
    latest: dict[str, str] = {}
    for prefix in reversed(used):
        latest.setdefault(prefix.casefold(), prefix)
    latest.pop(settings.tracking_prefix.casefold(), None)
    return replace(settings, former_tracking_prefixes=tuple(latest.values())[FORMER_PREFIXES.high - 1 :: -1])


def _tracking_prefix(field: str, value: str) -> str:
    return rules.text(field, value, TRACKING_PREFIX.high)


def _check_categories(settings: OrganisationSettings) -> None:
    if settings.tracked_category.casefold() == settings.undeliverable_category.casefold():
        raise InvalidRecord(
            "undeliverable_category",
            "the same category says that mail is tracked",
            "Give mail that could not be stored a category of its own.",
        )


def _category(field: str, value: str) -> str:
    """Outlook takes commas and semicolons for the end of a category."""
    name = rules.text(field, value, CATEGORY.high)
    if "," in name or ";" in name:
        raise InvalidRecord(field, f"{field} has a comma or a semicolon", "Write the name of one category, without either.")
    return name


def _check_correlation(settings: OrganisationSettings) -> None:
    methods = settings.correlation_methods
    for place, method in enumerate(methods):
        if method not in SEARCHING or method in methods[:place]:
            raise InvalidRecord(
                f"correlation_methods/{place}",
                f"{method.name.lower()} is no method that can be chosen, or stands there twice",
                f"Choose among {', '.join(each.name.lower() for each in SEARCHING)}, each at most once.",
            )


def _distinct(field: str, values: tuple[str, ...], count: Entries, valid: Callable[[str, str], str]) -> tuple[str, ...]:
    """Each entry once, in its stored form, in the order given."""
    if len(values) > count.high:
        raise InvalidRecord(field, f"{field} has {len(values)} entries", f"Write at most {count.high}.")
    entries = tuple(dict.fromkeys(valid(f"{field}/{place}", value) for place, value in enumerate(values)))
    length = len(json.dumps(entries))
    if length > LONGEST_LIST:
        raise InvalidRecord(
            field,
            f"{field} has {length} characters as JSON",
            f"Write at most {LONGEST_LIST}; a domain stands for all its addresses.",
        )
    return entries


def _address_or_domain(field: str, value: str) -> str:
    entry = normalised_address(value)
    if "@" in entry:
        return rules.email_address(field, entry)
    if "." not in entry or not rules.is_host_name(entry):
        raise InvalidRecord(
            field, f"{field} is neither an address nor a domain", "Write an address such as a@contoso.com, or a domain."
        )
    return entry.removesuffix(".")


def _extension(field: str, value: str) -> str:
    extension = value.strip().lower()
    if not _EXTENSION.match(extension):
        raise InvalidRecord(
            field, f"{field} is no file extension", "Write up to 20 letters and digits without a dot, such as exe."
        )
    return extension

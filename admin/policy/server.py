"""Reads and writes the records of a policy on the server, and knows the ids that the server derives."""

from collections.abc import Iterable, Iterator
from pathlib import Path

from admin.connection import Api, Fields, Record, path_part
from admin.failures import Refused
from admin.policy.description import Description, Field
from admin.policy.document import Policy
from admin.policy.kinds import IDENTIFIED, Key, Kind
from admin.policy.plan import Present, secrets_in
from admin.policy.secrets import resolved


class Server:
    def __init__(self, api: Api) -> None:
        self._api = api
        self.description = Description.of(api)
        self._mailbox_ids: dict[Key, str] = {}

    def everything(self) -> Present:
        """All that a policy can hold, in the order of a policy."""
        present = dict(self._identified()) | {Key(Kind.SETTINGS): self._api.get(Kind.SETTINGS.template)}
        mailboxes = [key for key in present if key.kind in (Kind.MAILBOX, Kind.FORWARD_MAILBOX)]
        return present | dict(self._rules(mailboxes))

    def concerned(self, policy: Policy) -> Present:
        """What a policy is compared with: everything but the rules of mailboxes that it has no list of."""
        settings = self._api.get(Kind.SETTINGS.template)
        steps = {wanted.key: settings for wanted in policy.records if wanted.key.kind is Kind.SETTINGS}
        present = steps | dict(self._identified())
        return present | dict(self._rules(key for kind, key in policy.complete if kind is Kind.RULE and key in present))

    def read(self, key: Key) -> Record | None:
        return self._api.read(self._path(key))

    def create(self, key: Key, body: Fields) -> Record:
        return self._api.create(self._path(key), body)

    def change(self, key: Key, body: Fields, present: Record) -> Record:
        """`body` holds the fields to change."""
        if key.kind.is_merged:
            return self._api.merge(self._path(key), body, present.etag)
        whole = _onto(settable(self.description.record(key.kind), present.fields), body)
        return self._api.replace(self._path(key), whole, present.etag)

    def delete(self, key: Key) -> None:
        self._api.delete(self._path(key))

    def _identified(self) -> Iterator[tuple[Key, Fields]]:
        mailboxes = {each["id"]: each for each in self._api.entries(Kind.MAILBOX.collection)}
        for kind in IDENTIFIED:
            for shown in self._listed(kind, mailboxes.values()):
                key = Key(kind, shown["id"])
                yield key, shown
                if kind.owns_mailbox and shown["mailbox_id"] in mailboxes:
                    yield self._mailbox_of(key, shown), mailboxes[shown["mailbox_id"]]

    def _listed(self, kind: Kind, mailboxes: Iterable[Fields]) -> Iterable[Fields]:
        if kind is Kind.FORWARD_MAILBOX:
            return [each for each in mailboxes if each["owner"] is None]
        return self._api.entries(kind.collection) if kind.comes_in_parts else self._api.whole(kind.collection)

    def _rules(self, mailboxes: Iterable[Key | None]) -> Iterator[tuple[Key, Fields]]:
        for mailbox in mailboxes:
            if mailbox is not None:
                for shown in self._api.whole(f"{self._path(mailbox)}/rules"):
                    yield Key(Kind.RULE, shown["folder_id"], of=mailbox), shown

    def _mailbox_of(self, owner: Key, shown: Fields) -> Key:
        key = Key(Kind.MAILBOX, of=owner)
        self._mailbox_ids[key] = shown["mailbox_id"]
        return key

    def _path(self, key: Key) -> str:
        match key:
            case Key(Kind.SETTINGS):
                return key.kind.template
            case Key(Kind.MAILBOX):
                return key.kind.template.format(self._mailbox_id(key))
            case Key(Kind.RULE, folder_id, of=Key() as mailbox):
                return f"{self._path(mailbox)}/rules/{path_part(folder_id)}"
            case _:
                return key.kind.template.format(path_part(key.id))

    def _mailbox_id(self, key: Key) -> str:
        """Derived by the server from the owner, so the owner is asked. Raises Refused where there is no owner."""
        if key not in self._mailbox_ids and key.of is not None:
            owner = self.read(key.of)
            if owner is None:
                raise Refused(f"there is no {key.of}", "Create it first.")
            self._mailbox_of(key.of, owner.fields)
        return self._mailbox_ids[key]


def settable(schema: Field, shown: Fields) -> Fields:
    """What is shown of a record without what cannot be set. Secrets are not shown, so there are none."""
    return {
        name: settable(field, shown[name]) if field.fields and isinstance(shown[name], dict) else shown[name]
        for name, field in schema.fields.items()
        if name in shown and not field.is_secret
    }


def with_secrets(where: str, schema: Field, given: Fields, folder: Path) -> Fields:
    """The fields with the secrets that they refer to. Raises WrongUsage where one is missing."""
    secrets = dict(secrets_in(schema, given))
    return _put_in(given, {path: resolved(f"{where}/{path}", value, folder) for path, value in secrets.items()})


def _onto(present: Fields, changes: Fields) -> Fields:
    """What a merge patch would make of it."""
    merged = {
        name: _onto(present[name], value) if isinstance(value, dict) and isinstance(present.get(name), dict) else value
        for name, value in changes.items()
    }
    return present | merged


def _put_in(given: Fields, secrets: dict[str, str | None], path: str = "") -> Fields:
    return {
        name: secrets[place]
        if (place := f"{path}{name}") in secrets
        else _put_in(value, secrets, f"{place}/")
        if isinstance(value, dict)
        else value
        for name, value in given.items()
    }

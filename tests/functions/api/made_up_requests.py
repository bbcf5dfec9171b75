"""What schemathesis needs to know to make up requests that reach what they are about: the key, and which records exist."""

import re
import zlib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import schemathesis
from hypothesis import HealthCheck, Phase, settings
from requests.structures import CaseInsensitiveDict
from schemathesis import AuthContext, Case, HookContext
from schemathesis.config import SchemathesisConfig
from schemathesis.schemas import BaseSchema

from functions.api.identifiers import HASH_PATTERN, ITEM_PATTERN, UUID_PATTERN
from shared.administration.rules import ID_PATTERN
from shared.domain.email import ItemRef
from shared.domain.ledger import item_key
from tests.functions.api.found_mail import ACTIVITY
from tests.functions.api.over_memory import FORWARD_MAILBOX, PROFILE, RULE

DESCRIPTION = "/api/openapi.json"
CONFIG = SchemathesisConfig.from_path(Path(__file__).parents[3] / "schemathesis.toml")
KIM = {"name": "Kim", "addresses": ["kim@fabrikam.example"]}

type MadeUp = Case[Any]
"""A request, of any operation."""
type Known = Mapping[str, Sequence[str]]
"""Ids of records that exist, by the name of the parameter."""

schemathesis.serializer.alias("application/x-ndjson", "text/plain")

FORMS = {"item_id": ITEM_PATTERN, "activity_id": UUID_PATTERN, "upload": HASH_PATTERN}
"""What ids look like, where not as clients choose them."""


def records_beside(mailbox_id: str) -> Mapping[str, Any]:
    """What is put, by path, beside the user anna, whose mailbox this is, and the profile contoso."""
    return {
        "/queues/sales": {"name": "Sales", "address": "sales@contoso.example"},
        f"/mailboxes/{mailbox_id}/rules/folder": RULE,
        "/mailboxes/collected": FORWARD_MAILBOX,
        "/records/contact/kim": KIM,
        "/profiles/unused": PROFILE,
    }


def known(mailbox_id: str) -> Known:
    return {
        "profile_id": ["contoso", "unused"],
        "owner_id": ["anna", "sales"],
        "mailbox_id": [mailbox_id, "collected"],
        "folder_id": ["folder"],
        "type": ["contact"],
        "record_id": ["kim"],
        "address": ["kim@fabrikam.example"],
        "activity_id": [ACTIVITY],
        "item_id": [str(item_key("a@b", ItemRef("item-of-a@b", "inbox")))],
    }


def prepare(schema: BaseSchema, key: str, ids: Known) -> None:
    @schema.auth()
    class FunctionKey:
        """Gives every request the key, except where a check takes it away."""

        def get(self, case: MadeUp, context: AuthContext) -> str:  # noqa: ARG002 - the form that schemathesis asks for
            return key

        def set(self, case: MadeUp, data: str, context: AuthContext) -> None:  # noqa: ARG002 - the form that schemathesis asks for
            case.headers = CaseInsensitiveDict({**case.headers, "x-functions-key": data})

    @schema.hook
    def map_path_parameters(_: HookContext, path_parameters: dict[str, Any] | None) -> dict[str, Any] | None:
        """Half of the ids that are made up become ones of records that exist."""
        if path_parameters is None:
            return None
        for name, value in path_parameters.items():
            number = zlib.crc32(str(value).encode())
            if name in ids and number % 2 and re.fullmatch(FORMS.get(name, ID_PATTERN), str(value)):
                path_parameters[name] = ids[name][number // 2 % len(ids[name])]
        return path_parameters


def requests_per_operation(number: int) -> settings:
    """The same in every run."""
    return settings(
        max_examples=number,
        derandomize=True,
        database=None,
        deadline=None,
        phases=[Phase.explicit, Phase.generate],
        suppress_health_check=list(HealthCheck),
    )

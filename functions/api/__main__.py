"""`python -m functions.api` prints the OpenAPI description. It needs no settings and connects to nothing."""

import json
import sys
from contextlib import AbstractContextManager
from dataclasses import dataclass

from functions.api.application import create_app
from shared.administration import Administration, Rules
from shared.bootstrap import utc_now
from shared.domain.configuration import Discovered, EmailServerProfile, Mailbox
from shared.domain.errors import Unreachable
from shared.ports import IncomingEmail
from shared.stores.memory import memory_stores
from shared.sync.folders import Folders
from shared.sync.preview import Preview


@dataclass(frozen=True, slots=True)
class _Access:
    platform_authentication: bool = False
    public_url: str | None = None


@dataclass(frozen=True, slots=True)
class _Unconnected:
    administration: Administration
    preview: Preview
    folders: Folders
    settings: _Access = _Access()


def _open_nothing(
    profile: EmailServerProfile, mailbox: Mailbox, discovered: Discovered | None = None
) -> AbstractContextManager[IncomingEmail]:
    raise Unreachable(f"nothing is connected: neither {profile.id} nor {mailbox.id}, wherever it is ({discovered})")


def main() -> None:
    stores = memory_stores()
    opening = (stores, _open_nothing, utc_now)
    app = create_app(_Unconnected(Administration(stores, utc_now, Rules()), Preview(*opening), Folders(*opening)))
    json.dump(app.openapi(), sys.stdout, indent=2, ensure_ascii=False)
    sys.stdout.write("\n")


if __name__ == "__main__":
    main()

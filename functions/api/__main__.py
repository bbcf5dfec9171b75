"""`python -m functions.api` prints the OpenAPI description. It needs no settings and connects to nothing."""

import json
import sys
from dataclasses import dataclass

from functions.api.application import create_app
from shared.administration import Administration, Rules
from shared.bootstrap import utc_now
from shared.stores.memory import memory_stores


@dataclass(frozen=True, slots=True)
class _Access:
    platform_authentication: bool = False


@dataclass(frozen=True, slots=True)
class _Unconnected:
    administration: Administration
    settings: _Access = _Access()


def main() -> None:
    app = create_app(_Unconnected(Administration(memory_stores(), utc_now, Rules())))
    json.dump(app.openapi(), sys.stdout, indent=2, ensure_ascii=False)
    sys.stdout.write("\n")


if __name__ == "__main__":
    main()

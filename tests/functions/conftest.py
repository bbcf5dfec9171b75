from collections.abc import Callable, Mapping
from pathlib import Path

import pytest

from local.azurite import Azurite
from tests.functions.apps import QUICK, SampleApp

type MakeApp = Callable[..., SampleApp]


@pytest.fixture
def sample_app(tmp_path: Path, azurite: Azurite) -> MakeApp:
    """Writes a function app: `sample_app(source, extensions of host.json, further options of host.json)`."""

    def make(source: str, extensions: Mapping[str, object] = QUICK, **options: object) -> SampleApp:
        return SampleApp(tmp_path / "app", azurite, source, extensions, **options)

    return make

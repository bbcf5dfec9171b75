"""Start-up stays small: what a worker loads before the first request."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
HEAVY = ["exchangelib", "msal", "fastapi", "pydantic", "azure.identity", "azure.keyvault", "azure.storage.blob", "local"]


@pytest.fixture(scope="module")
def loaded() -> set[str]:
    """Names of the modules that `import function_app` loads, in a process of its own."""
    program = "import json, sys; import function_app; print(json.dumps(sorted(sys.modules)))"
    output = subprocess.run([sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True, check=True)  # noqa: S603
    return set(json.loads(output.stdout))


@pytest.mark.parametrize("module", HEAVY)
def test_importing_the_app_does_not_load(loaded: set[str], module: str) -> None:
    assert not [name for name in loaded if name == module or name.startswith(f"{module}.")]


def test_only_the_functions_know_azure_functions() -> None:
    allowed = {ROOT / "function_app.py", *(ROOT / "functions").glob("*.py")}
    sources = [path for folder in ("shared", "functions") for path in (ROOT / folder).rglob("*.py")]
    assert [path for path in sources if "azure.functions" in path.read_text() and path not in allowed] == []

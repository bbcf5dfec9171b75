"""Start-up: which modules `import function_app` loads, and how long that takes in a fresh process."""

import json
import statistics
import subprocess
import sys
from collections import Counter
from pathlib import Path

from tests.bench.figures import Figures

ROOT = Path(__file__).parents[2]
UNWANTED = ("exchangelib", "msal", "fastapi", "azure.identity", "azure.keyvault", "pydantic", "lxml")
"""Loaded on first use only."""
_ROUNDS = 5
_PROGRAM = """
import json, sys, time
before = set(sys.modules)
started = time.perf_counter()
import function_app
seconds = time.perf_counter() - started
print(json.dumps({"seconds": seconds, "modules": sorted(set(sys.modules) - before)}))
"""


def measure() -> Figures:
    runs = [_import_once() for _ in range(_ROUNDS + 1)][1:]  # the first one warms the disk and the byte code
    modules = runs[0][1]
    packages = Counter(_package(name) for name in modules)
    own = sorted(name for name in modules if name.partition(".")[0] in ("shared", "functions", "function_app"))
    unwanted = [name for name in UNWANTED if name in modules]
    return Figures(
        {
            "startup_import_ms": round(statistics.median(seconds for seconds, _ in runs) * 1000, 1),
            "startup_modules": len(modules),
            "startup_unwanted_modules": len(unwanted),
        },
        (
            f"loaded although it should not be: {', '.join(unwanted) or 'nothing'}",
            f"own modules: {', '.join(own)}",
            f"packages: {', '.join(f'{name} {count}' for name, count in packages.most_common(25))}",
        ),
    )


def _import_once() -> tuple[float, list[str]]:
    done = subprocess.run([sys.executable, "-c", _PROGRAM], cwd=ROOT, capture_output=True, text=True, check=True)  # noqa: S603
    answer = json.loads(done.stdout)
    return answer["seconds"], answer["modules"]


def _package(name: str) -> str:
    parts = name.split(".")
    return ".".join(parts[:2]) if parts[0] == "azure" and len(parts) > 1 else parts[0]

"""`python -m tests.bench [name ...]`: measures, prints a table, writes build/bench.json (a flat object of name to number)."""

import importlib
import json
import sys
import time
from pathlib import Path

from rich.console import Console
from rich.table import Table

from tests.bench.figures import Figures

RESULTS = Path(__file__).parents[2] / "build" / "bench.json"
MEASUREMENTS = (
    *("startup", "ews", "idle", "pipeline", "judging", "memory", "enumeration", "loading", "parsing", "pop3", "polls"),
    "sending",
)
TARGETS = {
    "pipeline_ratio": (">=", 4.0),
    "judging_ratio": (">=", 3.0),
    "ews_sync_ratio": (">=", 10.0),
    "ews_getitem_ratio": (">=", 10.0),
    "idle_poll_server_requests": ("<=", 1.0),
    "idle_poll_storage_requests": ("<=", 3.0),
    "parsing_20kb_ratio": (">=", 5.0),
    "parsing_5mb_ratio": (">=", 5.0),
    "pop3_ratio": (">=", 0.5),
    "idle_pop3_poll_round_trips": ("<=", 6.0),
    "idle_pop3_poll_storage_requests": ("<=", 3.0),
    "idle_imap_poll_round_trips": ("<=", 4.0),
    "idle_imap_poll_storage_requests": ("<=", 3.0),
    "smtp_sending_ratio": (">=", 0.5),
    "ews_sending_ratio": (">=", 1.0),
    "startup_unwanted_modules": ("<=", 0.0),
}


def main(names: list[str]) -> int:
    console = Console()
    if unknown := [name for name in names if name not in MEASUREMENTS]:
        console.print(f"No measurement is called {', '.join(unknown)}; there are: {', '.join(MEASUREMENTS)}.")
        return 2
    results: dict[str, float] = _known() if names else {}
    for name in names or MEASUREMENTS:
        results |= _measure(name, console)
        RESULTS.parent.mkdir(exist_ok=True)
        RESULTS.write_text(json.dumps(results, indent=2, sort_keys=True) + "\n", encoding="utf-8")
    console.print(f"Written to {RESULTS}")
    return 0


def _known() -> dict[str, float]:
    """Measuring one thing again keeps the other figures."""
    return json.loads(RESULTS.read_text("utf-8")) if RESULTS.exists() else {}


def _measure(name: str, console: Console) -> dict[str, float]:
    started = time.perf_counter()
    with console.status(f"measuring {name}"):
        figures: Figures = importlib.import_module(f"tests.bench.{name}").measure()
    table = Table("figure", "value", "target", title=f"{name} ({time.perf_counter() - started:.0f} s)", title_justify="left")
    table.columns[1].justify = "right"
    for figure, value in figures.numbers.items():
        table.add_row(figure, f"{value:,.4g}" if value < 1000 else f"{value:,.0f}", _target(figure, value))
    console.print(table)
    for note in figures.notes:
        console.print(f"  {note}", style="dim", highlight=False, markup=False)
    return dict(figures.numbers)


def _target(figure: str, value: float) -> str:
    if figure not in TARGETS:
        return ""
    sign, bound = TARGETS[figure]
    met = value >= bound if sign == ">=" else value <= bound
    return f"{sign} {bound:g} {'met' if met else '[red]missed[/red]'}"


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))

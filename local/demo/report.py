"""The summary: tables for the reader, build/demo.json for programs. Decides nothing."""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path

from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.table import Table

from local.demo.check import Check
from local.demo.folder import Account
from local.demo.outcome import MailboxOutcome, Watched, seconds_of
from shared.domain import words
from shared.domain.choices import Reason


def _table(title: str, *headings: str) -> Table:
    table = Table(*headings, title=title, title_justify="left", box=SIMPLE_HEAD, pad_edge=False)
    table.columns[0].no_wrap = True
    return table


def print_mailboxes(console: Console, outcomes: Sequence[MailboxOutcome], not_read: Sequence[Watched] = ()) -> None:
    table = _table("What became of the mail", "mailbox")
    for heading in ("sent", "seen", "promoted", "skipped", "other", "listed", "runs", "time"):
        table.add_column(heading, justify="right", no_wrap=True)
    for outcome in outcomes:
        by_verdict = _by_verdict(outcome)
        other = sum(count for verdict, count in by_verdict.items() if verdict not in ("promoted", "skipped"))
        promoted, skipped = by_verdict.get("promoted", 0), by_verdict.get("skipped", 0)
        counts = (outcome.watched.delivered, outcome.seen, promoted, skipped, other, len(outcome.activities), len(outcome.runs))
        table.add_row(_name(outcome.watched), *map(str, counts), f"{outcome.seconds:.1f} s")
    console.print(table)
    waiting = [f"{_name(each)} ({each.person.standing.value}, {each.delivered} messages wait)" for each in not_read]
    if waiting:
        console.print(f"Not read: {', '.join(waiting)}.", highlight=False)
    _print_reasons(console, outcomes)


def _name(watched: Watched) -> str:
    return watched.person.address.partition("@")[0]


def _print_reasons(console: Console, outcomes: Sequence[MailboxOutcome]) -> None:
    table = _table("Decisions", "decision", "why", "messages", "mailboxes")
    table.columns[2].justify = "right"
    for verdict, reason in sorted({key for outcome in outcomes for key in outcome.verdicts}):
        where = {_name(outcome.watched): outcome.verdicts[verdict, reason] for outcome in outcomes}
        told = ", ".join(f"{name} {count}" for name, count in where.items() if count)
        table.add_row(verdict, words.REASONS[Reason(reason)], str(sum(where.values())), told)
    console.print(table)


def print_checks(console: Console, checks: Sequence[Check]) -> None:
    table = _table("Checks", "", "check", "found")
    for check in checks:
        table.add_row("[green]ok[/green]" if check.ok else "[red]FAILED[/red]", check.name, _plain(check.detail))
    console.print(table)
    failed = sum(not check.ok for check in checks)
    console.print(
        f"[red]{failed} of {len(checks)} checks failed.[/red]" if failed else f"[green]All {len(checks)} checks are ok.[/green]"
    )


def _plain(text: str) -> str:
    """Nothing in a finding is markup; control characters of broken mail stay out of the terminal."""
    readable = "".join(character if character.isprintable() else " " for character in text[:400])
    return readable.replace("[", "\\[")


def print_explanations(console: Console, explanations: Mapping[str, Sequence[str]]) -> None:
    console.print("\nWhat explain says of")
    for what, story in explanations.items():
        console.print(f"  {what}", style="bold", highlight=False, markup=False, soft_wrap=True)
        for line in story:
            console.print(f"    {line}", highlight=False, markup=False, soft_wrap=True)


def print_urls(console: Console, urls: Mapping[str, str]) -> None:
    console.print("\nTo look at:")
    for what, url in urls.items():
        console.print(f"  {what:36} {url}", highlight=False, markup=False, soft_wrap=True)


def write_json(path: Path, outcomes: Sequence[MailboxOutcome], checks: Sequence[Check], more: Mapping[str, object]) -> None:
    content = {
        "ok": bool(checks) and all(check.ok for check in checks),
        **more,
        "mailboxes": {outcome.watched.person.address: _as_json(outcome) for outcome in outcomes},
        "checks": [{"name": check.name, "ok": check.ok, "detail": check.detail} for check in checks],
    }
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(content, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")


def _as_json(outcome: MailboxOutcome) -> Mapping[str, object]:
    return {
        "delivered": outcome.watched.delivered,
        "seen": outcome.seen,
        "activities": len(outcome.activities),
        "verdicts": {f"{verdict}:{reason}": count for (verdict, reason), count in sorted(outcome.verdicts.items())},
        "runs": [{"outcome": run["outcome"], "seen": run["seen"], "seconds": seconds_of(run)} for run in outcome.runs],
    }


def _by_verdict(outcome: MailboxOutcome) -> Mapping[str, int]:
    counts: dict[str, int] = {}
    for (verdict, _), count in outcome.verdicts.items():
        counts[verdict] = counts.get(verdict, 0) + count
    return counts


def print_files(console: Console, folder: Path, accounts: Sequence[Account]) -> None:
    table = _table(f"Files of {folder}", "file", "what became of it")
    for each in accounts:
        table.add_row(_plain(str(each.file.path.relative_to(folder))), _plain(each.told))
    console.print(table)

"""The summary: tables for the reader, build/demo.json for programs. Decides nothing."""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path

from rich.console import Console
from rich.table import Table

from local.demo.check import Check
from local.demo.folder import Account
from local.demo.outcome import MailboxOutcome, seconds_of
from shared.domain import words
from shared.domain.choices import Reason, Verdict


def print_mailboxes(console: Console, outcomes: Sequence[MailboxOutcome]) -> None:
    table = Table("mailbox", title="What became of the mail", title_justify="left")
    for heading in ("delivered", "seen", "promoted", "skipped", "other", "activities", "runs", "seconds", "per second"):
        table.add_column(heading, justify="right")
    for outcome in outcomes:
        by_verdict = _by_verdict(outcome)
        other = sum(count for verdict, count in by_verdict.items() if verdict not in ("promoted", "skipped"))
        table.add_row(
            outcome.watched.person.address,
            str(outcome.watched.delivered),
            str(outcome.seen),
            str(by_verdict.get("promoted", 0)),
            str(by_verdict.get("skipped", 0)),
            str(other),
            str(len(outcome.activities)),
            str(len(outcome.runs)),
            f"{outcome.seconds:.1f}",
            f"{outcome.seen / outcome.seconds:.0f}" if outcome.seconds else "-",
        )
    console.print(table)
    _print_reasons(console, outcomes)


def _print_reasons(console: Console, outcomes: Sequence[MailboxOutcome]) -> None:
    table = Table("decision", title="Why", title_justify="left")
    table.add_column("messages", justify="right")
    table.add_column("mailboxes")
    for verdict, reason in sorted({key for outcome in outcomes for key in outcome.verdicts}):
        where = [
            (outcome.watched.person.address.partition("@")[0], outcome.verdicts[verdict, reason])
            for outcome in outcomes
            if outcome.verdicts[verdict, reason]
        ]
        told = words.explain(Verdict(verdict), Reason(reason))
        table.add_row(told, str(sum(count for _, count in where)), ", ".join(f"{name} {count}" for name, count in where))
    console.print(table)


def print_checks(console: Console, checks: Sequence[Check]) -> None:
    table = Table("", "check", "found", title="Checks", title_justify="left")
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
    table = Table("file", "what became of it", title=f"Files of {folder}", title_justify="left")
    for each in accounts:
        table.add_row(_plain(str(each.file.path.relative_to(folder))), _plain(each.told))
    console.print(table)

"""The demo as a user runs it: it ends with what is right, and leaves nothing behind."""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PATIENCE = 120.0


@contextmanager
def _demo(out: Path, **settings: str) -> Iterator[subprocess.Popen[bytes]]:
    environment = {**os.environ, "OUT": str(out), "SIZE": "30", **settings}
    out.mkdir(exist_ok=True)
    with (out / "demo.log").open("wb") as log:
        demo = subprocess.Popen([sys.executable, "-m", "local.demo"], cwd=ROOT, env=environment, stdout=log, stderr=log)
        try:
            yield demo
        finally:
            if demo.poll() is None:
                demo.terminate()
                demo.wait(30)


def _summary(out: Path) -> dict[str, object]:
    content: dict[str, object] = json.loads((out / "demo.json").read_text("utf-8"))
    return content


def _failed(summary: dict[str, object]) -> list[object]:
    checks = summary["checks"]
    assert isinstance(checks, list)
    return [check for check in checks if not check["ok"]]


def _alive(pid: int) -> bool:
    try:
        return ") Z " not in Path(f"/proc/{pid}/stat").read_text("utf-8")
    except (FileNotFoundError, ProcessLookupError):
        return False


def _processes(summary: dict[str, object]) -> list[int]:
    processes = summary["processes"]
    assert isinstance(processes, dict)
    return list(processes.values())


@pytest.mark.slow
def test_the_demo_once_ends_well_and_leaves_no_process(tmp_path: Path) -> None:
    with _demo(tmp_path, ONCE="1") as demo:
        status = demo.wait(PATIENCE)
    summary = _summary(tmp_path)
    assert _failed(summary) == []
    assert status == 0
    assert summary["ok"] is True
    assert [pid for pid in _processes(summary) if _alive(pid)] == []


@pytest.mark.slow
def test_a_folder_of_mail_is_accounted_for_file_by_file_and_ctrl_c_ends_every_child(tmp_path: Path) -> None:
    mail = tmp_path / "mail" / "deeper"
    mail.mkdir(parents=True)
    for number in range(3):
        message = f"From: a@northwind.example\nSubject: {number}\nMessage-ID: <{number}@northwind.example>\n\ntext\n"
        (mail / f"{number}.eml").write_bytes(message.encode())
    (mail / "broken.EML").write_bytes(b"\0\0 no mail at all")
    (mail / "notes.txt").write_bytes(b"this is no mail and stays where it is")
    with _demo(tmp_path, MAIL=str(tmp_path / "mail")) as demo:
        _wait_for(lambda: b"keeps serving" in (tmp_path / "demo.log").read_bytes())
        summary = _summary(tmp_path)
        serving = [pid for pid in _processes(summary) if _alive(pid)]
        demo.send_signal(signal.SIGINT)
        status = demo.wait(PATIENCE)
    assert summary["files"] == {
        "deeper/0.eml": "promoted (relevant)",
        "deeper/1.eml": "promoted (relevant)",
        "deeper/2.eml": "promoted (relevant)",
        "deeper/broken.EML": "promoted (relevant)",
    }
    assert len(serving) == 3
    assert status == 130
    assert [pid for pid in serving if _alive(pid)] == []


def test_a_folder_that_is_not_there_is_named(tmp_path: Path) -> None:
    with _demo(tmp_path, ONCE="1", MAIL=str(tmp_path / "nowhere")) as demo:
        assert demo.wait(PATIENCE) == 1
    text = (tmp_path / "demo.log").read_text("utf-8")
    assert "nowhere" in text.replace("\n", "")  # lines are folded anywhere


def test_azurite_missing_says_what_to_install(tmp_path: Path) -> None:
    with _demo(tmp_path, ONCE="1", SIDESYNC_AZURITE=str(tmp_path / "azurite.js")) as demo:
        assert demo.wait(PATIENCE) == 1
    assert "make setup" in " ".join((tmp_path / "demo.log").read_text("utf-8").split())


def _wait_for(holds: object) -> None:
    assert callable(holds)
    deadline = time.monotonic() + PATIENCE
    while not holds():
        assert time.monotonic() < deadline, "waited in vain"
        time.sleep(0.2)

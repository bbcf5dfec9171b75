"""Child processes are started, waited for and ended; nothing stays behind."""

import os
import sys
import time
from pathlib import Path

import pytest

from local.processes import Child, ChildFailed


def _child(tmp_path: Path, program: str, ready_within: float = 20) -> Child:
    return Child("the child", [sys.executable, "-c", program], tmp_path / "child.log", ready_within=ready_within)


def _alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True


def test_a_child_greets_with_json_and_its_other_lines_go_to_the_log(tmp_path: Path) -> None:
    with _child(tmp_path, "print('warming up'); print('{\"port\": 7}'); import time; time.sleep(60)") as child:
        assert child.greeting == {"port": 7}
        assert child.running
    assert not _alive(child.pid)
    assert "warming up" in child.log.read_text()


def test_a_child_that_was_killed_can_be_started_again(tmp_path: Path) -> None:
    child = _child(tmp_path, "import json, os, time; print(json.dumps({'pid': os.getpid()})); time.sleep(60)")
    with child:
        first = child.greeting
        child.kill()
        child.start()
        assert child.greeting != first
        assert child.running


def test_a_child_that_ends_early_is_reported_with_the_end_of_its_log(tmp_path: Path) -> None:
    with pytest.raises(ChildFailed, match="the port is taken"):
        _child(tmp_path, "print('the port is taken'); raise SystemExit(3)").start()


def test_a_child_that_never_gets_ready_is_ended(tmp_path: Path) -> None:
    child = _child(tmp_path, "import time; time.sleep(60)", ready_within=0.5)
    with pytest.raises(ChildFailed, match="not ready after"):
        child.start()
    assert not _alive(child.pid)


def test_a_child_that_ignores_the_request_to_end_is_ended_all_the_same(tmp_path: Path) -> None:
    program = "import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN); print('{}', flush=True); time.sleep(60)"
    child = _child(tmp_path, program)
    child.start()
    child.stop(patience=0.3)
    assert not _alive(child.pid)


def test_what_a_child_started_ends_with_it_when_it_is_killed(tmp_path: Path) -> None:
    program = (
        "import json, subprocess, sys, time\n"
        "grandchild = subprocess.Popen([sys.executable, '-c', 'import time; time.sleep(60)'])\n"
        "print(json.dumps({'grandchild': grandchild.pid}), flush=True)\n"
        "time.sleep(60)\n"
    )
    child = _child(tmp_path, program)
    child.start()
    grandchild = child.greeting["grandchild"]
    assert isinstance(grandchild, int)
    child.kill()
    deadline = time.monotonic() + 10
    while not _gone_or_zombie(grandchild):
        assert time.monotonic() < deadline
        time.sleep(0.02)


def _gone_or_zombie(pid: int) -> bool:
    """Nobody may be there to reap an orphan inside a container."""
    try:
        return ") Z " in Path(f"/proc/{pid}/stat").read_text()
    except FileNotFoundError:
        return True

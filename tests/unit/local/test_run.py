"""`make run`: what it writes, and when it starts the emulator."""

import base64
import json
import shutil
import socket
from pathlib import Path

import pytest

from local.host import HostError
from local.run import ROOT, needs_emulator, write_settings


@pytest.fixture
def root(tmp_path: Path) -> Path:
    shutil.copy(ROOT / "local.settings.sample.json", tmp_path)
    return tmp_path


def test_the_first_time_settings_are_written_with_a_fresh_key_that_only_the_user_can_read(root: Path) -> None:
    assert write_settings(root)

    written = root / "local.settings.json"
    assert len(base64.urlsafe_b64decode(json.loads(written.read_text())["Values"]["SIDESYNC_SECRETS_KEY"])) == 32
    assert written.stat().st_mode & 0o077 == 0


def test_settings_that_are_there_are_left_alone(root: Path) -> None:
    (root / "local.settings.json").write_text("{}")

    assert not write_settings(root)
    assert (root / "local.settings.json").read_text() == "{}"


def test_real_storage_needs_no_emulator(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("AzureWebJobsStorage", raising=False)
    (root / "local.settings.json").write_text('{"Values": {"AzureWebJobsStorage": "AccountName=contoso;AccountKey=a2V5"}}')

    assert not needs_emulator(root)


@pytest.mark.parametrize("written", ["UseDevelopmentStorage=true", "usedevelopmentstorage=true;"])
def test_the_emulator_is_needed_however_the_settings_write_it(
    root: Path, monkeypatch: pytest.MonkeyPatch, written: str
) -> None:
    monkeypatch.delenv("AzureWebJobsStorage", raising=False)
    with socket.create_server(("127.0.0.1", 0)) as free:
        monkeypatch.setattr("local.run.EMULATOR_PORTS", (free.getsockname()[1],))
    content = {"Values": {"AzureWebJobsStorage": written}}
    (root / "local.settings.json").write_text(json.dumps(content), encoding="utf-8-sig")

    assert needs_emulator(root)


@pytest.mark.parametrize(
    ("content", "words"),
    [
        ("{", "not valid JSON"),
        ("[]", "must hold a JSON object"),
        ('{"Values": "none"}', "Values must be an object"),
        ("{}", "AzureWebJobsStorage is missing"),
    ],
)
def test_settings_that_cannot_be_used_are_told(root: Path, monkeypatch: pytest.MonkeyPatch, content: str, words: str) -> None:
    monkeypatch.delenv("AzureWebJobsStorage", raising=False)
    (root / "local.settings.json").write_text(content)

    with pytest.raises(HostError, match=words):
        needs_emulator(root)

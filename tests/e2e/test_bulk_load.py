"""A file of JSON lines through the whole app: the host, its queue function, and Azurite."""

import json
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from local.demo.machine import Machine

RECORDS = 21_000
"""More than one part."""
BAD = RECORDS // 100
PATIENCE = 120.0
"""Seconds."""


@pytest.mark.slow
def test_a_file_is_loaded_by_the_queue_function_and_its_addresses_are_found(tmp_path: Path) -> None:
    with Machine(tmp_path) as machine, _api(machine) as api:
        answer = api.post("/api/loads", content=_file(), headers={"Content-Type": "application/x-ndjson"})
        assert answer.status_code == 202
        load = _when_finished(api, answer.headers["Location"])
        assert (load["state"], load["lines"], load["loaded"], load["rejected"]) == ("completed", RECORDS + BAD, RECORDS, BAD)
        rejected = api.get(load["rejected_url"], params={"limit": 500}).json()["items"]
        assert [each["line"] for each in rejected] == [101 * number for number in range(1, BAD + 1)]
        for number in (0, RECORDS // 2, RECORDS - 1):
            found = api.get(f"/api/addresses/person{number}@customer.example").json()["records"]
            assert [each["id"] for each in found] == [f"p{number}"]


def _api(machine: Machine) -> httpx.Client:
    return httpx.Client(base_url=machine.base_url, headers={"x-functions-key": machine.key}, timeout=60, trust_env=False)


def _file() -> Iterator[bytes]:
    """Every hundred records are followed by a line that is none."""
    for number in range(RECORDS):
        addresses = [f"person{number}@customer.example"]
        record = {"type": "contact", "id": f"p{number}", "name": f"P {number}", "addresses": addresses}
        yield json.dumps(record).encode() + (b"\nno record\n" if number % 100 == 99 else b"\n")


def _when_finished(api: httpx.Client, url: str) -> dict[str, Any]:
    deadline = time.monotonic() + PATIENCE
    while True:
        load: dict[str, Any] = api.get(url).json()
        if load["state"] in ("completed", "failed") or time.monotonic() > deadline:
            return load
        time.sleep(0.3)

"""Mail of many parsers' test collections, most of it broken: a file ends as an activity, or in quarantine with its raw form."""

from pathlib import Path

import pytest

from local.mailserver import MailServer
from shared.domain.choices import Verdict, Workload
from shared.domain.email import ListOf
from shared.domain.operations import RunOutcome
from tests.e2e.organisation import PASSWORD, USERNAME, an_organisation

CORPUS = Path(__file__).parents[2] / ".." / "shared" / "mail-corpus"
FILES = sorted(path for path in CORPUS.rglob("*.eml") if path.is_file()) if CORPUS.is_dir() else []


@pytest.mark.skipif(not FILES, reason="the mail corpus is not here")
def test_every_file_becomes_an_activity_or_a_quarantined_item() -> None:
    with MailServer() as server:
        server.add_mailbox("anna@contoso.example")
        server.add_account(USERNAME, PASSWORD, impersonation=True)
        item_ids = {path: server.deliver(path.read_bytes(), ["anna@contoso.example"])[0] for path in FILES}
        with an_organisation(server.ews_url) as organisation:
            organisation.add_profile()
            mailbox = organisation.add_mailbox("anna")
            outcomes = [organisation.run(mailbox.id), *organisation.work_off()]
            stores = organisation.stores
            items = {item.ref.id: item for item in stores.ledger.items(mailbox.id, Workload.INCOMING)}
            quarantined = {item.ref.id: item for item in stores.quarantine.list(mailbox.id, limit=500).items}
            listed = {entry.activity_id for entry in stores.timeline.list(ListOf.MAILBOX, mailbox.id, limit=1000).items}

    assert set(outcomes) <= {RunOutcome.COMPLETED, RunOutcome.CONTINUED, RunOutcome.IDLE}
    assert [path.name for path, item_id in item_ids.items() if item_id not in items] == []
    for path, item_id in item_ids.items():
        item = items[item_id]
        match item.verdict:
            case Verdict.PROMOTED:
                assert item.activity_id in listed, path
            case Verdict.QUARANTINED:
                assert quarantined[item_id].raw_blob, path
                assert quarantined[item_id].detail, path
            case Verdict.SKIPPED:
                assert item.reason, path
            case _:
                pytest.fail(f"{path}: {item.verdict} ({item.reason}): {item.detail}")

"""Whoever reads while others change, move and delete sees a mailbox as it was at some moment, and never an internal error."""

from concurrent.futures import ThreadPoolExecutor
from itertools import cycle
from random import Random

from local.mailserver import MailServer
from local.mailserver.model import FolderRefused, NotFound
from tests.unit.mailserver.conftest import ANNA, BEN
from tests.unit.mailserver.messages import a_draft, a_message
from tests.unit.mailserver.soap import SoapClient, by_id, categories_field, field_uri, move_items, update_item, well_known

ROUNDS = 60
ALLOWED = {"NoError", "ErrorItemNotFound", "ErrorSyncFolderNotFound", "ErrorToFolderNotFound", "ErrorIrresolvableConflict"}


def disturb(server: MailServer, folder: str, seed: int) -> None:
    """Somebody works in the mailbox."""
    random = Random(seed)  # no secret
    for _ in range(ROUNDS):
        try:
            items = server.items(ANNA, random.choice(["inbox", folder]))
            item = random.choice(items) if items else ""
            match random.randrange(6):
                case 0:
                    server.deliver(a_message(), [ANNA, BEN])
                case 1:
                    server.move(ANNA, item, random.choice(["inbox", folder]))
                case 2:
                    server.remove(ANNA, item)
                case 3:
                    server.categorize(ANNA, item, ["Mine"])
                case 4:
                    server.send(a_draft(f"{ANNA}, {BEN}"), BEN)
                case _:
                    server.remove_folder(ANNA, server.add_folder(ANNA, f"F{random.random()}", folder))
        except (NotFound, FolderRefused):
            continue


def follow(server: MailServer, folder: str) -> list[str]:
    """A client that synchronizes, marks and moves what it was told of; the codes of all that it was answered."""
    client, codes = SoapClient(server, ANNA, "anna's password"), []
    states = dict.fromkeys((well_known("inbox"), by_id(folder)), "")
    for where, _ in zip(cycle(states), range(ROUNDS), strict=False):
        answer = client.sync(states[where], limit=5, properties=field_uri("item:Categories"), folder=where)
        states[where] = answer.sync_state
        codes += answer.codes
        for kind, item in answer.changes():
            if kind in ("Create", "Update"):
                got = client.get(item, base="AllProperties")
                codes += got.codes
                if got.codes == ["NoError"]:
                    assert got.ids() == [item]
                    codes += client.ask(update_item(item, got.change_key, categories_field("Tracked"))).codes
        codes += client.ask(move_items(*answer.ids()[:1], to=by_id(folder))).codes if answer.ids() else []
    client.close()
    return codes


def test_readers_and_writers_do_not_confuse_each_other(server: MailServer) -> None:
    folder = server.add_folder(ANNA, "Project", "inbox")
    server.deliver(a_message(), [ANNA])
    with ThreadPoolExecutor(5) as people:
        followers = [people.submit(follow, server, folder) for _ in range(2)]
        others = [people.submit(disturb, server, folder, seed) for seed in range(3)]
        codes = [code for follower in followers for code in follower.result()]
        assert [other.result() for other in others] == [None, None, None]
    assert "NoError" in codes
    assert set(codes) <= ALLOWED


def test_of_two_who_move_an_item_one_does(server: MailServer) -> None:
    for _ in range(10):
        (item,) = server.deliver(a_message(), [ANNA])
        clients = [SoapClient(server, ANNA, "anna's password") for _ in range(2)]
        with ThreadPoolExecutor(2) as people:
            answers = people.map(SoapClient.ask, clients, [move_items(item)] * 2)
            codes = sorted(code for answer in answers for code in answer.codes)
        assert codes == ["ErrorItemNotFound", "NoError"]
        for client in clients:
            client.close()
    assert len(server.items(ANNA, "deleteditems")) == 10


def test_of_two_who_mark_an_item_the_second_hears_of_the_first(server: MailServer) -> None:
    (item,) = server.deliver(a_message(), [ANNA])
    clients = [SoapClient(server, ANNA, "anna's password") for _ in range(2)]
    key = clients[0].get(item).change_key
    with ThreadPoolExecutor(2) as people:
        asked = [update_item(item, key, categories_field(name)) for name in ("One", "Two")]
        answers = people.map(SoapClient.ask, clients, asked)
        codes = sorted(code for answer in answers for code in answer.codes)
    assert codes == ["ErrorIrresolvableConflict", "NoError"]
    for client in clients:
        client.close()

from datetime import timedelta

import pytest

from shared.connectors.gate import RefusedBefore
from shared.connectors.internet import gates as module
from shared.connectors.internet.connection import Security, Server
from shared.connectors.internet.gates import Gates
from shared.connectors.internet.sign_in import Password
from shared.domain.errors import AuthenticationFailed

SERVER = Server("mail.contoso.example", 995, Security.TLS)
ANNA = Password("anna", "secret", profile_wide=False)
PATIENCE = timedelta(seconds=1).total_seconds()


def refuse(gates: Gates, server: Server = SERVER, sign_in: Password = ANNA) -> None:
    with pytest.raises(AuthenticationFailed), gates.at(server, sign_in).attempt(PATIENCE):
        raise AuthenticationFailed("no")


def is_tried(gates: Gates, server: Server = SERVER, sign_in: Password = ANNA) -> bool:
    try:
        with gates.at(server, sign_in).attempt(PATIENCE):
            return True
    except RefusedBefore:
        return False


def test_a_refused_password_is_not_tried_again_by_whoever_comes_next() -> None:
    gates = Gates()
    refuse(gates)
    assert not is_tried(gates)


@pytest.mark.parametrize(
    ("server", "sign_in"),
    [
        (SERVER, Password("anna", "another", profile_wide=False)),
        (SERVER, Password("bert", "secret", profile_wide=False)),
        (Server("other.contoso.example", 995, Security.TLS), ANNA),
    ],
)
def test_another_password_user_or_server_is_tried(server: Server, sign_in: Password) -> None:
    gates = Gates()
    refuse(gates)
    assert is_tried(gates, server, sign_in)


def test_the_gates_kept_are_bounded_and_the_one_used_last_stays(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "MOST_GATES", 2)
    gates = Gates()
    refuse(gates)
    is_tried(gates, sign_in=Password("bert", "secret", profile_wide=False))
    assert not is_tried(gates)
    is_tried(gates, sign_in=Password("carl", "secret", profile_wide=False))
    assert not is_tried(gates)
    assert len(gates._gates) == 2

"""What may run is what this version has connectors for, by workload and type of server."""

import pytest

from shared.connectors.connect import Connect
from shared.connectors.probe import probes
from shared.domain.choices import ServerType, Workload
from shared.domain.eligibility import has_connector
from shared.stores.memory import memory_stores
from tests.builders import a_mailbox, a_profile


@pytest.mark.parametrize("server_type", list(ServerType))
def test_incoming_mail_is_read_from_every_type_of_server(server_type: ServerType) -> None:
    connect = Connect(memory_stores().secrets, allow_local_servers=False)
    assert has_connector(Workload.INCOMING, server_type)
    assert connect(a_profile(server_type=server_type), a_mailbox()) is not None


@pytest.mark.parametrize("server_type", list(ServerType))
def test_outgoing_mail_is_sent_through_every_type_of_server(server_type: ServerType) -> None:
    connect = Connect(memory_stores().secrets, allow_local_servers=False)
    assert has_connector(Workload.OUTGOING, server_type)
    assert connect.outgoing(a_profile(server_type=server_type), a_mailbox()) is not None


def test_every_workload_with_a_connector_can_be_tested() -> None:
    connect = Connect(memory_stores().secrets, allow_local_servers=False)
    assert set(probes(connect, connect.outgoing)) == {workload for workload in Workload if has_connector(workload)}

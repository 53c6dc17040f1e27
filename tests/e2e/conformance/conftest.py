"""One broker for all conformance tests of a process: each test uses names of its own."""
import itertools
import tempfile

import pytest

import weir as weir_module
from packets import Client

CONFIG = {
    "workers": 2,
    "mqtt": {"listeners": [{"bind": "127.0.0.1:0"}], "keep_alive_max": "60s"},
    "web": {"bind": "127.0.0.1:0"},
}


class Broker:
    def __init__(self, weir):
        self.weir, self.port = weir, weir.port()
        self.made, self.counter = [], itertools.count(1)

    def name(self, prefix="c"):
        """A client id or topic that no other test uses."""
        return f"{prefix}{next(self.counter)}"

    def open(self, version=5, port=None):
        client = Client(port or self.port, version)
        self.made.append(client)
        return client

    def client(self, version=5, client_id=None, **connect):
        """A connected client; its CONNACK is client.connack."""
        client = self.open(version)
        assert client.connect(client_id if client_id is not None else self.name(), **connect).code == 0
        return client

    def subscriber(self, version, *filters, qos=2, **connect):
        client = self.client(version, **connect)
        assert all(code < 0x80 for code in client.subscribe(*filters, qos=qos))
        return client


@pytest.fixture(scope="session")
def shared_weir():
    instance = weir_module.Weir(tempfile.mkdtemp(prefix="weir-"), CONFIG).start()
    yield instance
    findings = instance.sanitizer_findings()
    status = instance.stop()
    weir_module.cleanup(instance)
    assert not findings and status == 0, findings


@pytest.fixture(scope="session")
def shared_broker(shared_weir):
    return Broker(shared_weir)


@pytest.fixture
def broker(shared_broker):
    """The broker; what the test leaves open is closed."""
    yield shared_broker
    for client in shared_broker.made:
        client.socket.close()
    shared_broker.made.clear()


@pytest.fixture(params=[4, 5], ids=["3.1.1", "5.0"])
def version(request):
    return request.param

"""The emulator, as the official SDK meets it: unmodified but for a CA and a host map.

KEYFERRY_EMULATOR is the command line that starts the emulator on free ports: `keyferry emulator --https 127.0.0.1:0
--control 127.0.0.1:0`, or the example `serve` of crates/emulator.
"""

import json
import os
import shlex
import socket
import subprocess

import pytest
import requests
from judge import Customer

AZURE = (
    ".azure.net", ".azure.cn", ".usgovcloudapi.net", ".azure.com",
    ".microsoftonline.com", ".microsoftonline.us", ".chinacloudapi.cn",
)


class Emulator:
    """A running emulator and its control port."""

    def __init__(self, addresses):
        host, port = addresses["https"].rsplit(":", 1)
        self.https = host, int(port)
        self.control = "http://" + addresses["control"]
        self.ca = requests.get(addresses["ca"], timeout=10).text

    def order(self, order, **fields):
        answer = requests.post(self.control + "/orders", json={"order": order, **fields}, timeout=60)
        assert answer.status_code == 200, answer.text
        return answer.json()

    def calls(self):
        return requests.get(self.control + "/calls", timeout=10).json()

    def count(self, host, operation):
        return sum(c["count"] for c in self.calls() if c["host"] == host and c["operation"] == operation)

    def fault(self, host, fault, **limits):
        self.order("fault", fault={"host": host, "fault": fault, **limits})

    def faults(self):
        return requests.get(self.control + "/faults", timeout=10).json()

    def hosts(self):
        return requests.get(self.control + "/hosts", timeout=10).json()


@pytest.fixture(scope="session")
def emulator(tmp_path_factory):
    command = shlex.split(os.environ["KEYFERRY_EMULATOR"])
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    patch = pytest.MonkeyPatch()
    try:
        for name in ("NO_PROXY", "no_proxy"):
            patch.setenv(name, "*")
        emulator = Emulator(json.loads(process.stdout.readline()))
        ca_file = tmp_path_factory.mktemp("ca") / "ca.pem"
        ca_file.write_text(emulator.ca)
        patch.setenv("REQUESTS_CA_BUNDLE", str(ca_file))
        patch.setattr(socket, "getaddrinfo", azure_dns(emulator))
        yield emulator
    finally:
        patch.undo()
        end(process)


def end(process):
    """Asks it to end, and kills it if it does not."""
    process.terminate()
    try:
        assert process.wait(60) == 0
    except subprocess.TimeoutExpired:
        process.kill()
        pytest.fail("the emulator did not end within a minute of SIGTERM")


def azure_dns(emulator):
    """Answers for Azure's names as Azure's DNS would, with the emulator's address. No test reaches the real ones."""
    plain = socket.getaddrinfo

    def resolve(host, port, *args, **kwargs):
        if not isinstance(host, str) or not host.endswith(AZURE):
            return plain(host, port, *args, **kwargs)
        if host not in emulator.hosts():
            raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")
        return plain(*emulator.https, *args, **kwargs)

    return resolve


@pytest.fixture
def make_customer(emulator):
    yield lambda **how: Customer(emulator, **how)
    unmet = [order for order in emulator.faults() if order["times"] is not None]
    emulator.order("clear-faults")
    assert unmet == [], "ordered, and not met as often"


@pytest.fixture
def customer(make_customer):
    return make_customer()

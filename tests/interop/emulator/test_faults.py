"""Throttling, faults to order, call counts and the control port itself."""

import datetime
from concurrent import futures

import pytest
import requests
from azure.core.exceptions import (
    ClientAuthenticationError, DecodeError, HttpResponseError, IncompleteReadError, ServiceRequestError,
    ServiceResponseError,
)
from judge import SCOPE, SECRET, WRAP, eventually, jwk, parts, pkcs8, refused

LOGIN = "login.microsoftonline.com"
THROTTLED = (
    429, "Throttled", None,
    "Request was not processed because too many requests were received. Reason: VaultRequestTypeLimitReached",
)
# What an operation costs of the 4000 that ten seconds have; with an HSM key twice that.
BUDGET, COSTS = 4000, {2048: 1, 3072: 4, 4096: 8}


@pytest.fixture
def wrapped(customer):
    """A customer with a key, a client of that key, and something that it wrapped."""
    client = customer.remote(customer.imports())
    return customer, client, client.wrap_key(WRAP, SECRET).encrypted_key


@pytest.mark.parametrize("bits", COSTS)
@pytest.mark.parametrize("hsm", [False, True], ids=["software", "hsm"])
def test_the_documented_limits(customer, bits, hsm):
    kid = customer.keys().import_key("k", jwk(bits), hardware_protected=hsm).id
    client, costs = customer.remote(kid), COSTS[bits] * (2 if hsm else 1)

    def throttled(act):
        with pytest.raises(HttpResponseError) as caught:
            act()
        answer = caught.value.response
        assert (answer.status_code, *parts(answer)) == THROTTLED
        assert "retry-after" not in answer.headers

    customer.window(crypto=BUDGET - costs)
    assert client.wrap_key(WRAP, SECRET), "it fits"
    throttled(lambda: client.wrap_key(WRAP, SECRET))
    customer.window(crypto=BUDGET - costs + 1)
    throttled(lambda: client.wrap_key(WRAP, SECRET))
    assert customer.keys().get_key("k").id == kid, "other operations have a budget of their own"
    customer.window(other=BUDGET - 1)
    assert customer.keys().get_key("k").id == kid
    throttled(lambda: customer.keys().get_key("k"))
    assert client.wrap_key(WRAP, SECRET)
    customer.window(crypto=BUDGET, other=BUDGET)
    customer.at_vault("set-throttled", throttled=False)
    assert client.wrap_key(WRAP, SECRET) and customer.keys().get_key("k")


def test_throttle(wrapped):
    customer, client, blob = wrapped
    customer.fault("throttle", operation="unwrap-key", times=1, retry_after=7)
    with pytest.raises(HttpResponseError) as caught:
        client.unwrap_key(WRAP, blob)
    assert (caught.value.status_code, *parts(caught.value.response)) == THROTTLED
    assert caught.value.response.headers["retry-after"] == "7"
    customer.fault("throttle", operation="unwrap-key", times=1)
    assert refused(lambda: client.unwrap_key(WRAP, blob)) == THROTTLED
    assert client.unwrap_key(WRAP, blob).key == SECRET


@pytest.mark.parametrize("status", [400, 403, 404, 409, 500, 502, 503, 504])
def test_status(wrapped, status):
    customer, client, blob = wrapped
    customer.fault("status", operation="unwrap-key", times=1, status=status)
    with pytest.raises(HttpResponseError) as caught:
        client.unwrap_key(WRAP, blob)
    assert caught.value.status_code == status
    assert parts(caught.value.response)[0]
    assert client.unwrap_key(WRAP, blob).key == SECRET


def test_reset(wrapped):
    customer, client, blob = wrapped
    customer.fault("reset", operation="unwrap-key", times=1)
    with pytest.raises((ServiceRequestError, ServiceResponseError), match="(?i)aborted|closed|reset"):
        client.unwrap_key(WRAP, blob)
    assert client.unwrap_key(WRAP, blob).key == SECRET


def test_truncate(wrapped):
    customer, client, blob = wrapped
    customer.fault("truncate", operation="unwrap-key", times=1)
    with pytest.raises((IncompleteReadError, ServiceResponseError, HttpResponseError)) as caught:
        client.unwrap_key(WRAP, blob)
    assert "IncompleteRead" in str(caught.value)
    assert client.unwrap_key(WRAP, blob).key == SECRET


def test_nonsense(wrapped):
    customer, client, blob = wrapped
    customer.fault("nonsense", operation="unwrap-key", times=1)
    assert client.unwrap_key(WRAP, blob).key is None, "the SDK takes any JSON"
    assert client.unwrap_key(WRAP, blob).key == SECRET


def test_latency(wrapped):
    customer, client, blob = wrapped
    customer.fault("latency", operation="unwrap-key", times=1, millis=1)
    assert client.unwrap_key(WRAP, blob).key == SECRET, "answered as always"
    customer.fault("latency", operation="unwrap-key", millis=3_600_000)
    with pytest.raises(ServiceResponseError, match="(?i)timed out"):
        client.unwrap_key(WRAP, blob, read_timeout=0.3)
    customer.order("clear-faults")
    assert client.unwrap_key(WRAP, blob).key == SECRET


@pytest.mark.parametrize("times", [None, 1])
def test_hang(wrapped, times):
    customer, client, blob = wrapped
    customer.fault("hang", operation="unwrap-key", times=times)
    with pytest.raises(ServiceResponseError, match="(?i)timed out"):
        client.unwrap_key(WRAP, blob, read_timeout=0.3)
    customer.order("clear-faults")
    assert client.unwrap_key(WRAP, blob).key == SECRET


@pytest.mark.parametrize("kind, details", [("hang", {}), ("latency", {"millis": 3_600_000})])
@pytest.mark.parametrize("times", [None, 1])
def test_what_hangs_or_is_late_is_let_go_when_faults_are_cleared(wrapped, kind, details, times):
    customer, client, blob = wrapped
    customer.fault(kind, operation="unwrap-key", times=times, **details)
    with futures.ThreadPoolExecutor(1) as waiting:
        under_way = waiting.submit(client.unwrap_key, WRAP, blob)
        eventually(lambda: customer.count("unwrap-key") == 1)
        assert not under_way.done()
        customer.order("clear-faults")
        if kind == "latency":
            assert under_way.result(60).key == SECRET
        else:
            assert isinstance(under_way.exception(60), (ServiceRequestError, ServiceResponseError))


def test_a_request_without_a_token_is_a_challenge_whatever_it_asks_for(customer):
    customer.imports()
    headers = customer.bearer()

    def get(headers=None):
        return customer.ask("GET", "/keys/k", headers=headers).status_code

    customer.fault("status", operation="get", times=1, status=503)
    assert [get(), get(headers), get(headers)] == [401, 503, 200]
    customer.fault("status", operation="challenge", times=1, status=503)
    assert [get(headers), get(), get()] == [200, 503, 401]
    customer.fault("status", operation="health-status", times=1, status=503)
    assert [customer.ask("GET", "/healthstatus").status_code for _ in range(2)] == [503, 200]


def test_an_ordered_401_says_where_tokens_are_had(customer):
    customer.imports()
    customer.fault("status", operation="get", times=1, status=401)
    answer = customer.ask("GET", "/keys/k", headers=customer.bearer())
    assert (answer.status_code, parts(answer)[0]) == (401, "Unauthorized")
    assert answer.headers["www-authenticate"] == customer.ask("GET", "/keys/k").headers["www-authenticate"]
    keys = customer.keys()
    assert keys.get_key("k")
    customer.fault("status", operation="get", times=1, status=401)
    assert keys.get_key("k"), "the SDK answers it with a token"
    customer.fault("status", operation="get", times=2, status=401)
    assert refused(lambda: keys.get_key("k"))[0] == 401


def test_an_expired_certificate(customer):
    customer.imports()
    customer.at_vault("set-certificate-expired", expired=True)
    with pytest.raises(ServiceRequestError, match="certificate has expired"):
        customer.keys().get_key("k")
    customer.at_vault("set-certificate-expired", expired=False)
    assert customer.keys().get_key("k")


def test_faults_of_the_token_endpoint(customer):
    def token():
        return customer.credential().get_token(SCOPE)

    def fault(kind, **details):
        customer.emulator.fault(LOGIN, {"kind": kind, **details}, operation="token", times=1)

    for kind, details in (
        ("status", {"status": 400}), ("status", {"status": 503}), ("throttle", {"retry_after": 1}), ("reset", {}),
        ("truncate", {}), ("nonsense", {}),
    ):
        fault(kind, **details)
        with pytest.raises((ClientAuthenticationError, HttpResponseError, ServiceRequestError, ServiceResponseError)):
            token()
        assert token().token, f"after {kind} {details}"
    fault("status", status=503)
    answer = requests.post(f"https://{LOGIN}/{customer.directory}/oauth2/v2.0/token", timeout=10)
    assert (answer.status_code, answer.headers["content-type"]) == (503, "text/html")


def test_a_fault_holds_for_its_host_and_operation_only(make_customer):
    one, other = make_customer(), make_customer()
    clients = [c.remote(c.imports()) for c in (one, other)]
    blobs = [client.wrap_key(WRAP, SECRET).encrypted_key for client in clients]
    one.fault("status", operation="unwrap-key", status=500)
    assert one.keys().get_key("k")
    assert clients[1].unwrap_key(WRAP, blobs[1]).key == SECRET
    for _ in range(3):
        assert refused(lambda: clients[0].unwrap_key(WRAP, blobs[0]))[0] == 500
    orders = requests.get(one.emulator.control + "/faults", timeout=10).json()
    assert [(order["host"], order["operation"], order["fault"]) for order in orders] == [
        (one.host, "unwrap-key", {"kind": "status", "status": 500})
    ]
    one.order("clear-faults")
    assert requests.get(one.emulator.control + "/faults", timeout=10).json() == []
    assert clients[0].unwrap_key(WRAP, blobs[0]).key == SECRET
    one.emulator.order("fault", fault={"fault": {"kind": "status", "status": 500}, "times": 2})
    assert refused(lambda: clients[0].unwrap_key(WRAP, blobs[0]))[0] == 500
    assert refused(lambda: clients[1].unwrap_key(WRAP, blobs[1]))[0] == 500, "without a host, for all"
    assert clients[1].unwrap_key(WRAP, blobs[1]).key == SECRET


def test_probability(wrapped):
    customer, client, blob = wrapped
    order = {"host": customer.host, "operation": "wrap-key", "fault": {"kind": "status", "status": 500}}
    customer.order("fault", fault={**order, "probability": 0.5})
    outcomes = [met(lambda: client.wrap_key(WRAP, SECRET)) for _ in range(100)]
    assert 20 < sum(outcomes) < 80
    customer.order("clear-faults")
    customer.order("fault", fault={**order, "probability": 0.0})
    assert not any(met(lambda: client.wrap_key(WRAP, SECRET)) for _ in range(20))


def met(act):
    try:
        act()
    except HttpResponseError:
        return True
    return False


def test_calls_are_counted_by_host_operation_and_status(customer):
    kid = customer.imports()
    customer.order("reset-calls")
    assert customer.emulator.calls() == []
    client = customer.remote(kid)
    blob = client.wrap_key(WRAP, SECRET).encrypted_key
    for _ in range(3):
        client.unwrap_key(WRAP, blob)
    refused(lambda: client.unwrap_key(WRAP, bytes(256)))
    customer.fault("reset", operation="get", times=1)
    with pytest.raises((ServiceRequestError, ServiceResponseError)):
        customer.keys().get_key("k")
    calls = {(c["host"], c["operation"], c["status"]): c["count"] for c in customer.emulator.calls()}
    assert {key[1:]: count for key, count in calls.items() if key[0] == customer.host} == {
        ("challenge", 401): 1, ("get", 403): 1, ("wrap-key", 200): 1, ("unwrap-key", 200): 3, ("unwrap-key", 400): 1,
        ("get", 0): 1,
    }
    assert calls[(LOGIN, "token", 200)] == 2, "the SDK remembers a host's challenge, so that its second client began here"


def test_the_control_port_refuses_what_it_does_not_understand(customer):
    def order(body):
        answer = requests.post(customer.emulator.control + "/orders", json=body, timeout=10)
        return answer.status_code, answer.json()

    status, body = order({"order": "set-network", "host": customer.host, "network": "open", "typo": 1})
    assert status == 422 and "typo" in body["error"]
    assert order({"order": "no-such-order"})[0] == 422
    assert order({"order": "fault", "fault": {"fault": {"kind": "no-such-fault"}}})[0] == 422
    missing = order({"order": "set-network", "host": "none.vault.azure.net", "network": "open"})
    assert missing == (409, {"error": "there is no such vault"})
    assert order({"order": "create-key", "host": customer.host, "name": "k", "bits": 1024})[0] == 409
    for name in ("", "k_1", "k" * 128):
        assert order({"order": "import-key", "host": customer.host, "name": name, "pkcs8": pkcs8(2048)})[0] == 409
    made = order([
        {"order": "create-key", "host": customer.host, "name": "k", "bits": 2048},
        {"order": "set-key", "host": customer.host, "name": "k", "exp": 4_102_444_800, "key_ops": ["unwrapKey"]},
        {"order": "delete-key", "host": customer.host, "name": "k"},
        {"order": "recover-key", "host": customer.host, "name": "k"},
    ])
    key = customer.keys().get_key("k")
    assert made == (200, [{"kid": key.id}, None, None, None])
    assert key.properties.expires_on == datetime.datetime(2100, 1, 1, tzinfo=datetime.timezone.utc)
    assert key.key_operations == ["unwrapKey"]


@pytest.mark.parametrize(
    "fault",
    [
        {"host": "none.vault.azure.net"}, {"host": "elsewhere.example"}, {"host": LOGIN, "operation": "unwrap-key"},
        {"host": LOGIN, "operation": "challenge"}, {"operation": "token"}, {"times": 0}, {"probability": 1.5},
        {"probability": -0.5}, {"fault": {"kind": "status", "status": 99}}, {"fault": {"kind": "status", "status": 600}},
    ],
    ids=str,
)
def test_a_fault_that_no_request_can_meet_is_refused(customer, fault):
    order = {"order": "fault", "fault": {"host": customer.host, "fault": {"kind": "reset"}, **fault}}
    answer = requests.post(customer.emulator.control + "/orders", json=order, timeout=10)
    assert answer.status_code == 409, answer.text
    assert customer.emulator.faults() == []


def test_hosts_are_read_in_either_case(make_customer):
    customer = make_customer()
    lower, customer.host = customer.host, customer.host.upper()
    customer.at_vault("create-vault", directory=customer.directory)
    customer.imports()
    kid = customer.at_vault("create-key", name="k", bits=2048)["kid"]
    assert kid.startswith(f"https://{lower}/keys/k/")
    customer.sets(enabled=True)
    for order in ("delete-key", "recover-key"):
        customer.at_vault(order, name="k")
    customer.assign("reader")
    customer.unassign("reader")
    customer.policies("get")
    customer.at_vault("set-access-policies", access_policies=None)
    customer.at_vault("set-network", network="open")
    customer.at_vault("set-throttled", throttled=True)
    customer.window(other=1)
    customer.at_vault("move-vault", directory=customer.directory)
    customer.at_vault("set-vault-deleted", deleted=False)
    customer.at_vault("set-certificate-expired", expired=True)
    customer.fault("status", operation="get", status=503)
    customer.host = lower
    with pytest.raises(ServiceRequestError, match="certificate has expired"):
        customer.keys().get_key("k")
    customer.at_vault("set-certificate-expired", expired=False)
    assert refused(lambda: customer.keys().get_key("k"))[0] == 503
    customer.host = lower.upper()
    customer.at_vault("purge-vault")
    assert lower not in customer.emulator.hosts()

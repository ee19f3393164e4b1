"""The resource manager, as its SDKs meet it: endpoints are made, approved, used and deleted."""

import socket
import uuid

import pytest
import requests
from azure.core.exceptions import ClientAuthenticationError, HttpResponseError, ResourceNotFoundError
from azure.mgmt.keyvault import KeyVaultManagementClient
from azure.mgmt.network import NetworkManagementClient
from judge import SCOPE, Customer, parts

CLOUDS = {
    "vault.azure.net": ("management.azure.com", "login.microsoftonline.com"),
    "vault.azure.cn": ("management.chinacloudapi.cn", "login.chinacloudapi.cn"),
    "vault.usgovcloudapi.net": ("management.usgovcloudapi.net", "login.microsoftonline.us"),
}
VAULTS = "5ab50000-0000-4000-8000-000000000001"


class Platform(Customer):
    """Whoever asks for endpoints: with a subscription, a network, and the right to use them."""

    def __init__(self, emulator):
        super().__init__(emulator)
        self.subscription = str(uuid.uuid4())
        group = {"subscription": self.subscription, "resource_group": "ours"}
        self.order("create-subscription", subscription=self.subscription, directory=self.directory)
        network = {"virtual_network": "vn", "subnet": "endpoints", "location": "westeurope"}
        self.subnet = self.order("create-network", **group, **network)["subnet"]
        self.order("set-network-contributor", **group, principal=self.oid, holds=True)

    def endpoints(self, suffix="vault.azure.net"):
        return managed(NetworkManagementClient, self, self.subscription, suffix).private_endpoints

    def wish(self, vault):
        connection = {"privateLinkServiceId": resource_id(vault), "groupIds": ["vault"], "requestMessage": "please"}
        return {
            "location": "westeurope",
            "properties": {
                "subnet": {"id": self.subnet},
                "manualPrivateLinkServiceConnections": [{"name": "byok", "properties": connection}],
            },
        }

    def makes(self, name, vault, suffix="vault.azure.net"):
        return self.endpoints(suffix).begin_create_or_update("ours", name, self.wish(vault)).result()


def managed(client, who, subscription, suffix="vault.azure.net"):
    """A management client of a cloud, as its documentation says to make one. It polls without waiting."""
    manager, login = CLOUDS[suffix]
    return client(
        who.credential(authority=f"https://{login}"),
        subscription,
        base_url=f"https://{manager}",
        credential_scopes=[f"https://{manager}/.default"],
        polling_interval=0,
        retry_total=0,
    )


def vaults(customer, suffix="vault.azure.net"):
    return managed(KeyVaultManagementClient, customer, VAULTS, suffix)


def resource_id(customer):
    return f"/subscriptions/{VAULTS}/resourceGroups/customer/providers/Microsoft.KeyVault/vaults/{customer.name}"


def refused(act):
    """The refusal's status and code, as the SDK carries it."""
    with pytest.raises(HttpResponseError) as caught:
        act()
    answer = caught.value.response
    assert uuid.UUID(answer.headers["x-ms-request-id"]) and uuid.UUID(answer.headers["x-ms-correlation-request-id"])
    return answer.status_code, parts(answer)[0]


def state(endpoint):
    [connection] = endpoint.manual_private_link_service_connections
    return connection.private_link_service_connection_state.status


@pytest.fixture
def platform(emulator):
    emulator.order("set-pace", pace={"polls": 2, "retry_after": 0})
    yield Platform(emulator)
    emulator.order("set-pace", pace={})


@pytest.mark.parametrize("suffix", CLOUDS)
def test_an_endpoint_lives_from_its_making_to_its_deletion(platform, make_customer, emulator, suffix):
    customer = make_customer(suffix=suffix, roles=("crypto-officer", "vault-contributor"))
    manager, _ = CLOUDS[suffix]
    before = emulator.count(manager, "poll-operation")
    made = platform.makes("pe", customer, suffix)
    assert (made.provisioning_state, state(made)) == ("Succeeded", "Pending")
    assert emulator.count(manager, "poll-operation") - before == 3
    [dns] = made.custom_dns_configs
    assert dns.fqdn == customer.host and dns.ip_addresses[0].startswith("127.77.")

    [connection] = vaults(customer, suffix).vaults.get("customer", customer.name).properties.private_endpoint_connections
    assert connection.private_endpoint.id == made.id
    assert connection.private_link_service_connection_state.status == "Pending"
    name = connection.id.rsplit("/", 1)[-1]
    approval = {"properties": {"privateLinkServiceConnectionState": {"status": "Approved", "description": "yes"}}}
    decided = vaults(customer, suffix).private_endpoint_connections.put("customer", customer.name, name, approval)
    assert decided.private_link_service_connection_state.status == "Approved"
    assert state(platform.endpoints(suffix).get("ours", "pe")) == "Approved"
    assert [one.name for one in platform.endpoints(suffix).list("ours")] == ["pe"]

    platform.endpoints(suffix).begin_delete("ours", "pe").result()
    with pytest.raises(ResourceNotFoundError):
        platform.endpoints(suffix).get("ours", "pe")
    assert list(vaults(customer, suffix).private_endpoint_connections.list_by_resource("customer", customer.name)) == []
    platform.endpoints(suffix).begin_delete("ours", "pe").result()


def test_a_removed_connection_leaves_the_endpoint_disconnected(platform, make_customer):
    customer = make_customer(roles=("vault-contributor",))
    platform.makes("pe", customer)
    connections = vaults(customer).private_endpoint_connections
    [connection] = connections.list_by_resource("customer", customer.name)
    connections.begin_delete("customer", customer.name, connection.name, polling_interval=0).result()
    assert state(platform.endpoints().get("ours", "pe")) == "Disconnected"


def test_the_keys_sdk_reaches_a_closed_vault_through_an_approved_endpoint(platform, customer, monkeypatch):
    customer.imports("k")
    [address] = platform.makes("pe", customer).custom_dns_configs[0].ip_addresses
    customer.at_vault("decide-connection", connection="pe", decision="approve")
    customer.at_vault("set-network", network="closed")
    with pytest.raises(HttpResponseError) as caught:
        customer.keys().get_key("k")
    assert parts(caught.value.response)[1] == "ForbiddenByConnection"

    resolve, port = socket.getaddrinfo, customer.emulator.https[1]

    def private(host, *args, **kwargs):
        return resolve(address, port, *args[1:], **kwargs) if host == customer.host else resolve(host, *args, **kwargs)

    monkeypatch.setattr(socket, "getaddrinfo", private)
    assert customer.keys().get_key("k").name == "k"
    health = requests.get(f"https://{customer.host}/healthstatus", timeout=20)
    assert health.headers["x-ms-keyvault-network-info"].startswith("conn_type=PrivateLink;")
    customer.at_vault("decide-connection", connection="pe", decision="reject")
    with pytest.raises(requests.exceptions.ConnectionError):
        requests.get(f"https://{customer.host}/healthstatus", timeout=20)


def test_a_vault_is_read_as_it_is_set_up(make_customer):
    customer = make_customer(roles=("azure-reader",), purge_protection=True, recoverable_days=30)
    vault = vaults(customer).vaults.get("customer", customer.name)
    properties = vault.properties
    assert vault.id == resource_id(customer) and vault.location == "westeurope"
    assert properties.tenant_id == customer.directory and properties.vault_uri == f"https://{customer.host}/"
    assert properties.enable_rbac_authorization and properties.enable_purge_protection
    assert properties.soft_delete_retention_in_days == 30 and properties.public_network_access == "Enabled"
    customer.policies("get", "wrapKey", "unwrapKey")
    properties = vaults(customer).vaults.get("customer", customer.name).properties
    assert not properties.enable_rbac_authorization
    [policy] = properties.access_policies
    assert policy.object_id == customer.oid and policy.permissions.keys_property == ["get", "unwrapKey", "wrapKey"]


def test_refusals_are_carried_by_the_sdk(platform, make_customer, emulator):
    customer = make_customer(roles=())
    assert refused(lambda: vaults(customer).vaults.get("customer", customer.name)) == (403, "AuthorizationFailed")
    foreign = managed(KeyVaultManagementClient, platform, VAULTS)
    with pytest.raises(ClientAuthenticationError) as caught:
        foreign.vaults.get("customer", customer.name)
    assert parts(caught.value.response)[0] == "InvalidAuthenticationTokenTenant"
    platform.makes("pe", customer)
    other = make_customer()
    assert refused(lambda: platform.makes("pe", other)) == (400, "CannotChangePrivateLinkConnectionOnPrivateEndpoint")
    emulator.fault("management.azure.com", {"kind": "throttle", "retry_after": 9}, operation="get-private-endpoint", times=1)
    throttled = lambda: platform.endpoints().get("ours", "pe")  # noqa: E731
    assert refused(throttled) == (429, "SubscriptionRequestsThrottled")


def test_an_endpoint_that_fails_is_told_by_its_operation(platform, customer, emulator):
    emulator.order("set-pace", pace={"polls": 1, "fails": True, "retry_after": 0})
    with pytest.raises(HttpResponseError) as caught:
        platform.makes("pe", customer)
    assert caught.value.error.code == "InternalServerError"
    assert platform.endpoints().get("ours", "pe").provisioning_state == "Failed"


def test_a_token_for_vaults_is_none_for_their_manager(customer):
    url = f"https://management.azure.com{resource_id(customer)}?api-version=2026-02-01"
    answer = requests.get(url, headers=customer.bearer(SCOPE), timeout=20)
    assert (answer.status_code, parts(answer)[0]) == (401, "InvalidAuthenticationTokenAudience")

"""Who may: the challenge, tokens, roles, access policies and networks, as Key Vault checks them."""

import uuid

import pytest
from azure.core.exceptions import ClientAuthenticationError
from azure.keyvault.keys import KeyRotationPolicy
from judge import SECRET, WRAP, b64, every_use, jwk, parts, refused

MISSING = "AKV10000: Request is missing a Bearer or PoP token."
LOGIN = {
    "vault.azure.net": "login.microsoftonline.com",
    "vault.azure.cn": "login.chinacloudapi.cn",
    "vault.usgovcloudapi.net": "login.microsoftonline.us",
}


@pytest.mark.parametrize("suffix", LOGIN)
def test_the_challenge(make_customer, suffix):
    customer = make_customer(suffix=suffix)
    client_request = str(uuid.uuid4())
    answer = customer.ask("GET", "/keys/k", headers={"x-ms-client-request-id": client_request})
    assert (answer.status_code, *parts(answer)) == (401, "Unauthorized", None, MISSING)
    headers = answer.headers
    assert headers["www-authenticate"] == (
        f'Bearer authorization="https://{LOGIN[suffix]}/{customer.directory}", resource="https://{suffix}"'
    )
    assert headers["content-type"] == "application/json; charset=utf-8"
    assert headers["cache-control"] == "no-cache"
    assert headers["x-ms-keyvault-region"] == "westeurope"
    assert uuid.UUID(headers["x-ms-request-id"])
    assert headers["x-ms-client-request-id"] == client_request
    assert headers["x-ms-keyvault-service-version"] == "1.9.1720.1"
    assert headers["x-ms-keyvault-network-info"] == "conn_type=Ipv4;addr=127.0.0.1;act_addr_fam=InterNetwork;"


def test_an_hsms_challenge_has_no_body(make_customer):
    customer = make_customer(suffix="managedhsm.azure.net")
    answer = customer.ask("GET", "/keys/k")
    assert (answer.status_code, answer.content) == (401, b"")
    assert answer.headers["www-authenticate"] == (
        f'Bearer authorization="https://login.microsoftonline.com/{customer.directory}", '
        'resource="https://managedhsm.azure.net"'
    )


def test_an_hsm_refuses_a_token_without_a_word(make_customer):
    customer, other = (make_customer(suffix="managedhsm.azure.net") for _ in range(2))
    answer = customer.ask("GET", "/keys/k", headers=other.bearer("https://managedhsm.azure.net/.default"))
    assert (answer.status_code, answer.content) == (401, b"")
    assert customer.directory in answer.headers["www-authenticate"]


def test_every_operation_is_challenged(customer):
    kid = customer.imports()
    path = kid.split(customer.host)[1]
    uses = [("POST", f"{path}/{use}") for use in ("encrypt", "decrypt", "wrapkey", "unwrapkey", "sign", "verify")]
    others = [
        ("GET", path), ("PATCH", path), ("GET", "/keys"), ("GET", "/keys/k/versions"), ("PUT", "/keys/k"),
        ("POST", "/keys/k/create"), ("POST", "/keys/k/rotate"), ("DELETE", "/keys/k"), ("GET", "/keys/k/rotationpolicy"),
        ("PUT", "/keys/k/rotationpolicy"), ("GET", "/deletedkeys"), ("GET", "/deletedkeys/k"),
        ("POST", "/deletedkeys/k/recover"), ("DELETE", "/deletedkeys/k"),
    ]
    for method, asked in uses + others:
        assert customer.ask(method, asked).status_code == 401, (method, asked)
    assert customer.count("challenge") == len(uses + others)
    assert {call["operation"] for call in customer.emulator.calls() if call["host"] == customer.host} == {"challenge"}


def test_health_status_needs_no_token(customer):
    answer = customer.ask("GET", "/healthstatus")
    assert answer.status_code == 200
    assert "addr=127.0.0.1;" in answer.headers["x-ms-keyvault-network-info"]


def test_wrong_audience(customer):
    answer = customer.ask("GET", "/keys/k", headers=customer.bearer("https://management.azure.com//.default"))
    assert (answer.status_code, *parts(answer)) == (401, "Unauthorized", None, (
        "AKV10022: Invalid audience. Expected https://vault.azure.net, found: https://management.azure.com/."
    ))


def wrong_issuer(ours, theirs):
    return (
        f"AKV10032: Invalid issuer. Expected one of https://sts.windows.net/{ours}/, "
        f"found https://sts.windows.net/{theirs}/."
    )


def test_wrong_issuer(make_customer):
    customer, other = make_customer(), make_customer()
    answer = customer.ask("GET", "/keys/k", headers=other.bearer())
    message = wrong_issuer(customer.directory, other.directory)
    assert (answer.status_code, *parts(answer)) == (401, "Unauthorized", None, message)
    assert other.directory not in answer.headers["www-authenticate"]


def test_a_vault_that_moved_to_another_directory(customer, monkeypatch):
    customer.imports()
    keys = customer.keys()
    assert keys.get_key("k")
    elsewhere = str(uuid.uuid4())
    customer.at_vault("move-vault", directory=elsewhere)
    with pytest.raises(ClientAuthenticationError, match="not configured to acquire tokens for tenant " + elsewhere):
        customer.keys().get_key("k")
    monkeypatch.setenv("AZURE_IDENTITY_DISABLE_MULTITENANTAUTH", "true")
    message = wrong_issuer(elsewhere, customer.directory)
    assert refused(lambda: keys.get_key("k")) == (401, "Unauthorized", None, message)


def test_a_token_whose_signing_key_is_unknown(customer):
    customer.imports()
    headers = customer.bearer()
    customer.order("rotate-signing-key", forget_old=False)
    assert customer.ask("GET", "/keys/k", headers=headers).status_code == 200
    customer.order("rotate-signing-key", forget_old=True)
    answer = customer.ask("GET", "/keys/k", headers=headers)
    message = "AKV10046: Unable to resolve the key used for signature validation."
    assert (answer.status_code, *parts(answer)) == (401, "Unauthorized", None, message)
    assert customer.ask("GET", "/keys/k", headers=customer.bearer()).status_code == 200


@pytest.mark.parametrize(
    "times, code", [({"expires": -1}, "AKV10012: "), ({"not_before": 3000}, "AKV10013: ")], ids=["over", "not begun"]
)
def test_a_token_whose_time_is_not_now(customer, times, code):
    kid = customer.imports()
    customer.token_times(**times)
    headers = customer.bearer()
    answer = customer.ask("GET", "/keys/k", headers=headers)
    assert (answer.status_code, *parts(answer)[:2]) == (401, "Unauthorized", None)
    assert parts(answer)[2].startswith(code)
    assert customer.directory in answer.headers["www-authenticate"]
    customer.token_times()
    assert customer.ask("GET", "/keys/k", headers=headers).status_code == 401, "what was issued stays as it is"
    assert customer.keys().get_key("k").id == kid


def test_a_token_that_was_tampered_with(customer):
    customer.imports()
    head, claims, signature = customer.bearer()["Authorization"].split(".")
    forged = b64(b'{"aud":"https://vault.azure.net"}')
    for token in (f"{head}.{forged}.{signature}", f"{head}.{claims}.", "Bearer nonsense", "Basic " + head):
        answer = customer.ask("GET", "/keys/k", headers={"Authorization": token})
        assert (answer.status_code, parts(answer)[0]) == (401, "Unauthorized"), token


def everything(customer, client, blob):
    """Each operation: its access-policy permission, its data action, the key that it names, and how it is asked for."""
    keys = customer.keys()
    uses = every_use(client, blob)
    actions = {"wrapKey": "wrap", "unwrapKey": "unwrap"}
    return [
        ("get", "keys/read", "k", lambda: keys.get_key("k")),
        ("get", "keys/read", "gone", lambda: keys.get_deleted_key("gone")),
        ("list", "keys/read", None, lambda: list(keys.list_properties_of_keys())),
        ("list", "keys/read", "k", lambda: list(keys.list_properties_of_key_versions("k"))),
        ("list", "keys/read", None, lambda: list(keys.list_deleted_keys())),
        ("getrotationpolicy", "keyrotationpolicies/read", "k", lambda: keys.get_key_rotation_policy("k")),
        ("setrotationpolicy", "keyrotationpolicies/write", "k",
         lambda: keys.update_key_rotation_policy("k", KeyRotationPolicy())),
        ("update", "keys/update/action", "k", lambda: keys.update_key_properties("k", tags={})),
        ("import", "keys/import/action", "other", lambda: keys.import_key("other", jwk())),
        ("create", "keys/create/action", "other", lambda: keys.create_rsa_key("other", size=2048)),
        ("rotate", "keys/rotate/action", "k", lambda: keys.rotate_key("k")),
        *((name, f"keys/{actions.get(name, name)}/action", "k", use) for name, use in uses.items()),
        ("backup", "keys/backup/action", "k", lambda: keys.backup_key("k")),
        ("delete", "keys/delete", "k", lambda: keys.begin_delete_key("k").wait()),
        ("recover", "keys/recover/action", "k", lambda: keys.begin_recover_deleted_key("k").wait()),
        ("purge", "keys/purge/action", "k", lambda: purge(customer, keys)),
    ]


def purge(customer, keys):
    customer.at_vault("delete-key", name="k")
    keys.purge_deleted_key("k")


ALL = (
    "get", "list", "getrotationpolicy", "setrotationpolicy", "update", "import", "create", "rotate", "encrypt",
    "decrypt", "wrapKey", "unwrapKey", "sign", "verify", "backup", "delete", "recover", "purge",
)
ROLES = {
    "crypto-officer": ALL,
    "administrator": ALL,
    "crypto-user": ("get", "list", "update", "encrypt", "decrypt", "wrapKey", "unwrapKey", "sign", "verify", "backup"),
    # Whoever may read the key may do what its public half can do.
    "reader": ("get", "list", "getrotationpolicy", "encrypt", "wrapKey", "verify"),
    "crypto-service-encryption-user": ("get", "list", "wrapKey", "unwrapKey", "encrypt", "verify"),
    "secrets-user": (),
    "secrets-officer": (),
    "vault-contributor": (),
    "azure-reader": (),
    None: (),
}


@pytest.fixture
def wrapped(make_customer):
    """A customer with a key and a deleted one, a client of that key, and something that it wrapped."""
    customer = make_customer()
    customer.imports("gone")
    customer.at_vault("delete-key", name="gone")
    client = customer.remote(customer.imports())
    return customer, client, client.wrap_key(WRAP, SECRET).encrypted_key


def by_rbac(customer, action, key):
    return (403, "Forbidden", "ForbiddenByRbac", (
        "Caller is not authorized to perform action on resource.\r\nIf role assignments, deny assignments or role "
        "definitions were changed recently, please observe propagation time.\r\n"
        f"Caller: appid={customer.client_id};oid={customer.oid};iss=https://sts.windows.net/{customer.directory}/\r\n"
        f"Action: 'Microsoft.KeyVault/vaults/{action}'\r\n"
        "Resource: '/subscriptions/5ab50000-0000-4000-8000-000000000001/resourcegroups/customer/providers/"
        f"microsoft.keyvault/vaults/{customer.name}{f'/keys/{key}' if key else ''}'\r\n"
        "Assignment: (not found)\r\nDenyAssignmentId: null\r\nDecisionReason: 'DeniedWithNoValidRBAC' \r\n"
        f"Vault: {customer.name};location=westeurope\r\n"
    ))


@pytest.mark.parametrize("role", ROLES)
def test_what_a_role_may(wrapped, role):
    customer, client, blob = wrapped
    customer.unassign("crypto-officer")
    if role:
        customer.assign(role)
    for permission, action, key, act in everything(customer, client, blob):
        if permission in ROLES[role]:
            act()
        else:
            assert refused(act) == by_rbac(customer, action, key), permission


def test_roles_add_up_and_go_with_their_assignment(wrapped):
    customer, client, blob = wrapped
    customer.unassign("crypto-officer")
    for role in ("reader", "crypto-user"):
        customer.assign(role)
    assert client.unwrap_key(WRAP, blob).key == SECRET
    assert customer.keys().get_key_rotation_policy("k")
    customer.unassign("crypto-user")
    assert refused(lambda: client.unwrap_key(WRAP, blob)) == by_rbac(customer, "keys/unwrap/action", "k")
    assert customer.keys().get_key_rotation_policy("k")


def test_a_role_on_one_key_holds_for_that_key(wrapped):
    customer, client, blob = wrapped
    customer.unassign("crypto-officer")
    customer.assign("crypto-user", scope={"key": "k"})
    customer.imports("other")
    assert client.unwrap_key(WRAP, blob).key == SECRET
    assert refused(lambda: customer.keys().get_key("other")) == by_rbac(customer, "keys/read", "other")


def test_an_unknown_key_is_not_told_to_a_stranger(make_customer):
    customer = make_customer(roles=())
    assert refused(lambda: customer.keys().get_key("none")) == by_rbac(customer, "keys/read", "none")


def by_policy(customer, permission):
    return (
        f"The user, group or application 'appid={customer.client_id};oid={customer.oid};numgroups=0;"
        f"iss=https://sts.windows.net/{customer.directory}/' does not have keys {permission} permission on key vault "
        f"'{customer.name};location=westeurope'."
    )


def test_access_policies(wrapped):
    customer, client, blob = wrapped
    customer.policies()
    for permission, _, _, act in everything(customer, client, blob):
        status, code, inner, message = refused(act)
        assert (status, code, inner) == (403, "Forbidden", "ForbiddenByPolicy")
        assert message.startswith(by_policy(customer, permission))
    customer.at_vault("recover-key", name="k")
    for permission, _, _, act in everything(customer, client, blob):
        customer.policies(permission)
        act()
    customer.at_vault("set-access-policies", access_policies=None)
    assert refused(lambda: customer.keys().get_key("k"))[0] == 404, "roles count again, and the key was purged"


def test_roles_mean_nothing_in_an_access_policy_vault(wrapped):
    customer, client, blob = wrapped
    customer.policies("get", "wrapKey")
    assert customer.keys().get_key("k")
    assert refused(lambda: client.unwrap_key(WRAP, blob))[2] == "ForbiddenByPolicy"


def caller(customer):
    return (
        f"Caller: appid={customer.client_id};oid={customer.oid};iss=https://sts.windows.net/{customer.directory}/\r\n"
        f"Vault: {customer.name};location=westeurope"
    )


def test_firewall(wrapped):
    customer, client, blob = wrapped
    customer.at_vault("set-network", network={"firewall": ["10.1.2.3"]})
    assert refused(lambda: client.unwrap_key(WRAP, blob)) == (403, "Forbidden", "ForbiddenByFirewall", (
        "Client address is not authorized and caller is not a trusted service.\r\nClient address: 127.0.0.1\r\n"
        + caller(customer)
    ))
    customer.at_vault("set-network", network={"firewall": ["10.1.2.3", "127.0.0.1"]})
    assert client.unwrap_key(WRAP, blob).key == SECRET


def test_closed_network(wrapped):
    customer, client, blob = wrapped
    customer.at_vault("set-network", network="closed")
    assert refused(lambda: client.unwrap_key(WRAP, blob)) == (403, "Forbidden", "ForbiddenByConnection", (
        "Public network access is disabled and request is not from a trusted service nor via an approved private "
        "link.\r\n" + caller(customer)
    ))
    customer.at_vault("set-network", network="open")
    assert client.unwrap_key(WRAP, blob).key == SECRET


@pytest.mark.parametrize("network", ["closed", {"firewall": []}])
def test_the_network_is_only_told_to_callers_with_a_valid_token(make_customer, network):
    customer, other = make_customer(network=network), make_customer()
    assert customer.ask("GET", "/keys/k").status_code == 401
    assert customer.ask("GET", "/keys/k", headers=other.bearer()).status_code == 401
    assert customer.ask("GET", "/keys/k", headers=customer.bearer()).status_code == 403

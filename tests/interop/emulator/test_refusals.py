"""What Key Vault refuses about keys, row by row."""

import datetime

import pytest
import requests
from azure.core.exceptions import (
    ResourceExistsError, ResourceNotFoundError, ServiceRequestError, ServiceResponseError,
)
from azure.keyvault.keys import KeyRotationPolicy
from judge import ENCRYPT, SECRET, WRAP, b64, every_use, jwk, not_found, parts, refused, wire_jwk

USES = ("encrypt", "decrypt", "wrapKey", "unwrapKey", "sign", "verify")
READING = ("decrypt", "unwrapKey", "verify")
PAST = datetime.datetime(2020, 1, 1, tzinfo=datetime.timezone.utc)
FUTURE = datetime.datetime(2100, 1, 1, tzinfo=datetime.timezone.utc)
NO_VERSION = "0" * 32


@pytest.fixture
def wrapped(customer):
    """A customer with a key, a client of that key, and something that it wrapped."""
    client = customer.remote(customer.imports())
    return customer, client, client.wrap_key(WRAP, SECRET).encrypted_key


def test_unknown_key(customer):
    keys = customer.keys()
    client = customer.remote(f"https://{customer.host}/keys/none")
    acts = {
        "get": lambda: keys.get_key("none"),
        "update": lambda: keys.update_key_properties("none", enabled=False),
        "delete": lambda: keys.begin_delete_key("none"),
        "rotate": lambda: keys.rotate_key("none"),
        "versions": lambda: list(keys.list_properties_of_key_versions("none")),
        "policy": lambda: keys.get_key_rotation_policy("none"),
        "set policy": lambda: keys.update_key_rotation_policy("none", KeyRotationPolicy()),
        "get deleted": lambda: keys.get_deleted_key("none"),
        "purge": lambda: keys.purge_deleted_key("none"),
        **every_use(client, bytes(256)),
    }
    for name, act in acts.items():
        assert refused(act) == not_found("none"), name


def test_unknown_version(customer):
    kid = customer.imports()
    keys = customer.keys()
    client = customer.remote(kid.rsplit("/", 1)[0] + "/" + NO_VERSION)
    acts = {
        "get": lambda: keys.get_key("k", NO_VERSION),
        "update": lambda: keys.update_key_properties("k", NO_VERSION, enabled=False),
        **every_use(client, bytes(256)),
    }
    for name, act in acts.items():
        assert refused(act) == not_found("k/" + NO_VERSION), name


def test_soft_deleted_key(wrapped):
    customer, client, blob = wrapped
    keys = customer.keys()
    version = client.key_id.rsplit("/", 1)[1]
    keys.begin_delete_key("k").wait()
    assert refused(lambda: keys.get_key("k")) == not_found("k")
    for name, use in every_use(client, blob).items():
        assert refused(use) == not_found("k/" + version), name
    for act in (keys.rotate_key, keys.get_key_rotation_policy, keys.update_key_properties, keys.begin_delete_key):
        assert refused(lambda: act("k")) == not_found("k")
    keys.begin_recover_deleted_key("k").wait()
    assert client.unwrap_key(WRAP, blob).key == SECRET


@pytest.mark.parametrize("make", ["create", "import"])
def test_a_deleted_keys_name_is_taken(customer, make):
    customer.imports()
    keys = customer.keys()
    keys.begin_delete_key("k").wait()
    with pytest.raises(ResourceExistsError) as caught:
        keys.create_rsa_key("k", size=2048) if make == "create" else keys.import_key("k", jwk())
    code, inner, message = parts(caught.value.response)
    assert (caught.value.status_code, code, inner) == (409, "Conflict", "ObjectIsDeletedButRecoverable")
    assert "deleted but recoverable" in message


def test_purge_protection(make_customer):
    customer = make_customer(purge_protection=True)
    customer.imports()
    keys = customer.keys()
    keys.begin_delete_key("k").wait()
    assert refused(lambda: keys.purge_deleted_key("k"))[:2] == (403, "Forbidden")
    assert keys.get_deleted_key("k").name == "k"


def test_disabled_key(wrapped):
    customer, client, blob = wrapped
    keys = customer.keys()
    keys.update_key_properties("k", enabled=False)
    for name, use in every_use(client, blob).items():
        message = f"Operation {name} is not allowed on a disabled key."
        assert refused(use) == (403, "Forbidden", "KeyDisabled", message)
    assert keys.get_key("k").properties.enabled is False, "it can still be read"
    keys.update_key_properties("k", enabled=True)
    assert client.unwrap_key(WRAP, blob).key == SECRET


@pytest.mark.parametrize("window", [{"expires_on": PAST}, {"not_before": FUTURE}], ids=["expired", "not yet valid"])
def test_an_expired_or_too_young_key_reads_and_does_not_write(wrapped, window):
    customer, client, blob = wrapped
    blob_too = client.encrypt(ENCRYPT, SECRET).ciphertext
    customer.keys().update_key_properties("k", **window)
    for name, use in every_use(client, blob).items():
        if name in READING:
            use()
        else:
            assert refused(use)[:3] == (403, "Forbidden", None), name
    assert client.unwrap_key(WRAP, blob).key == SECRET
    assert client.decrypt(ENCRYPT, blob_too).plaintext == SECRET


@pytest.mark.parametrize("left_out", USES)
def test_an_operation_left_out_of_key_ops(wrapped, left_out):
    customer, client, blob = wrapped
    customer.keys().update_key_properties("k", key_operations=[use for use in USES if use != left_out])
    for name, use in every_use(client, blob).items():
        if name == left_out:
            message = f"Operation {name} is not permitted on this key."
            assert refused(use) == (403, "Forbidden", "KeyOperationForbidden", message)
        else:
            use()


@pytest.mark.parametrize(
    "spoil", [lambda blob: bytes([blob[0] ^ 1]) + blob[1:], lambda blob: blob[:-1], lambda blob: b""],
    ids=["a flipped bit", "too short", "empty"],
)
def test_bad_ciphertext(wrapped, spoil):
    _, client, blob = wrapped
    expected = (400, "BadParameter", None, "Error occurred while decoding OAEP padding.")
    assert refused(lambda: client.unwrap_key(WRAP, spoil(blob))) == expected
    assert refused(lambda: client.decrypt(ENCRYPT, spoil(blob))) == expected


@pytest.mark.parametrize("use", ["encrypt", "decrypt", "wrapkey", "unwrapkey", "sign", "verify"])
def test_bad_value(customer, use):
    customer.imports()
    headers = customer.bearer()
    for value in ("+/==", "QQ==", "n o", 7, None):
        body = {"alg": "RS256" if use in ("sign", "verify") else "RSA-OAEP-256", "digest": b64(SECRET), "value": value}
        answer = customer.ask("POST", f"/keys/k//{use}", headers=headers, json=body)
        message = "Content of 'value' is not base64url.\r\nProperty 'value' is required.\r\n"
        assert (answer.status_code, *parts(answer)) == (400, "BadParameter", None, message)
    for body in (b"", b"{", b'{"alg":"none","value":"AAAA","digest":"AAAA"}'):
        answer = customer.ask("POST", f"/keys/k//{use}", headers=headers, data=body)
        assert (answer.status_code, parts(answer)[:2]) == (400, ("BadParameter", None))


def test_a_digest_of_the_wrong_length_is_not_signed(customer):
    client = customer.remote(customer.imports())
    assert refused(lambda: client.sign("RS256", bytes(31)))[:2] == (400, "BadParameter")


@pytest.mark.parametrize("version, says", [(None, "must be specified"), ("1.0", "(1.0) is not recognized")])
def test_api_version(customer, version, says):
    customer.imports()
    answer = customer.ask("GET", "/keys/k", api_version=version, headers=customer.bearer())
    assert (answer.status_code, answer.json()["error"]["code"]) == (400, "BadParameter")
    assert says in answer.json()["error"]["message"]


@pytest.mark.parametrize("name", ["", "k_1", "k.1", "k%2Fx", "k" * 128])
def test_a_name_that_no_key_can_have(customer, name):
    headers = customer.bearer()
    for method, path, body in (
        ("POST", f"/keys/{name}/create", {"kty": "RSA"}), ("PUT", f"/keys/{name}", {"key": wire_jwk()}),
        ("GET", f"/keys/{name}", None), ("DELETE", f"/deletedkeys/{name}", None),
    ):
        answer = customer.ask(method, path, headers=headers, json=body)
        assert (answer.status_code, parts(answer)[0]) == (400, "BadParameter"), (method, path)
    assert list(customer.keys().list_properties_of_keys()) == []


NO_OBJECTS = (b"[]", b'["RSA"]', b'"text"', b"7", b"null", b"true")


@pytest.mark.parametrize("body", NO_OBJECTS)
def test_a_body_that_is_no_object(customer, body):
    path = customer.imports().split(customer.host)[1]
    headers = customer.bearer()
    for method, asked in (
        ("POST", "/keys/new/create"), ("PUT", "/keys/new"), ("PATCH", path), ("PUT", "/keys/k/rotationpolicy"),
        *(("POST", f"{path}/{use.lower()}") for use in USES),
    ):
        answer = customer.ask(method, asked, headers=headers, data=body)
        assert (answer.status_code, parts(answer)[:2]) == (400, ("BadParameter", None)), (method, asked)
    assert [key.name for key in customer.keys().list_properties_of_keys()] == ["k"]
    # These have no body, and look at none.
    assert customer.ask("POST", "/keys/k/rotate", headers=headers, data=body).status_code == 200
    customer.at_vault("delete-key", name="k")
    assert customer.ask("POST", "/deletedkeys/k/recover", headers=headers, data=body).status_code == 200


@pytest.mark.parametrize(
    "member",
    [
        {"key": 5}, {"key": []}, {"key": "text"}, {"attributes": []}, {"attributes": 5}, {"attributes": {"exp": "soon"}},
        {"tags": []}, {"tags": {"a": 1}}, {"key_ops": "wrapKey"}, {"key_size": "2048"}, {"Hsm": "yes"},
    ],
    ids=str,
)
def test_a_member_of_the_wrong_shape(customer, member):
    path = customer.imports().split(customer.host)[1]
    headers, body = customer.bearer(), {"kty": "RSA", "key": wire_jwk(), **member}
    for method, asked in (("POST", "/keys/new/create"), ("PUT", "/keys/new"), ("PATCH", path)):
        answer = customer.ask(method, asked, headers=headers, json=body)
        assert (answer.status_code, parts(answer)[:2]) == (400, ("BadParameter", None)), (method, asked)


@pytest.mark.parametrize(
    "suffix, body",
    [
        ("vault.azure.net", {"kty": "RSA", "key_size": 1024}),
        ("vault.azure.net", {"kty": "RSA", "key_size": 2049}),
        ("vault.azure.net", {"kty": "oct-HSM"}),
        ("vault.azure.net", {}),
        ("managedhsm.azure.net", {"kty": "RSA"}),
    ],
)
def test_a_key_that_cannot_be_made(make_customer, suffix, body):
    customer = make_customer(suffix=suffix)
    headers = customer.bearer(f"https://{suffix}/.default")
    answer = customer.ask("POST", "/keys/k/create", headers=headers, json=body)
    assert (answer.status_code, answer.json()["error"]["code"]) == (400, "BadParameter")


def test_an_import_that_is_no_private_key(customer):
    headers = customer.bearer()
    for key in ({"kty": "RSA", "n": b64(bytes(256)), "e": "AQAB"}, {**wire_jwk(), "d": 5}, {**wire_jwk(), "key_ops": 5}):
        answer = customer.ask("PUT", "/keys/k", headers=headers, json={"key": key})
        assert (answer.status_code, answer.json()["error"]["code"]) == (400, "BadParameter")


@pytest.mark.parametrize("path", ["/secrets/s", "/certificates/c", "/keys/k/v/release", "/"])
def test_nothing_but_keys_is_there(customer, path):
    customer.imports()
    anonymous = customer.ask("GET", path)
    assert (anonymous.status_code, parts(anonymous)[0]) == (401, "Unauthorized")
    method = "POST" if path.endswith("release") else "GET"
    assert customer.ask(method, path, headers=customer.bearer()).status_code == 404


def test_a_soft_deleted_vault_resolves_and_does_not_answer(wrapped):
    customer, client, blob = wrapped
    customer.at_vault("set-vault-deleted", deleted=True)
    with pytest.raises((ServiceRequestError, ServiceResponseError)):
        client.unwrap_key(WRAP, blob)
    assert customer.host in customer.emulator.hosts()
    unanswered = {(c["operation"], c["status"]): c["count"] for c in customer.emulator.calls() if c["host"] == customer.host}
    assert unanswered[("unwrap-key", 0)] == 1
    customer.at_vault("set-vault-deleted", deleted=False)
    assert client.unwrap_key(WRAP, blob).key == SECRET


def test_a_purged_vault_does_not_resolve(wrapped):
    customer, _, _ = wrapped
    customer.at_vault("purge-vault")
    assert customer.host not in customer.emulator.hosts()
    with pytest.raises(ServiceRequestError, match="(?i)failed to resolve|name or service not known"):
        customer.keys().get_key("k")
    with pytest.raises(requests.ConnectionError):
        customer.ask("GET", "/keys/k")
    customer.at_vault("create-vault", directory=customer.directory)
    customer.assign("crypto-officer")
    with pytest.raises(ResourceNotFoundError):
        customer.keys().get_key("k")

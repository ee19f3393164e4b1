"""Every operation of the keys data plane, by the official SDK."""

import datetime
import hashlib

import pytest
from azure.core.exceptions import ResourceNotFoundError
from azure.keyvault.keys import (
    KeyRotationLifetimeAction, KeyRotationPolicy, KeyRotationPolicyAction, KeyType, KeyVaultKeyIdentifier,
)
from azure.keyvault.keys.crypto import EncryptionAlgorithm, KeyWrapAlgorithm, SignatureAlgorithm
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import padding
from judge import SECRET, WRAP, b64, jwk, private_key, raw, refused

FROM = datetime.datetime(2020, 1, 1, tzinfo=datetime.timezone.utc)
UNTIL = datetime.datetime(2100, 1, 1, tzinfo=datetime.timezone.utc)


def now():
    """The clock in whole seconds, as Key Vault tells times."""
    return datetime.datetime.now(datetime.timezone.utc).replace(microsecond=0)


@pytest.mark.parametrize("bits", [2048, 3072, 4096])
def test_create(customer, bits):
    keys, before = customer.keys(), now()
    made = keys.create_rsa_key(
        "k", size=bits, public_exponent=65537, tags={"a": "b"}, not_before=FROM, expires_on=UNTIL, enabled=True,
        key_operations=["wrapKey", "unwrapKey"],
    )
    assert made.id == f"https://{customer.host}/keys/k/{made.properties.version}"
    assert int(made.properties.version, 16) and len(made.properties.version) == 32
    assert len(made.key.n) * 8 == bits
    assert made.key.e == b"\1\0\1"
    assert (made.key_type, made.key_operations) == (KeyType.rsa, ["wrapKey", "unwrapKey"])
    properties = made.properties
    assert (properties.tags, properties.not_before, properties.expires_on) == ({"a": "b"}, FROM, UNTIL)
    assert properties.enabled is True
    assert before <= properties.created_on <= now()
    assert keys.get_key("k").properties.version == properties.version


def test_a_key_that_is_created_again_gets_a_new_version(customer):
    keys = customer.keys()
    first, second = keys.create_rsa_key("k", size=2048), keys.create_rsa_key("k", size=2048)
    assert first.key.n != second.key.n
    assert keys.get_key("k").id == second.id
    assert keys.get_key("k", first.properties.version).key.n == first.key.n


def test_a_bundle_has_the_members_that_azure_documents(customer):
    kid = customer.imports()
    bundle = customer.ask("GET", "/keys/k", headers=customer.bearer()).json()
    assert set(bundle) == {"key", "attributes", "tags"}
    numbers = private_key(2048).public_key().public_numbers()
    assert bundle["key"] == {
        "kid": kid, "kty": "RSA", "n": b64(raw(numbers.n)), "e": "AQAB",
        "key_ops": ["encrypt", "decrypt", "sign", "verify", "wrapKey", "unwrapKey"],
    }
    attributes = bundle["attributes"]
    assert isinstance(attributes.pop("created"), int) and isinstance(attributes.pop("updated"), int)
    assert attributes == {
        "enabled": True, "recoveryLevel": "Recoverable+Purgeable", "recoverableDays": 90, "exportable": False,
        "hsmPlatform": "0",
    }


@pytest.mark.parametrize(
    "options, level",
    [
        ({"recoverable_days": 7}, "CustomizedRecoverable+Purgeable"),
        ({"recoverable_days": 7, "purge_protection": True}, "CustomizedRecoverable"),
        ({"purge_protection": True}, "Recoverable"),
    ],
)
def test_recovery_levels(make_customer, options, level):
    customer = make_customer(**options)
    customer.imports()
    properties = customer.keys().get_key("k").properties
    assert (properties.recovery_level, properties.recoverable_days) == (level, options.get("recoverable_days", 90))


def test_import(customer):
    keys = customer.keys()
    key = keys.import_key("k", jwk(key_ops=["wrapKey", "unwrapKey"]), tags={"a": "b"}, expires_on=UNTIL)
    numbers = private_key(2048).public_key().public_numbers()
    assert (key.key.n, key.key_operations) == (raw(numbers.n), ["wrapKey", "unwrapKey"])
    assert (key.properties.tags, key.properties.expires_on) == ({"a": "b"}, UNTIL)
    wrapped = customer.remote(key.id).wrap_key(WRAP, SECRET).encrypted_key
    ours = private_key(2048).decrypt(wrapped, padding.OAEP(padding.MGF1(hashes.SHA256()), hashes.SHA256(), None))
    assert ours == SECRET, "it is the key that we gave"
    again = keys.import_key("k", jwk())
    assert again.properties.version != key.properties.version
    assert (again.key_type, again.properties.hsm_platform) == (KeyType.rsa, "0")


def test_an_import_into_an_hsm(customer):
    key = customer.keys().import_key("k", jwk(), hardware_protected=True)
    for seen in (key, customer.keys().get_key("k")):
        assert (seen.key_type, seen.properties.hsm_platform) == (KeyType.rsa_hsm, "2")
    client = customer.remote(key.id)
    assert client.unwrap_key(WRAP, client.wrap_key(WRAP, SECRET).encrypted_key).key == SECRET


def test_update(customer):
    customer.imports()
    keys = customer.keys()
    changed = keys.update_key_properties(
        "k", enabled=False, not_before=FROM, expires_on=UNTIL, key_operations=["unwrapKey"], tags={"c": "d"}
    )
    for seen in (changed, keys.get_key("k")):
        properties = seen.properties
        assert (properties.enabled, properties.not_before, properties.expires_on) == (False, FROM, UNTIL)
        assert (seen.key_operations, properties.tags) == (["unwrapKey"], {"c": "d"})


def test_an_update_of_one_version_leaves_the_others(customer):
    first, second = (KeyVaultKeyIdentifier(customer.imports()).version for _ in range(2))
    keys = customer.keys()
    keys.update_key_properties("k", first, enabled=False)
    assert keys.get_key("k", first).properties.enabled is False
    assert keys.get_key("k", second).properties.enabled is True


@pytest.mark.parametrize("bits, longest", [(2048, 190), (3072, 318), (4096, 446)])
@pytest.mark.parametrize("wrap", [True, False], ids=["wrap", "encrypt"])
def test_wrap_and_encrypt_up_to_the_longest_value(customer, bits, longest, wrap):
    kid = customer.imports(bits=bits)
    client, value = customer.remote(kid), bytes(longest)
    there, back = (client.wrap_key, client.unwrap_key) if wrap else (client.encrypt, client.decrypt)
    made = there("RSA-OAEP-256", value)
    blob = made.encrypted_key if wrap else made.ciphertext
    assert (made.key_id, len(blob)) == (kid, bits // 8)
    opened = back("RSA-OAEP-256", blob)
    assert (opened.key if wrap else opened.plaintext) == value
    names = ("wrap-key", "unwrap-key") if wrap else ("encrypt", "decrypt")
    assert [customer.count(name) for name in names] == [1, 1]
    assert refused(lambda: there("RSA-OAEP-256", value + b"x"))[:2] == (400, "BadParameter")


@pytest.mark.parametrize("algorithm", [KeyWrapAlgorithm.rsa_oaep, KeyWrapAlgorithm.rsa_oaep_256])
def test_what_the_public_half_wraps_the_vault_unwraps(customer, algorithm):
    local = customer.local(customer.imports())
    blob = local.wrap_key(algorithm, SECRET).encrypted_key
    assert customer.count("wrap-key") == 0
    assert local.unwrap_key(algorithm, blob).key == SECRET
    assert customer.count("unwrap-key") == 1
    blob = local.encrypt(EncryptionAlgorithm(algorithm.value), SECRET).ciphertext
    assert local.decrypt(EncryptionAlgorithm(algorithm.value), blob).plaintext == SECRET
    assert (customer.count("encrypt"), customer.count("decrypt")) == (0, 1)


def test_without_a_version_the_latest_is_used_and_named(customer):
    customer.imports()
    kid = customer.imports()
    wrapped = customer.remote(f"https://{customer.host}/keys/k").wrap_key(WRAP, SECRET).encrypted_key
    path, body = "/keys/k//unwrapkey", {"alg": "RSA-OAEP-256", "value": b64(wrapped)}
    answer = customer.ask("POST", path, headers=customer.bearer(), json=body)
    assert answer.json() == {"kid": kid, "value": b64(SECRET)}


@pytest.mark.parametrize("algorithm", ["RS256", "RS384", "RS512", "PS256", "PS384", "PS512"])
def test_sign_and_verify(customer, algorithm):
    kid = customer.imports()
    client, local = customer.remote(kid), customer.local(kid)
    digest, other = (hashlib.new("sha" + algorithm[2:], text).digest() for text in (b"payroll", b"other"))
    signed = client.sign(SignatureAlgorithm(algorithm), digest)
    assert signed.key_id == kid
    assert client.verify(SignatureAlgorithm(algorithm), digest, signed.signature).is_valid is True
    assert client.verify(SignatureAlgorithm(algorithm), other, signed.signature).is_valid is False
    assert customer.count("verify") == 2
    assert local.verify(SignatureAlgorithm(algorithm), digest, signed.signature).is_valid is True
    assert customer.count("verify") == 2


def test_rotate_and_versions(customer):
    first = customer.imports()
    wrapped = customer.remote(first).wrap_key(WRAP, SECRET).encrypted_key
    keys = customer.keys()
    second = keys.rotate_key("k")
    assert second.id != first and second.key_type == KeyType.rsa and len(second.key.n) == 256
    assert keys.get_key("k").id == second.id
    assert customer.remote(first).unwrap_key(WRAP, wrapped).key == SECRET, "old versions stay enabled"
    versions = list(keys.list_properties_of_key_versions("k"))
    assert {v.id for v in versions} == {first, second.id}
    assert all(v.enabled for v in versions)


def test_rotation_policy(customer):
    customer.imports()
    keys = customer.keys()
    unset = keys.get_key_rotation_policy("k")
    assert unset.id is None
    assert [(a.action, a.time_before_expiry) for a in unset.lifetime_actions] == [
        (KeyRotationPolicyAction.notify, "P30D")
    ]
    rotate = KeyRotationLifetimeAction(KeyRotationPolicyAction.rotate, time_after_create="P18M")
    notify = KeyRotationLifetimeAction(KeyRotationPolicyAction.notify, time_before_expiry="P30D")
    put = keys.update_key_rotation_policy(
        "k", KeyRotationPolicy(expires_in="P2Y", lifetime_actions=[rotate, notify])
    )
    for policy in (put, keys.get_key_rotation_policy("k")):
        assert policy.id == f"https://{customer.host}/keys/k/rotationpolicy"
        assert (policy.expires_in, policy.created_on, policy.updated_on) == ("P2Y", put.created_on, put.updated_on)
        assert [(a.action, a.time_after_create, a.time_before_expiry) for a in policy.lifetime_actions] == [
            ("Rotate", "P18M", None), ("Notify", None, "P30D"),
        ]
    assert put.created_on is not None


def test_lists_go_over_pages(customer):
    names = [f"k{number:02}" for number in range(27)]
    for name in names:
        customer.imports(name)
    keys = customer.keys()
    listed = list(keys.list_properties_of_keys(max_page_size=10))
    assert sorted(key.name for key in listed) == names
    assert all(key.version is None for key in listed), "lists name no version"
    assert customer.count("list") == 3
    page = customer.ask("GET", "/keys", headers=customer.bearer()).json()
    assert len(page["value"]) == 25
    assert page["nextLink"].startswith(f"https://{customer.host}:443/keys?api-version=")
    assert "$skiptoken=" in page["nextLink"]
    last = customer.ask("GET", "/keys/k00/versions", headers=customer.bearer()).json()
    assert last["nextLink"] is None
    for _ in range(4):
        customer.imports("k00")
    assert len(list(keys.list_properties_of_key_versions("k00", max_page_size=2))) == 5
    assert customer.count("versions") == 4


def test_delete_recover_purge(customer):
    first, second = customer.imports(), customer.imports()
    customer.imports("other")
    keys = customer.keys()
    deleted = keys.begin_delete_key("k").result()
    assert (deleted.id, deleted.recovery_id) == (second, f"https://{customer.host}/deletedkeys/k")
    assert deleted.scheduled_purge_date - deleted.deleted_date == datetime.timedelta(days=90)
    assert [d.name for d in keys.list_deleted_keys()] == ["k"]
    assert [k.name for k in keys.list_properties_of_keys()] == ["other"]
    assert keys.get_deleted_key("k").recovery_id == deleted.recovery_id
    assert keys.begin_recover_deleted_key("k").result().id == second
    assert keys.get_key("k", KeyVaultKeyIdentifier(first).version).id == first, "with all its versions"
    assert list(keys.list_deleted_keys()) == []
    keys.begin_delete_key("k").wait()
    assert keys.purge_deleted_key("k") is None
    for act in (keys.get_deleted_key, keys.get_key, keys.purge_deleted_key, keys.begin_recover_deleted_key):
        with pytest.raises(ResourceNotFoundError):
            act("k")
    assert keys.create_rsa_key("k", size=2048), "the name is free again"


def test_deleted_keys_are_listed_over_pages(customer):
    keys = customer.keys()
    for number in range(5):
        customer.imports(f"k{number}")
        customer.at_vault("delete-key", name=f"k{number}")
    assert [d.name for d in keys.list_deleted_keys(max_page_size=2)] == [f"k{n}" for n in range(5)]
    assert customer.count("list-deleted") == 3


@pytest.mark.parametrize("version", ["7.0", "7.1", "7.2", "7.3", "7.4", "7.5", "7.6", "2025-07-01"])
def test_every_known_api_version(customer, version):
    kid = customer.imports()
    assert customer.keys(api_version=version).get_key("k").id == kid


@pytest.mark.parametrize(
    "suffix, authority",
    [
        ("vault.azure.cn", "login.chinacloudapi.cn"),
        ("managedhsm.azure.cn", "login.chinacloudapi.cn"),
        ("vault.usgovcloudapi.net", "login.microsoftonline.us"),
        ("managedhsm.usgovcloudapi.net", "login.microsoftonline.us"),
        ("managedhsm.azure.net", "login.microsoftonline.com"),
    ],
)
def test_other_clouds_and_managed_hsms(make_customer, suffix, authority):
    customer = make_customer(suffix=suffix)
    hsm = suffix.startswith("managedhsm")
    keys = customer.keys(customer.credential(authority=authority))
    key = keys.create_rsa_key("k", size=2048, hardware_protected=hsm)
    assert key.id.startswith(f"https://{customer.host}/keys/k/")
    assert key.key_type == (KeyType.rsa_hsm if hsm else KeyType.rsa)
    client = keys.get_cryptography_client("k", key_version=key.properties.version)
    assert client.unwrap_key(WRAP, client.wrap_key(WRAP, SECRET).encrypted_key).key == SECRET
    assert keys.import_key("k", jwk(), hardware_protected=hsm).key_type == key.key_type
    assert keys.rotate_key("k").key_type == key.key_type
    assert emulator_asked(customer, authority)


def emulator_asked(customer, authority):
    return customer.emulator.count(authority, "token") >= 1


def test_a_premium_vault_takes_hsm_keys(customer):
    key = customer.keys().create_rsa_key("k", size=2048, hardware_protected=True)
    assert (key.key_type, key.properties.hsm_platform) == (KeyType.rsa_hsm, "2")

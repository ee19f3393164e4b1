"""An envelope that the service made, opened without it: by docs/envelope.md, a COSE library and the official Azure SDK."""

import base64
import json
import os
import socket
import uuid

import cbor2
import pytest
from azure.identity import ClientSecretCredential
from azure.keyvault.keys.crypto import CryptographyClient, KeyWrapAlgorithm
from cwt import COSE, COSEKey

CASE = json.loads(os.environ["KEYFERRY_CASE"])
KID, SALT, WRAP_ALG, KEK, WRAPPED = 4, -20, -65537, -65538, -65539


@pytest.fixture(autouse=True)
def azure(monkeypatch):
    """Azure's hosts are where the service found them, too."""
    host, port = CASE["azure"].rsplit(":", 1)
    plain = socket.getaddrinfo

    def to_emulator(name, _port, *args, **kwargs):
        return plain(host, int(port), *args, **kwargs)

    monkeypatch.setattr(socket, "getaddrinfo", to_emulator)
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", CASE["ca_file"])
    for name in ("NO_PROXY", "no_proxy"):
        monkeypatch.setenv(name, "*")


def unwrap(recipient):
    """The data key, from the customer's vault."""
    credential = ClientSecretCredential(
        CASE["directory"], CASE["client_id"], CASE["client_secret"], disable_instance_discovery=True
    )
    assert recipient[WRAP_ALG] == -41
    vault = CryptographyClient(recipient[KEK], credential)
    return vault.unwrap_key(KeyWrapAlgorithm.rsa_oaep_256, recipient[WRAPPED]).key


def external_aad(tenant=CASE["tenant_id"], context=CASE["encryption_context"]):
    return cbor2.dumps([uuid.UUID(tenant).bytes, context], canonical=True)


def open_envelope(text, aad):
    envelope = base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))
    protected, _, _, [[_, recipient, _]] = cbor2.loads(envelope).value
    key = COSEKey.from_symmetric_key(unwrap(recipient), alg="A256GCM", kid=recipient[KID])
    context = {"alg": "A256GCM", "supp_pub": {"key_data_length": 256, "protected": {"alg": "direct+HKDF-SHA-256"}}}
    content_type = cbor2.loads(protected)[3]
    return content_type, COSE.new().decode(envelope, key, context=context, external_aad=aad)


def test_data_opens():
    content_type, plaintext = open_envelope(CASE["ciphertext"], external_aad())
    assert content_type == "application/vnd.keyferry.data"
    assert plaintext == CASE["plaintext"].encode()


def test_a_wrapped_key_opens():
    content_type, key = open_envelope(CASE["wrapped_key"], external_aad())
    assert content_type == "application/vnd.keyferry.key"
    assert key.hex() == CASE["key_hex"]


@pytest.mark.parametrize(
    "aad",
    [
        external_aad(context={}),
        external_aad(context={**CASE["encryption_context"], "row": "8"}),
        external_aad(tenant=str(uuid.uuid4())),
    ],
    ids=["no context", "another context", "another tenant"],
)
def test_nothing_opens_for_another_tenant_or_context(aad):
    with pytest.raises(Exception, match="(?i)decrypt"):
        open_envelope(CASE["ciphertext"], aad)

"""What the judge works with: customers of the emulator, key material, and refusals taken apart."""

import base64
import functools
import itertools
import time
import uuid

import pytest
import requests
from azure.core.exceptions import ClientAuthenticationError, HttpResponseError
from azure.identity import ClientSecretCredential
from azure.keyvault.keys import JsonWebKey, KeyClient
from azure.keyvault.keys.crypto import CryptographyClient, EncryptionAlgorithm, KeyWrapAlgorithm
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa

SCOPE = "https://vault.azure.net/.default"
API_VERSION = "2025-07-01"
WRAP = KeyWrapAlgorithm.rsa_oaep_256
ENCRYPT = EncryptionAlgorithm.rsa_oaep_256
SECRET = bytes(range(32))
OFFICER = ("crypto-officer",)


class Customer:
    """A directory with a vault in it, and an application that the customer let in."""

    numbers = itertools.count()

    def __init__(self, emulator, suffix="vault.azure.net", roles=OFFICER, **options):
        self.emulator = emulator
        self.directory = str(uuid.uuid4())
        self.client_id = str(uuid.uuid4())
        self.secret = "s-" + uuid.uuid4().hex
        self.host = f"judge-{next(self.numbers)}.{suffix}"
        self.name = self.host.split(".")[0]
        self.order("create-directory", directory=self.directory)
        self.register(secrets=[{"value": self.secret}])
        self.oid = self.order("consent", directory=self.directory, client_id=self.client_id)["oid"]
        self.order("create-vault", host=self.host, directory=self.directory, options=options)
        for role in roles:
            self.assign(role)

    def order(self, order, **fields):
        return self.emulator.order(order, **fields)

    def at_vault(self, order, **fields):
        return self.order(order, host=self.host, **fields)

    def register(self, **application):
        self.order("register-application", client_id=self.client_id, application=application)

    def principal(self, enabled=True, blocked=False):
        who = {"directory": self.directory, "client_id": self.client_id}
        self.order("set-principal", **who, enabled=enabled, blocked=blocked)

    def assign(self, role, scope="vault"):
        self.at_vault("assign", assignment={"principal": self.oid, "role": role, "scope": scope})

    def unassign(self, role, scope="vault"):
        self.at_vault("unassign", assignment={"principal": self.oid, "role": role, "scope": scope})

    def policies(self, *permissions):
        self.at_vault("set-access-policies", access_policies={self.oid: list(permissions)})

    def imports(self, name="k", bits=2048):
        """A key in the vault without the wait for a new one. Returns its kid."""
        return self.at_vault("import-key", name=name, pkcs8=pkcs8(bits))["kid"]

    def sets(self, name="k", **state):
        self.at_vault("set-key", name=name, **state)

    def window(self, **spent):
        """A window of the vault's limits that does not end by itself, with so much spent."""
        self.at_vault("begin-window", held=True, **spent)

    def token_times(self, **times):
        self.order("set-token-times", directory=self.directory, times=times)

    def count(self, operation):
        return self.emulator.count(self.host, operation)

    def fault(self, kind, operation=None, times=None, **details):
        self.emulator.fault(self.host, {"kind": kind, **details}, operation=operation, times=times)

    def credential(self, directory=None, secret=None, client_id=None, **options):
        return ClientSecretCredential(
            directory or self.directory, client_id or self.client_id, secret or self.secret, retry_total=0, **options
        )

    def bearer(self, scope=SCOPE):
        return {"Authorization": "Bearer " + self.credential().get_token(scope).token}

    def keys(self, credential=None, **options):
        return KeyClient(f"https://{self.host}", credential or self.credential(), retry_total=0, **options)

    def local(self, kid):
        """A client that wraps, encrypts and verifies by itself once it has read the key, as the SDK prefers to."""
        return CryptographyClient(kid, self.credential(), retry_total=0)

    def remote(self, kid):
        """A client that must ask the vault for everything, since it was refused to read the key."""
        self.fault("status", status=403, operation="get", times=1)
        client = CryptographyClient(kid, self.credential(), retry_total=0)
        client.create_rsa_public_key()
        return client

    def ask(self, method, path, api_version=API_VERSION, headers=None, **request):
        """A request as no SDK would send it."""
        params = {"api-version": api_version} if api_version else {}
        return requests.request(
            method, f"https://{self.host}{path}", params=params, headers=headers, timeout=20, **request
        )


@functools.cache
def private_key(bits):
    return rsa.generate_private_key(65537, bits)


@functools.cache
def pkcs8(bits):
    der = private_key(bits).private_bytes(
        serialization.Encoding.DER, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    return b64(der)


def jwk(bits=2048, **more):
    return JsonWebKey(kty="RSA", **private_parts(bits), **more)


def wire_jwk(bits=2048):
    """The same as it is written in a request."""
    return {"kty": "RSA", **{name: b64(part) for name, part in private_parts(bits).items()}}


def private_parts(bits):
    secret = private_key(bits).private_numbers()
    public = secret.public_numbers
    members = {
        "n": public.n, "e": public.e, "d": secret.d, "p": secret.p, "q": secret.q,
        "dp": secret.dmp1, "dq": secret.dmq1, "qi": secret.iqmp,
    }
    return {name: raw(number) for name, number in members.items()}


def raw(number):
    return number.to_bytes((number.bit_length() + 7) // 8, "big")


def b64(data):
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def every_use(client, blob):
    """Each use of a key by its name on the wire; `blob` is something that the key wrapped."""
    signature = bytes(256)
    return {
        "encrypt": lambda: client.encrypt(ENCRYPT, SECRET),
        "decrypt": lambda: client.decrypt(ENCRYPT, blob),
        "wrapKey": lambda: client.wrap_key(WRAP, SECRET),
        "unwrapKey": lambda: client.unwrap_key(WRAP, blob),
        "sign": lambda: client.sign("RS256", SECRET),
        "verify": lambda: client.verify("RS256", SECRET, signature),
    }


def eventually(holds):
    """Waits until it holds, for as long as a slow machine may need."""
    for _ in range(1200):
        if holds():
            return
        time.sleep(0.05)
    pytest.fail("it did not come to that in a minute")


def refused(act):
    """The refusal's status, code, inner code and message, as the SDK carries it."""
    with pytest.raises(HttpResponseError) as caught:
        act()
    answer = caught.value.response
    assert answer.headers["content-type"] == "application/json; charset=utf-8"
    assert uuid.UUID(answer.headers["x-ms-request-id"])
    assert answer.headers["x-ms-keyvault-service-version"] == "1.9.1720.1"
    return (answer.status_code, *parts(answer))


def parts(answer):
    error = answer.json()["error"]
    return error["code"], error.get("innererror", {}).get("code"), error["message"]


def not_found(name):
    return (404, "KeyNotFound", None, (
        f"A key with (name/id) {name} was not found in this key vault. If you recently deleted this key you may be able "
        "to recover it using the correct recovery command. For help resolving this issue, please see "
        "https://go.microsoft.com/fwlink/?linkid=2125182"
    ))


def denied(act):
    """What azure-identity says of a refused sign-in."""
    with pytest.raises(ClientAuthenticationError) as caught:
        act()
    return caught.value.message

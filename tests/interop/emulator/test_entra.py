"""Signing in: every kind of credential, every refusal, discovery and published keys, as azure-identity reads them."""

import datetime
import json
import time
import uuid

import jwt
import pytest
import requests
from azure.core.exceptions import ClientAuthenticationError
from azure.identity import (
    CertificateCredential, ClientAssertionCredential, ManagedIdentityCredential, WorkloadIdentityCredential,
)
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.x509.oid import NameOID
from judge import SCOPE, denied

EXCHANGE = "api://AzureADTokenExchange"
LOGINS = ("login.microsoftonline.com", "login.chinacloudapi.cn", "login.microsoftonline.us")


def ask_token(customer, directory=None, login=LOGINS[0], **form):
    """A token request as no SDK would send it."""
    form = {
        "grant_type": "client_credentials", "client_id": customer.client_id, "client_secret": customer.secret,
        "scope": SCOPE, **form,
    }
    url = f"https://{login}/{directory or customer.directory}/oauth2/v2.0/token"
    return requests.post(url, data={name: value for name, value in form.items() if value is not None}, timeout=20)


def read(token, login=LOGINS[0], directory=None, audience="https://vault.azure.net"):
    """Verifies a token as any API would: by discovery and the published keys."""
    known = discover(login, directory).json()
    keys = jwt.PyJWKSet.from_dict(requests.get(known["jwks_uri"], timeout=20).json())
    key = keys[jwt.get_unverified_header(token)["kid"]]
    return jwt.decode(token, key, algorithms=["RS256"], audience=audience), known


def discover(login, directory):
    return requests.get(f"https://{login}/{directory}/v2.0/.well-known/openid-configuration", timeout=20)


def test_a_token_for_key_vault(customer):
    before = int(time.time())
    got = customer.credential().get_token(SCOPE)
    assert before + 3599 <= got.expires_on <= time.time() + 3599
    claims, _ = read(got.token, directory=customer.directory)
    now = time.time()
    for name in ("iat", "nbf", "exp"):
        assert isinstance(claims.pop(name), int)
    assert len(claims.pop("uti")) > 20
    assert claims == {
        "aud": "https://vault.azure.net", "iss": f"https://sts.windows.net/{customer.directory}/", "ver": "1.0",
        "appid": customer.client_id, "appidacr": "1", "oid": customer.oid, "sub": customer.oid,
        "tid": customer.directory,
    }
    answer = ask_token(customer).json()
    assert set(answer) == {"token_type", "expires_in", "ext_expires_in", "access_token"}
    assert (answer["token_type"], answer["expires_in"]) == ("Bearer", 3599)
    assert now < jwt.decode(answer["access_token"], options={"verify_signature": False})["exp"]


@pytest.mark.parametrize("expires, told", [(600, 600), (0, 3599), (-60, 3599)])
def test_how_long_tokens_live_can_be_ordered(customer, expires, told):
    customer.token_times(expires=expires, not_before=-5)
    answer = ask_token(customer).json()
    claims = jwt.decode(answer["access_token"], options={"verify_signature": False})
    assert (claims["exp"] - claims["iat"], claims["nbf"] - claims["iat"]) == (expires, -5)
    assert (answer["expires_in"], answer["ext_expires_in"]) == (told, told)


@pytest.mark.parametrize("roles", [[], ["Keyferry.Seal", "Keyferry.Open"]])
def test_a_token_for_an_api_carries_the_roles_that_were_granted(make_customer, roles):
    api, caller = make_customer(), make_customer()
    api.register(identifier_uri=f"api://{api.client_id}", secrets=[])
    uri = f"api://{api.client_id}"
    who = {"directory": caller.directory, "client_id": caller.client_id}
    assert caller.order("consent", **who, resource=uri, roles=roles) == {"oid": caller.oid}
    token = caller.credential().get_token(uri + "/.default").token
    claims, known = read(token, directory=caller.directory, audience=api.client_id)
    assert claims["iss"] == known["issuer"] == f"https://{LOGINS[0]}/{caller.directory}/v2.0"
    assert (claims["azp"], claims["oid"], claims["tid"], claims["ver"]) == (
        caller.client_id, caller.oid, caller.directory, "2.0",
    )
    assert sorted(claims.get("roles", [])) == sorted(roles)
    assert ("roles" in claims) == bool(roles)


@pytest.mark.parametrize("login", LOGINS)
def test_discovery(customer, login):
    base = f"https://{login}/{customer.directory}"
    known = discover(login, customer.directory).json()
    assert known["issuer"] == f"{base}/v2.0"
    assert known["token_endpoint"] == f"{base}/oauth2/v2.0/token"
    assert known["jwks_uri"] == f"{base}/discovery/v2.0/keys"
    assert customer.credential(authority=login).get_token(SCOPE).token


def test_discovery_of_an_unknown_directory(customer):
    nowhere = str(uuid.uuid4())
    answer = discover(LOGINS[0], nowhere)
    assert (answer.status_code, answer.json()["error_codes"]) == (400, [90002])
    keys = requests.get(f"https://{LOGINS[0]}/{nowhere}/discovery/v2.0/keys", timeout=20)
    assert (keys.status_code, keys.json()["error_codes"]) == (400, [90002])
    assert requests.get(f"https://{LOGINS[0]}/common/discovery/v2.0/keys", timeout=20).json()["keys"]
    message = denied(lambda: customer.credential(directory=nowhere).get_token(SCOPE))
    assert f"Unable to get authority configuration for https://{LOGINS[0]}/{nowhere}" in message


def test_old_and_new_signing_keys_are_published_until_the_old_are_forgotten(customer):
    old = customer.credential().get_token(SCOPE).token
    customer.order("rotate-signing-key", forget_old=False)
    new = customer.credential().get_token(SCOPE).token
    assert jwt.get_unverified_header(old)["kid"] != jwt.get_unverified_header(new)["kid"]
    assert read(old, directory=customer.directory) and read(new, directory=customer.directory)
    customer.order("rotate-signing-key", forget_old=True)
    for gone in (old, new):
        with pytest.raises(KeyError):
            read(gone, directory=customer.directory)
    assert read(customer.credential().get_token(SCOPE).token, directory=customer.directory)


def test_claims_of_continuous_access_are_taken(customer):
    claims = json.dumps({"access_token": {"nbf": {"essential": True, "value": "1700000000"}}})
    assert customer.credential().get_token(SCOPE, claims=claims, enable_cae=True).token


def elsewhere(customer):
    directory = str(uuid.uuid4())
    customer.order("create-directory", directory=directory)
    return directory


def secrets_expired(customer):
    customer.order("set-secrets-expired", client_id=customer.client_id, expired=True)


REFUSALS = {
    # code: HTTP status, error, words of the description, what brings it about (may return what the request says)
    700016: (400, "unauthorized_client", "was not found in the directory", lambda c: {"client_id": str(uuid.uuid4())}),
    7000229: (401, "invalid_client", "is missing service principal in the tenant",
              lambda c: {"directory": elsewhere(c)}),
    7000112: (401, "unauthorized_client", "is disabled.", lambda c: c.principal(enabled=False)),
    90002: (400, "invalid_request", "' not found. ", lambda c: {"directory": str(uuid.uuid4())}),
    7000215: (401, "invalid_client", "Invalid client secret provided.", lambda c: {"client_secret": "wrong"}),
    7000222: (401, "invalid_client", "are expired.", secrets_expired),
    50012: (401, "invalid_client", "", lambda c: {"client_secret": None, "client_assertion": "no.such.token"}),
    53003: (400, "invalid_grant", "Access has been blocked by Conditional Access policies. ",
            lambda c: c.principal(blocked=True)),
    500011: (400, "invalid_resource", "The resource principal named https://vault.azure.net was not found",
             lambda c: c.order("set-lacks-key-vault", directory=c.directory, lacks=True)),
    90055: (429, "temporarily_unavailable", "",
            lambda c: c.emulator.fault(LOGINS[0], {"kind": "throttle"}, operation="token", times=2)),
}
ASSERTION = {"client_assertion_type": "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"}


@pytest.mark.parametrize("code", REFUSALS)
def test_refusals(customer, code):
    status, error, words, bring_about = REFUSALS[code]
    changes = bring_about(customer) or {}
    if "client_assertion" in changes:
        changes |= ASSERTION
    answer = ask_token(customer, **changes)
    body = answer.json()
    assert (answer.status_code, body["error"], body["error_codes"]) == (status, error, [code])
    description = body["error_description"]
    assert description.startswith(f"AADSTS{code}: ") and words in description
    assert description.endswith(
        f"\r\nTrace ID: {body['trace_id']}\r\nCorrelation ID: {body['correlation_id']}\r\nTimestamp: {body['timestamp']}"
    )
    assert set(body) == {
        "error", "error_description", "error_codes", "timestamp", "trace_id", "correlation_id", "error_uri",
    }
    assert datetime.datetime.strptime(body["timestamp"], "%Y-%m-%d %H:%M:%SZ")
    # The SDK asks discovery first, where an unknown directory already ends it; see above.
    if code == 90002 or code == 50012:
        return
    secret = changes.pop("client_secret", None)
    assert f"AADSTS{code}: " in denied(lambda: customer.credential(secret=secret, **changes).get_token(SCOPE))


def test_a_principal_that_is_let_in_again_signs_in(customer):
    customer.principal(enabled=False)
    denied(lambda: customer.credential().get_token(SCOPE))
    customer.principal()
    assert customer.credential().get_token(SCOPE).token
    secrets_expired(customer)
    denied(lambda: customer.credential().get_token(SCOPE))
    customer.order("set-secrets-expired", client_id=customer.client_id, expired=False)
    assert customer.credential().get_token(SCOPE).token
    customer.order("set-lacks-key-vault", directory=customer.directory, lacks=True)
    customer.order("set-lacks-key-vault", directory=customer.directory, lacks=False)
    assert customer.credential().get_token(SCOPE).token


def test_withdrawn_consent_refuses_new_tokens_and_leaves_issued_ones(customer):
    kid = customer.imports()
    keys = customer.keys()
    assert keys.get_key("k").id == kid
    customer.order("withdraw-consent", directory=customer.directory, client_id=customer.client_id)
    assert keys.get_key("k").id == kid, "an issued token lives on"
    assert "AADSTS7000229: " in denied(lambda: customer.keys().get_key("k"))
    who = {"directory": customer.directory, "client_id": customer.client_id}
    assert customer.order("consent", **who)["oid"] != customer.oid, "consent given again makes a new principal"


@pytest.mark.parametrize("form", [{"grant_type": "password"}, {"scope": "https://vault.azure.net"}, {"scope": None}])
def test_requests_that_are_none(customer, form):
    answer = ask_token(customer, **form)
    assert (answer.status_code, answer.json()["error"]) == (400, "invalid_request")


def test_an_unknown_api_is_no_resource(customer):
    assert "AADSTS500011: " in denied(lambda: customer.credential().get_token("api://nobody/.default"))


@pytest.fixture(scope="module")
def certificates():
    """Two self-signed certificates: each public, and with its key."""
    return [certificate() for _ in range(2)]


def certificate():
    key = rsa.generate_private_key(65537, 2048)
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "keyferry")])
    now = datetime.datetime.now(datetime.timezone.utc)
    made = (
        x509.CertificateBuilder().subject_name(name).issuer_name(name).public_key(key.public_key())
        .serial_number(x509.random_serial_number()).not_valid_before(now - datetime.timedelta(days=1))
        .not_valid_after(now + datetime.timedelta(days=1)).sign(key, hashes.SHA256())
    )
    private = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    public = made.public_bytes(serialization.Encoding.PEM)
    return public.decode(), private + public


def test_a_registered_certificate_signs_in(customer, certificates):
    (public, ours), (_, theirs) = certificates
    customer.register(certificates=[{"pem": public}])

    def token(data):
        return CertificateCredential(customer.directory, customer.client_id, certificate_data=data).get_token(SCOPE)

    claims, _ = read(token(ours).token, directory=customer.directory)
    assert claims["appidacr"] == "2"
    assert "AADSTS700027: " in denied(lambda: token(theirs))
    answer = ask_token(customer, client_secret=None, client_assertion=signed(customer, theirs), **ASSERTION)
    body = answer.json()
    assert (answer.status_code, body["error"], body["error_codes"]) == (401, "invalid_client", [700027])
    assert body["error_description"].startswith(
        "AADSTS700027: The certificate with identifier used to sign the client assertion is not registered on application."
    )


def signed(customer, pem, alg="PS256", **changes):
    """A certificate's assertion as the SDK makes it, but for the changes."""
    key = serialization.load_pem_private_key(pem, None)
    thumbprint = x509.load_pem_x509_certificate(pem).fingerprint(hashes.SHA256())
    url = f"https://{LOGINS[0]}/{customer.directory}/oauth2/v2.0/token"
    now = int(time.time())
    claims = {
        "aud": url, "iss": customer.client_id, "sub": customer.client_id, "jti": str(uuid.uuid4()), "nbf": now,
        "exp": now + 300, **changes,
    }
    claims = {name: value for name, value in claims.items() if value is not None}
    thumbprint = jwt.utils.base64url_encode(thumbprint).decode()
    return jwt.encode(claims, key, algorithm=alg, headers={"x5t#S256": thumbprint})


@pytest.mark.parametrize(
    "changes, code",
    [
        ({"exp": 1_700_000_000}, 700024), ({"nbf": 4_000_000_000}, 700024), ({"exp": 4_000_000_000}, 50012),
        ({"aud": "https://elsewhere.example/token"}, 50012), ({"iss": "someone"}, 50012), ({"sub": "someone"}, 50012),
        ({"jti": None}, 50012),
    ],
    ids=["expired", "not begun", "too long", "aud", "iss", "sub", "jti"],
)
def test_a_certificates_bad_assertion(customer, certificates, changes, code):
    public, ours = certificates[0]
    customer.register(certificates=[{"pem": public}])

    def ask(assertion):
        return ask_token(customer, client_secret=None, client_assertion=assertion, **ASSERTION)

    for alg in ("PS256", "RS256"):
        assert ask(signed(customer, ours, alg)).status_code == 200
    answer = ask(signed(customer, ours, **changes))
    assert (answer.status_code, answer.json()["error"]) == (401, "invalid_client")
    assert answer.json()["error_codes"] == [code]
    good, other = signed(customer, ours).rsplit(".", 1), signed(customer, ours).rsplit(".", 1)
    assert ask(good[0] + "." + other[1]).json()["error_codes"] == [50012]


def test_an_assertion_out_of_its_time_is_told_both_times(customer, certificates):
    public, ours = certificates[0]
    customer.register(certificates=[{"pem": public}])
    assertion = signed(customer, ours, nbf=0, exp=1_700_000_000.25)
    answer = ask_token(customer, client_secret=None, client_assertion=assertion, **ASSERTION)
    said = answer.json()["error_description"]
    assert said.startswith("AADSTS700024: Client assertion is not within its valid time range. Current time: ")
    assert "assertion valid from 1970-01-01T00:00:00Z, expiry time of assertion 2023-11-14T22:13:20.25Z." in said


def test_an_assertion_may_be_shown_again(customer, certificates):
    public, ours = certificates[0]
    customer.register(certificates=[{"pem": public}])
    assertion = signed(customer, ours)
    for _ in range(2):
        answer = ask_token(customer, client_secret=None, client_assertion=assertion, **ASSERTION)
        assert answer.status_code == 200


def test_a_workload_identitys_token_file_signs_in(customer, tmp_path):
    key = rsa.generate_private_key(65537, 2048)
    published = {**json.loads(jwt.algorithms.RSAAlgorithm.to_jwk(key.public_key())), "kid": "one", "alg": "RS256"}
    issuer = "https://oidc.cluster.example/"
    subject = "system:serviceaccount:keyferry:keyferry"
    customer.register(
        federated=[{"issuer": issuer, "subject": subject, "audience": EXCHANGE, "jwks": {"keys": [published]}}]
    )

    def token(kid="one", by=key, **changes):
        claims = {"iss": issuer, "sub": subject, "aud": EXCHANGE, "exp": int(time.time()) + 600, **changes}
        file = tmp_path / "token"
        file.write_text(jwt.encode(claims, by, algorithm="RS256", headers={"kid": kid}))
        return WorkloadIdentityCredential(
            tenant_id=customer.directory, client_id=customer.client_id, token_file_path=str(file)
        ).get_token(SCOPE)

    assert token().token
    stranger = rsa.generate_private_key(65537, 2048)
    for wrong in (
        {"sub": "system:serviceaccount:other:other"}, {"aud": "api://other"}, {"kid": "two"}, {"by": stranger},
    ):
        assert "AADSTS50012: " in denied(lambda: token(**wrong)), wrong
    for wrong in ({"exp": 1_700_000_000}, {"nbf": 4_000_000_000}):
        assert "AADSTS700024: " in denied(lambda: token(**wrong)), wrong
    assert token(exp=4_000_000_000).token, "how long it lives is its issuer's matter"
    assert "AADSTS700027: " in denied(lambda: token(iss="https://elsewhere.example/"))


@pytest.fixture
def identity(customer, monkeypatch):
    """A managed identity of this machine, in the customer's directory."""
    client_id = str(uuid.uuid4())
    oid = customer.order("consent", directory=customer.directory, client_id=client_id)["oid"]
    url = f"{customer.emulator.control}/managed-identity/{customer.directory}/{client_id}"
    monkeypatch.setenv("IDENTITY_ENDPOINT", url)
    monkeypatch.setenv("IDENTITY_HEADER", "any")
    return oid


def test_a_managed_identitys_token_signs_in(customer, identity):
    issuer = f"https://{LOGINS[0]}/{customer.directory}/v2.0"
    customer.register(federated=[{"issuer": issuer, "subject": identity, "audience": EXCHANGE}])

    def token(audience):
        def assertion():
            return ManagedIdentityCredential().get_token(audience + "/.default").token

        return ClientAssertionCredential(customer.directory, customer.client_id, assertion).get_token(SCOPE)

    assert read(token(EXCHANGE).token, directory=customer.directory)[0]["oid"] == customer.oid
    assert "AADSTS50012: " in denied(lambda: token("api://other"))


def test_an_identity_that_is_not_there(customer):
    url = f"{customer.emulator.control}/managed-identity/{customer.directory}/{uuid.uuid4()}"
    assert requests.get(url, params={"resource": EXCHANGE}, timeout=10).status_code == 400


def test_sign_in_needs_no_instance_discovery(customer):
    with pytest.raises(ClientAuthenticationError):
        customer.credential(secret="wrong", disable_instance_discovery=True).get_token(SCOPE)
    assert customer.credential(disable_instance_discovery=True).get_token(SCOPE).token

"""Golden vectors for docs/envelope.md, by cbor2 and cryptography alone: nothing of Keyferry's is asked.

    python generate.py [envelope.json]

Prints the file anew. What was drawn at random (keys, salts, ...) is taken from the file, and drawn if it is not there; all
else is computed. So a vector is added by writing its name, tenant, content, context, plaintext and KEK. The test
`the_vectors_are_what_the_specification_gives` compares, and writes the file where KEYFERRY_WRITE_VECTORS is set.
"""

import base64
import json
import os
import sys
import uuid
from pathlib import Path

import cbor2
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import padding, rsa
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

OAEP = padding.OAEP(padding.MGF1(hashes.SHA256()), hashes.SHA256(), None)
KID, SALT, WRAP_ALG, KEK, WRAPPED, COMMITMENT = 4, -20, -65537, -65538, -65539, -65540
A256GCM, A128GCM, HKDF_SHA_256, HKDF_SHA_512, RSA_OAEP_256, RSA_OAEP_SHA_1 = 3, 1, -10, -11, -41, -40
RECIPIENT = cbor2.dumps({1: HKDF_SHA_256})
KDF_CONTEXT = cbor2.dumps([A256GCM, [None] * 3, [None] * 3, [256, RECIPIENT]])


def hkdf(salt, ikm, info):
    return HKDF(hashes.SHA256(), 32, salt, info).derive(ikm)


def head(major, value, size=None):
    """The head of a CBOR item, as short as can be or of that many bytes after the first."""
    if size is None:
        size = 0 if value < 24 else 1 if value < 0x100 else 2 if value < 0x10000 else 4
    if size == 0:
        return bytes([major << 5 | value])
    return bytes([major << 5 | {1: 24, 2: 25, 4: 26}[size]]) + value.to_bytes(size, "big")


def encode_map(entries):
    """A map of these entries in this order, right or wrong."""
    return head(5, len(entries)) + b"".join(cbor2.dumps(key) + cbor2.dumps(value) for key, value in entries)


def number(text):
    return int.from_bytes(base64.urlsafe_b64decode(text + "=="), "big")


def text(number):
    return base64.urlsafe_b64encode(number.to_bytes((number.bit_length() + 7) // 8, "big")).rstrip(b"=").decode()


def private_key(jwk):
    n, e, d, p, q, dp, dq, qi = (number(jwk[part]) for part in ("n", "e", "d", "p", "q", "dp", "dq", "qi"))
    return rsa.RSAPrivateNumbers(p, q, d, dp, dq, qi, rsa.RSAPublicNumbers(e, n)).private_key()


def new_jwk(kid):
    private = rsa.generate_private_key(65537, 2048).private_numbers()
    public = private.public_numbers
    parts = {"n": public.n, "e": public.e, "d": private.d, "p": private.p, "q": private.q}
    parts |= {"dp": private.dmp1, "dq": private.dmq1, "qi": private.iqmp}
    return {"kty": "RSA", "kid": kid, **{name: text(part) for name, part in parts.items()}}


class Keys:
    """The customers' keys, by their identifiers."""

    def __init__(self, jwks):
        self.jwks = {jwk["kid"]: jwk for jwk in jwks}

    def of(self, kek):
        if kek not in self.jwks:
            self.jwks[kek] = new_jwk(kek)
        return private_key(self.jwks[kek])

    def wrapped(self, vector, data_key):
        """The wrapped data key of a vector, which must unwrap to it."""
        private = self.of(vector["kek"])
        wrapped = bytes.fromhex(vector.get("wrapped") or private.public_key().encrypt(data_key, OAEP).hex())
        assert private.decrypt(wrapped, OAEP) == data_key, vector["name"]
        return wrapped


def commitment_info(tenant, kid, kek):
    return cbor2.dumps(["keyferry key commitment v1", tenant.bytes, kid, RSA_OAEP_256, kek])


def header(kid, salt, kek, wrapped, commitment):
    """The entries of the recipient's unprotected header."""
    return [(KID, kid), (SALT, salt), (WRAP_ALG, RSA_OAEP_256), (KEK, kek), (WRAPPED, wrapped), (COMMITMENT, commitment)]


def recipient(entries, protected=RECIPIENT, encrypted_key=b""):
    return head(4, 3) + cbor2.dumps(protected) + encode_map(entries) + cbor2.dumps(encrypted_key)


def body(protected, iv, sealed):
    return head(6, 96) + head(4, 4) + cbor2.dumps(protected) + head(5, 1) + cbor2.dumps(5) + cbor2.dumps(iv) + cbor2.dumps(sealed)


def sealed_vector(given, keys):
    """A whole vector from what is given of it."""

    def drawn(name, size):
        return bytes.fromhex(given.get(name) or os.urandom(size).hex())

    tenant, kek = uuid.UUID(given["tenant"]), given["kek"]
    data_key, kid, salt, iv = (drawn(*part) for part in (("data_key", 32), ("kid", 16), ("salt", 32), ("iv", 12)))
    wrapped = keys.wrapped(given, data_key)
    info = commitment_info(tenant, kid, kek)
    commitment = hkdf(None, data_key, info)
    content_key = hkdf(salt, data_key, KDF_CONTEXT)
    protected = cbor2.dumps({1: A256GCM, 3: f"application/vnd.keyferry.{given['content']}"})
    external_aad = cbor2.dumps([tenant.bytes, given["context"]], canonical=True)
    enc_structure = cbor2.dumps(["Encrypt", protected, external_aad])
    sealed = AESGCM(content_key).encrypt(iv, bytes.fromhex(given["plaintext"]), enc_structure)
    envelope = body(protected, iv, sealed) + head(4, 1) + recipient(header(kid, salt, kek, wrapped, commitment))
    vector = {name: given[name] for name in ("name", "tenant", "content", "context", "plaintext", "kek")}
    computed = {
        "data_key": data_key,
        "kid": kid,
        "salt": salt,
        "iv": iv,
        "wrapped": wrapped,
        "commitment_info": info,
        "commitment": commitment,
        "kdf_context": KDF_CONTEXT,
        "content_key": content_key,
        "external_aad": external_aad,
        "enc_structure": enc_structure,
        "envelope": envelope,
    }
    return vector | {name: part.hex() for name, part in computed.items()}


class Parts:
    """The parts of a vector's envelope, to be put together otherwise."""

    def __init__(self, vector):
        part = {name: bytes.fromhex(vector[name]) for name in ("kid", "salt", "iv", "wrapped", "commitment", "envelope")}
        self.envelope, self.iv, self.kek = part["envelope"], part["iv"], vector["kek"]
        self.protected, _, self.sealed, _ = cbor2.loads(self.envelope).value
        self.entries = header(part["kid"], part["salt"], self.kek, part["wrapped"], part["commitment"])

    def changed(self, **changes):
        """The envelope, with some of its pieces as given."""
        piece = {
            "tag": head(6, 96),
            "array": head(4, 4),
            "protected": cbor2.dumps(self.protected),
            "iv": cbor2.dumps(self.iv),
            "sealed": cbor2.dumps(self.sealed),
            "recipients": head(4, 1) + recipient(self.entries),
            "end": b"",
        } | changes
        unprotected = head(5, 1) + cbor2.dumps(5) + piece["iv"]
        return b"".join(
            (piece["tag"], piece["array"], piece["protected"], unprotected, piece["sealed"], piece["recipients"], piece["end"])
        )

    def with_entries(self, entries, **others):
        return self.changed(recipients=head(4, 1) + recipient(entries, **others))

    def with_entry(self, label, value):
        return self.with_entries([(key, value if key == label else old) for key, old in self.entries])


def refused_vectors(of, drawn):
    """What must not open: name, reason, envelope, and what is asked for otherwise."""
    parts = Parts(of)
    envelope, entries, context = parts.envelope, parts.entries, of["context"]
    one = recipient(entries)
    vault = parts.kek.split("/")[2]
    bare = parts.kek.rsplit("/", 1)[0]
    sealed_head, short = head(2, len(parts.sealed)), parts.sealed[:15]

    def protected(alg, content_type):
        return cbor2.dumps(cbor2.dumps({1: alg, 3: content_type}))

    content_type = cbor2.loads(parts.protected)[3]
    entries_of = dict(entries)
    extra = entries + [(COMMITMENT - 1, b"")]
    swapped = [entries[1], entries[0], *entries[2:]]
    malformed = [
        ("a byte after the end", parts.changed(end=b"\0")),
        ("the last byte missing", envelope[:-1]),
        ("no bytes", b""),
        ("without the tag", parts.changed(tag=b"")),
        ("the tag with a longer head", parts.changed(tag=head(6, 96, 2))),
        ("another tag, COSE_Encrypt0", parts.changed(tag=head(6, 16))),
        ("an array of indefinite length", parts.changed(array=b"\x9f", end=b"\xff")),
        ("the IV with a longer head", parts.changed(iv=head(2, 12, 1) + parts.iv)),
        ("the IV shorter", parts.changed(iv=cbor2.dumps(parts.iv[:-1]))),
        ("the ciphertext with a longer head", parts.changed(sealed=head(2, len(parts.sealed), 2) + parts.sealed)),
        ("the ciphertext shorter than a tag", parts.changed(sealed=cbor2.dumps(short))),
        (
            "the ciphertext as a string of indefinite length",
            parts.changed(sealed=b"\x5f" + sealed_head + parts.sealed + b"\xff"),
        ),
        ("two recipients", parts.changed(recipients=head(4, 2) + one + one)),
        ("no recipient", parts.changed(recipients=head(4, 0))),
        ("a label too many in the recipient", parts.with_entries(extra)),
        ("no kid", parts.with_entries(entries[1:])),
        ("labels in another order", parts.with_entries(swapped)),
        (
            "another derivation, direct+HKDF-SHA-512",
            parts.with_entries(entries, protected=cbor2.dumps({1: HKDF_SHA_512})),
        ),
        ("another wrapping, RSA-OAEP with SHA-1", parts.with_entry(WRAP_ALG, RSA_OAEP_SHA_1)),
        ("wrapped bytes of a length that no RSA key has", parts.with_entry(WRAPPED, entries_of[WRAPPED][:-1])),
        ("an encrypted key beside direct derivation", parts.with_entries(entries, encrypted_key=b"\0")),
        ("another cipher, A128GCM", parts.changed(protected=protected(A128GCM, content_type))),
        ("another content type", parts.changed(protected=protected(A256GCM, content_type[:-1] + "z"))),
    ]
    asked_otherwise = [
        ("opened as data", "wrong-content", {"content": "data"}),
        ("for another tenant", "not-authentic", {"tenant": of["tenant"][:-1] + "0"}),
        ("with no context", "not-authentic", {"context": {}}),
        ("with another value in the context", "not-authentic", {"context": context | {"app": "crm"}}),
        ("with another entry in the context", "not-authentic", {"context": context | {"x": ""}}),
    ]
    changed = [
        ("with another kid", "not-authentic", lambda name: parts.with_entry(KID, drawn(name, KID, 16))),
        ("with another commitment", "not-authentic", lambda name: parts.with_entry(COMMITMENT, drawn(name, COMMITMENT, 32))),
        ("with another salt", "not-authentic", lambda name: parts.with_entry(SALT, drawn(name, SALT, 32))),
        ("with another IV", "not-authentic", lambda name: parts.changed(iv=cbor2.dumps(drawn(name, None, 12)))),
        ("with another KEK of the same tenant", "not-authentic", lambda _: parts.with_entry(KEK, f"{bare}/{'0' * 32}")),
        (
            "with a KEK in a vault that is not the tenant's",
            "foreign-kek",
            lambda _: parts.with_entry(KEK, parts.kek.replace(vault.split(".")[0], "evil", 1)),
        ),
        (
            "with a KEK that only looks like the tenant's",
            "foreign-kek",
            lambda _: parts.with_entry(KEK, parts.kek.replace(".vault.", ".vaul1.", 1)),
        ),
        ("with a KEK without a version", "foreign-kek", lambda _: parts.with_entry(KEK, bare)),
    ]
    yield from ((name, "malformed", bytes_, {}) for name, bytes_ in malformed)
    yield from ((name, reason, envelope, asked) for name, reason, asked in asked_otherwise)
    yield from ((name, reason, change(name), {}) for name, reason, change in changed)


def rewrapped(given, of, keys):
    """The first envelope, its data key wrapped under another key."""
    parts, tenant, kid = Parts(of), uuid.UUID(of["tenant"]), bytes.fromhex(of["kid"])
    data_key = bytes.fromhex(of["data_key"])
    wrapped = keys.wrapped(given, data_key)
    commitment = hkdf(None, data_key, commitment_info(tenant, kid, given["kek"]))
    entries = header(kid, bytes.fromhex(of["salt"]), given["kek"], wrapped, commitment)
    computed = {"wrapped": wrapped, "commitment": commitment, "envelope": parts.with_entries(entries)}
    return {name: given[name] for name in ("name", "of", "kek")} | {name: part.hex() for name, part in computed.items()}


def drawn_before(refused):
    """What was drawn for a refused vector: taken out of its envelope, if the file has it."""
    envelopes = {vector["name"]: bytes.fromhex(vector["envelope"]) for vector in refused}

    def drawn(name, label, size):
        if name not in envelopes:
            return os.urandom(size)
        _, unprotected, _, [[_, entries, _]] = cbor2.loads(envelopes[name]).value
        return unprotected[5] if label is None else entries[label]

    return drawn


def generate(given):
    keys = Keys(given["keys"])
    seal = [sealed_vector(vector, keys) for vector in given["seal"]]
    first = seal[0]
    refused = refused_vectors(first, drawn_before(given["refused"]))
    return {
        "about": given["about"],
        "seal": seal,
        "rewrap": rewrapped(given["rewrap"], first, keys),
        "refused": [
            {"name": name, "of": first["name"], "error": reason, "envelope": envelope.hex(), **asked}
            for name, reason, envelope, asked in refused
        ],
        "keys": list(keys.jwks.values()),
    }


if __name__ == "__main__":
    path = Path(sys.argv[1]) if len(sys.argv) > 1 else Path(__file__).with_name("envelope.json")
    json.dump(generate(json.loads(path.read_text())), sys.stdout, indent=1, ensure_ascii=False)
    print()

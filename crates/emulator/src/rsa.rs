//! RSA as Key Vault and Entra use it, by aws-lc-rs.

use aws_lc_rs::{
    digest::{self, Digest},
    encoding::{AsDer, Pkcs8V1Der},
    rand::SystemRandom,
    rsa::{
        KeyPair, KeyPairComponents, KeySize, OAEP_SHA1_MGF1SHA1, OAEP_SHA256_MGF1SHA256, OaepAlgorithm,
        OaepPrivateDecryptingKey, OaepPublicEncryptingKey, PrivateDecryptingKey, PublicKeyComponents,
    },
    signature::{self, KeyPair as _, RsaEncoding, RsaParameters, UnparsedPublicKey},
};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::encoding::{b64, unb64};

/// An RSA key pair. Kept as PKCS#8; the parsed forms are made once.
pub struct RsaKey {
    pkcs8: Vec<u8>,
    signing: KeyPair,
    decrypting: OaepPrivateDecryptingKey,
    encrypting: OaepPublicEncryptingKey,
}

/// Why an RSA operation failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RsaError {
    /// Not an RSA key that aws-lc-rs takes.
    Key,
    /// The input does not fit the key or the algorithm.
    Input,
    /// The ciphertext does not decode.
    Padding,
    /// No such algorithm.
    Algorithm,
}

impl RsaKey {
    /// Makes a key of 2048, 3072 or 4096 bits. Takes a second or more: not for an async thread.
    pub fn generate(bits: u32) -> Result<Self, RsaError> {
        let size = match bits {
            2048 => KeySize::Rsa2048,
            3072 => KeySize::Rsa3072,
            4096 => KeySize::Rsa4096,
            _ => return Err(RsaError::Key),
        };
        let pair = KeyPair::generate(size).map_err(|_| RsaError::Key)?;
        Self::from_pair(&pair)
    }

    /// Takes a PKCS#8 private key.
    pub fn from_pkcs8(pkcs8: &[u8]) -> Result<Self, RsaError> {
        let signing = KeyPair::from_pkcs8(pkcs8).map_err(|_| RsaError::Key)?;
        let private = PrivateDecryptingKey::from_pkcs8(pkcs8).map_err(|_| RsaError::Key)?;
        let encrypting = OaepPublicEncryptingKey::new(private.public_key()).map_err(|_| RsaError::Key)?;
        let decrypting = OaepPrivateDecryptingKey::new(private).map_err(|_| RsaError::Key)?;
        Ok(Self {
            pkcs8: pkcs8.to_vec(),
            signing,
            decrypting,
            encrypting,
        })
    }

    /// Takes a private JWK's members `n e d p q dp dq qi`, each base64url.
    pub fn from_jwk(jwk: &serde_json::Value) -> Result<Self, RsaError> {
        let part = |name: &str| jwk[name].as_str().and_then(unb64).ok_or(RsaError::Key);
        let components = KeyPairComponents {
            public_key: PublicKeyComponents {
                n: part("n")?,
                e: part("e")?,
            },
            d: part("d")?,
            p: part("p")?,
            q: part("q")?,
            dP: part("dp")?,
            dQ: part("dq")?,
            qInv: part("qi")?,
        };
        Self::from_pair(&KeyPair::from_components(&components).map_err(|_| RsaError::Key)?)
    }

    fn from_pair(pair: &KeyPair) -> Result<Self, RsaError> {
        let der: Pkcs8V1Der<'_> = pair.as_der().map_err(|_| RsaError::Key)?;
        Self::from_pkcs8(der.as_ref())
    }

    /// The key as PKCS#8.
    #[must_use]
    pub fn pkcs8(&self) -> &[u8] {
        &self.pkcs8
    }

    /// The modulus' size.
    #[must_use]
    pub fn bits(&self) -> usize {
        self.encrypting.key_size_bits()
    }

    /// Modulus and exponent in base64url, as a JWK has them.
    #[must_use]
    pub fn modulus_and_exponent(&self) -> (String, String) {
        let public = self.signing.public_key();
        (
            b64(public.modulus().big_endian_without_leading_zero()),
            b64(public.exponent().big_endian_without_leading_zero()),
        )
    }

    /// Encrypts with RSA-OAEP or RSA-OAEP-256.
    pub fn encrypt(&self, alg: &str, plaintext: &[u8]) -> Result<Vec<u8>, RsaError> {
        let mut out = vec![0; self.encrypting.ciphertext_size()];
        let len = self
            .encrypting
            .encrypt(oaep(alg)?, plaintext, &mut out, None)
            .map_err(|_| RsaError::Input)?
            .len();
        out.truncate(len);
        Ok(out)
    }

    /// Decrypts with RSA-OAEP or RSA-OAEP-256.
    pub fn decrypt(&self, alg: &str, ciphertext: &[u8]) -> Result<Vec<u8>, RsaError> {
        let mut out = vec![0; self.decrypting.min_output_size()];
        let len = self
            .decrypting
            .decrypt(oaep(alg)?, ciphertext, &mut out, None)
            .map_err(|_| RsaError::Padding)?
            .len();
        out.truncate(len);
        Ok(out)
    }

    /// Signs a digest: RS256, RS384, RS512, PS256, PS384 or PS512.
    pub fn sign(&self, alg: &str, hash: &[u8]) -> Result<Vec<u8>, RsaError> {
        let (encoding, _, digest_alg) = signing(alg)?;
        let hash = Digest::import_less_safe(hash, digest_alg).map_err(|_| RsaError::Input)?;
        let mut out = vec![0; self.signing.public_modulus_len()];
        self.signing
            .sign_digest(encoding, &hash, &mut out)
            .map_err(|_| RsaError::Input)?;
        Ok(out)
    }

    /// Verifies a signature of a digest.
    pub fn verify(&self, alg: &str, hash: &[u8], signature: &[u8]) -> Result<bool, RsaError> {
        let (_, params, digest_alg) = signing(alg)?;
        let hash = Digest::import_less_safe(hash, digest_alg).map_err(|_| RsaError::Input)?;
        let public = UnparsedPublicKey::new(params, self.signing.public_key().as_ref());
        Ok(public.verify_digest(&hash, signature).is_ok())
    }

    /// Signs a message with RS256, as tokens are.
    pub fn sign_message(&self, message: &[u8]) -> Result<Vec<u8>, RsaError> {
        let mut out = vec![0; self.signing.public_modulus_len()];
        self.signing
            .sign(&signature::RSA_PKCS1_SHA256, &SystemRandom::new(), message, &mut out)
            .map_err(|_| RsaError::Input)?;
        Ok(out)
    }

    /// Verifies a message's RS256 signature.
    #[must_use]
    pub fn verify_message(&self, message: &[u8], signature: &[u8]) -> bool {
        UnparsedPublicKey::new(
            &signature::RSA_PKCS1_2048_8192_SHA256,
            self.signing.public_key().as_ref(),
        )
        .verify(message, signature)
        .is_ok()
    }
}

fn oaep(alg: &str) -> Result<&'static OaepAlgorithm, RsaError> {
    match alg {
        "RSA-OAEP-256" => Ok(&OAEP_SHA256_MGF1SHA256),
        "RSA-OAEP" => Ok(&OAEP_SHA1_MGF1SHA1),
        _ => Err(RsaError::Algorithm),
    }
}

type Signing = (
    &'static dyn RsaEncoding,
    &'static RsaParameters,
    &'static digest::Algorithm,
);

fn signing(alg: &str) -> Result<Signing, RsaError> {
    Ok(match alg {
        "RS256" => (
            &signature::RSA_PKCS1_SHA256,
            &signature::RSA_PKCS1_2048_8192_SHA256,
            &digest::SHA256,
        ),
        "RS384" => (
            &signature::RSA_PKCS1_SHA384,
            &signature::RSA_PKCS1_2048_8192_SHA384,
            &digest::SHA384,
        ),
        "RS512" => (
            &signature::RSA_PKCS1_SHA512,
            &signature::RSA_PKCS1_2048_8192_SHA512,
            &digest::SHA512,
        ),
        "PS256" => (
            &signature::RSA_PSS_SHA256,
            &signature::RSA_PSS_2048_8192_SHA256,
            &digest::SHA256,
        ),
        "PS384" => (
            &signature::RSA_PSS_SHA384,
            &signature::RSA_PSS_2048_8192_SHA384,
            &digest::SHA384,
        ),
        "PS512" => (
            &signature::RSA_PSS_SHA512,
            &signature::RSA_PSS_2048_8192_SHA512,
            &digest::SHA512,
        ),
        _ => return Err(RsaError::Algorithm),
    })
}

impl std::fmt::Debug for RsaKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "RsaKey({} bits)", self.bits())
    }
}

impl Serialize for RsaKey {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&b64(&self.pkcs8))
    }
}

impl<'de> Deserialize<'de> for RsaKey {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let pkcs8 = unb64(&String::deserialize(deserializer)?).unwrap_or_default();
        Self::from_pkcs8(&pkcs8).map_err(|_| serde::de::Error::custom("not a PKCS#8 RSA key"))
    }
}

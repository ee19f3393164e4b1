//! Client assertions: signed by a registered certificate's key, or an external issuer's token.

use jsonwebtoken::{Algorithm, DecodingKey, Header, Validation, decode, decode_header, jwk::JwkSet};
use serde::Deserialize;
use sha2::{Digest, Sha256};
use time::Duration;
use x509_parser::prelude::{FromDer, X509Certificate};

use super::{error::TokenError, token::Proof};
use crate::{
    encoding::{b64, now, numeric_date, unb64},
    world::{FederatedIssuer, World},
};

/// What is advised for an assertion that a certificate's key signs. Entra itself puts no bound on it today.
const LONGEST: Duration = Duration::minutes(10);

/// How far a client's clock may be ahead.
const SKEW: Duration = Duration::minutes(5);

#[derive(Debug, Deserialize)]
struct Claims {
    iss: String,
    sub: String,
    aud: String,
    #[serde(default)]
    nbf: f64,
    /// The official Python SDK sends a fraction.
    exp: f64,
    #[serde(default)]
    jti: Option<String>,
}

/// Checks an assertion of either kind.
pub(super) fn prove(world: &World, proof: &Proof<'_>, assertion: &str) -> Result<(), TokenError> {
    let kind = proof.form.get("client_assertion_type").map(String::as_str);
    if kind != Some("urn:ietf:params:oauth:client-assertion-type:jwt-bearer") {
        return Err(TokenError::bad_request("The client assertion type is not valid."));
    }
    let header = decode_header(assertion).map_err(|_| TokenError::bad_assertion("the assertion is malformed"))?;
    let claims = unverified(assertion).ok_or_else(|| TokenError::bad_assertion("the claims are malformed"))?;
    let federated = proof
        .application
        .federated
        .iter()
        .find(|issuer| issuer.issuer == claims.iss);
    match federated {
        Some(issuer) => prove_federated(world, issuer, assertion, &header, &claims),
        None => prove_certificate(proof, assertion, &header, &claims),
    }
}

fn prove_certificate(proof: &Proof<'_>, assertion: &str, header: &Header, claims: &Claims) -> Result<(), TokenError> {
    let key = proof
        .application
        .certificates
        .iter()
        .find_map(|certificate| key_of(&certificate.pem, header))
        .ok_or_else(TokenError::unknown_certificate)?;
    verify(assertion, &key)?;
    let client_id = proof.client_id.to_string();
    if claims.iss != client_id || claims.sub != client_id || claims.jti.is_none() {
        return Err(TokenError::bad_assertion(
            "iss and sub must be the client id, and jti is required",
        ));
    }
    let base = format!("https://{}/{}", proof.host, proof.tenant);
    if ![format!("{base}/oauth2/v2.0/token"), format!("{base}/v2.0")].contains(&claims.aud) {
        return Err(TokenError::bad_assertion("aud is not this token endpoint"));
    }
    if numeric_date(claims.exp) > now() + LONGEST + SKEW {
        return Err(TokenError::bad_assertion("exp is more than ten minutes away"));
    }
    within_its_time(claims)
}

fn prove_federated(
    world: &World,
    issuer: &FederatedIssuer,
    assertion: &str,
    header: &Header,
    claims: &Claims,
) -> Result<(), TokenError> {
    let kid = header.kid.as_deref().unwrap_or_default();
    let key = match &issuer.jwks {
        Some(jwks) => serde_json::from_value::<JwkSet>(jwks.clone())
            .ok()
            .and_then(|set| DecodingKey::from_jwk(set.find(kid)?).ok()),
        None => world.signing_keys.iter().find(|key| key.kid == kid).and_then(|key| {
            let (n, e) = key.key.modulus_and_exponent();
            DecodingKey::from_rsa_components(&n, &e).ok()
        }),
    };
    verify(
        assertion,
        &key.ok_or_else(|| TokenError::bad_assertion("the issuer's key was not found"))?,
    )?;
    if claims.sub != issuer.subject || claims.aud != issuer.audience {
        return Err(TokenError::bad_assertion(
            "no matching federated identity record for this subject and audience",
        ));
    }
    within_its_time(claims)
}

fn verify(assertion: &str, key: &DecodingKey) -> Result<(), TokenError> {
    let mut validation = Validation::new(Algorithm::RS256);
    validation.algorithms = vec![Algorithm::RS256, Algorithm::PS256];
    validation.validate_aud = false;
    validation.validate_exp = false;
    validation.required_spec_claims.clear();
    decode::<serde_json::Value>(assertion, key, &validation)
        .map(|_| ())
        .map_err(|_| TokenError::bad_assertion("the signature is not valid"))
}

fn within_its_time(claims: &Claims) -> Result<(), TokenError> {
    let (begins, ends) = (numeric_date(claims.nbf), numeric_date(claims.exp));
    let now = now();
    if begins <= now + SKEW && now < ends {
        Ok(())
    } else {
        Err(TokenError::assertion_out_of_time(begins, ends))
    }
}

fn unverified(assertion: &str) -> Option<Claims> {
    serde_json::from_slice(&unb64(assertion.split('.').nth(1)?)?).ok()
}

/// The public key of a certificate whose thumbprint the header names.
fn key_of(pem: &str, header: &Header) -> Option<DecodingKey> {
    let (_, pem) = x509_parser::pem::parse_x509_pem(pem.as_bytes()).ok()?;
    let sha256 = b64(&Sha256::digest(&pem.contents));
    let sha1 = b64(aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA1_FOR_LEGACY_USE_ONLY, &pem.contents).as_ref());
    // The official Python SDK pads its thumbprints, against RFC 7515, and Entra takes them.
    let names = |given: &Option<String>, thumbprint: &str| {
        given
            .as_deref()
            .is_some_and(|given| given.trim_end_matches('=') == thumbprint)
    };
    let named = names(&header.x5t_s256, &sha256) || names(&header.x5t, &sha1);
    let (_, certificate) = X509Certificate::from_der(&pem.contents).ok()?;
    named.then(|| DecodingKey::from_rsa_der(&certificate.public_key().subject_public_key.data))
}

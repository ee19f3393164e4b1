//! Who we are in a customer's directory. Only a token says so: the directory itself is not ours to read.

use base64_simd::URL_SAFE_NO_PAD;
use keyferry_crypto::{
    id::{Cloud, DirectoryId, VaultKind},
    vault::{VaultCause, VaultError},
};
use serde::Deserialize;
use uuid::Uuid;
use zeroize::Zeroizing;

use super::PrincipalFacts;
use crate::{
    credential::{Audience, Service},
    vault::AzureKeyVault,
};

impl AzureKeyVault {
    /// Asks for a fresh token, past everything that is kept, and reads who we are from it. The token is in use from then on,
    /// so that a consent that was just given counts at once; and so does a refusal.
    pub async fn principal(&self, cloud: Cloud, directory: DirectoryId) -> Result<PrincipalFacts, VaultError> {
        let audience = Audience {
            directory,
            cloud,
            service: Service::Vaults(VaultKind::KeyVault),
        };
        let attempt = || self.tokens.fresh(audience);
        let token = self.ask_openly(VaultCause::EntraUnavailable, attempt).await?;
        facts(token.expose()).ok_or_else(|| VaultCause::EntraUnavailable.into())
    }
}

/// Reads a token that Entra itself has just handed us, for nothing but these two ids: its signature is the vault's to check.
fn facts(token: &str) -> Option<PrincipalFacts> {
    let (_, rest) = token.split_once('.')?;
    let (payload, _) = rest.split_once('.')?;
    let payload = Zeroizing::new(URL_SAFE_NO_PAD.decode_to_vec(payload).ok()?);
    let Claims { tid, oid } = serde_json::from_slice(&payload).ok()?;
    Some(PrincipalFacts {
        directory: DirectoryId(tid),
        object_id: oid,
    })
}

#[derive(Deserialize)]
struct Claims {
    tid: Uuid,
    oid: Uuid,
}

#[cfg(test)]
mod tests {
    use super::*;

    fn token(payload: &str) -> String {
        format!("e30.{}.c2ln", URL_SAFE_NO_PAD.encode_to_string(payload))
    }

    #[test]
    fn a_token_tells_its_directory_and_its_principal() {
        let (tid, oid) = (Uuid::from_u128(1), Uuid::from_u128(2));
        let told = facts(&token(&format!(r#"{{"aud":"a","tid":"{tid}","oid":"{oid}"}}"#)));
        let expected = PrincipalFacts {
            directory: DirectoryId(tid),
            object_id: oid,
        };
        assert_eq!(told, Some(expected));
    }

    #[test]
    fn what_is_no_token_tells_nothing() {
        for text in ["", "opaque", "e30.e30", "e30.!.c2ln", &token("{}"), &token("[]")] {
            assert_eq!(facts(text), None, "{text}");
        }
    }
}

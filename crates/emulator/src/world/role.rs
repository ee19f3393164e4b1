//! Azure's built-in roles for keys, and who has them where.
//! <https://learn.microsoft.com/azure/role-based-access-control/built-in-roles/security>

use serde::{Deserialize, Serialize};
use uuid::Uuid;

/// A role assignment on a vault or on one of its keys.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Assignment {
    /// The principal's object id.
    pub principal: Uuid,
    /// The role.
    pub role: Role,
    /// Where it holds.
    pub scope: Scope,
}

/// A built-in role.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Role {
    /// Key Vault Crypto User, 12338af0-0e69-4776-bea7-57ae8d297424.
    CryptoUser,
    /// Key Vault Reader, 21090545-7ca7-4776-b22c-e363652d74d2.
    Reader,
    /// Key Vault Crypto Service Encryption User, e147488a-f6f5-4113-8e2d-b22465e65bf6 (on a Managed HSM its local twin).
    CryptoServiceEncryptionUser,
    /// Key Vault Crypto Officer, 14b46e9e-c2b7-41b4-b07b-48a6ebf60603: every key operation.
    CryptoOfficer,
}

/// Where an assignment holds.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Scope {
    /// The whole vault.
    Vault,
    /// One key, all versions.
    Key(String),
}

/// What a caller wants to do with keys: the part of a data action behind `Microsoft.KeyVault/vaults/`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Action {
    /// `keys/unwrap/action`.
    pub(crate) rbac: &'static str,
    /// `unwrapKey`, as access policies name it.
    pub(crate) policy: &'static str,
}

impl Role {
    /// Whether the role's data actions contain this one.
    pub(crate) fn allows(self, action: Action) -> bool {
        let read = action.rbac == "keys/read" || action.rbac == "keyrotationpolicies/read";
        match self {
            Self::CryptoOfficer => true,
            Self::Reader => read,
            Self::CryptoServiceEncryptionUser => {
                matches!(action.rbac, "keys/read" | "keys/wrap/action" | "keys/unwrap/action")
            }
            Self::CryptoUser => matches!(
                action.rbac,
                "keys/read"
                    | "keys/update/action"
                    | "keys/backup/action"
                    | "keys/encrypt/action"
                    | "keys/decrypt/action"
                    | "keys/wrap/action"
                    | "keys/unwrap/action"
                    | "keys/sign/action"
                    | "keys/verify/action"
            ),
        }
    }

    /// For asymmetric keys whoever may read the key may also encrypt, wrap and verify: that needs the public half only.
    pub(crate) fn allows_public(self, action: Action) -> bool {
        let public = matches!(
            action.rbac,
            "keys/encrypt/action" | "keys/wrap/action" | "keys/verify/action"
        );
        public
            && self.allows(Action {
                rbac: "keys/read",
                policy: "get",
            })
    }
}

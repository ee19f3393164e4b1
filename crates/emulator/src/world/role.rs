//! Azure's built-in roles for vaults, and who has them where.
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
    /// Key Vault Administrator, 00482a5a-887f-4fb3-b363-3b7fe8e74483: keys, secrets and certificates.
    Administrator,
    /// Key Vault Secrets User, 4633458b-17de-408a-b874-0445c86b69e6.
    SecretsUser,
    /// Key Vault Secrets Officer, b86a8fe4-44ce-4948-aee5-eccb2c155cd7.
    SecretsOfficer,
    /// Key Vault Contributor, f25e0fa2-a7c8-4377-a976-54943a77a395: the vault itself, and nothing in it.
    VaultContributor,
    /// Reader of all that the resource manager manages, acdd72a7-3385-48ef-bd42-f606fba81ae7: the vault itself, and nothing
    /// in it.
    AzureReader,
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

/// What a caller wants to do with what is in a vault: the part of a data action behind `Microsoft.KeyVault/vaults/`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Action {
    /// `keys/unwrap/action`.
    pub(crate) rbac: &'static str,
    /// `unwrapKey`, as access policies name it; `secrets/list` for what is not about keys.
    pub(crate) policy: &'static str,
}

impl Role {
    /// The data actions of its definition, behind `Microsoft.KeyVault/vaults/`.
    fn data_actions(self) -> &'static [&'static str] {
        match self {
            Self::CryptoUser => &[
                "keys/read",
                "keys/update/action",
                "keys/backup/action",
                "keys/encrypt/action",
                "keys/decrypt/action",
                "keys/wrap/action",
                "keys/unwrap/action",
                "keys/sign/action",
                "keys/verify/action",
            ],
            Self::Reader => &["*/read", "secrets/readMetadata/action"],
            Self::CryptoServiceEncryptionUser => &["keys/read", "keys/wrap/action", "keys/unwrap/action"],
            Self::CryptoOfficer => &["keys/*", "keyrotationpolicies/*"],
            Self::Administrator => &["*"],
            Self::SecretsUser => &["secrets/getSecret/action", "secrets/readMetadata/action"],
            Self::SecretsOfficer => &["secrets/*"],
            Self::VaultContributor | Self::AzureReader => &[],
        }
    }

    /// The actions of its definition that concern vaults. Those that concern anything else are left out.
    fn actions(self) -> &'static [&'static str] {
        match self {
            Self::Reader | Self::CryptoOfficer | Self::Administrator | Self::SecretsOfficer => {
                &["Microsoft.KeyVault/vaults/*/read"]
            }
            Self::VaultContributor => &["Microsoft.KeyVault/*"],
            Self::AzureReader => &["*/read"],
            Self::CryptoUser | Self::CryptoServiceEncryptionUser | Self::SecretsUser => &[],
        }
    }

    /// Whether the role's data actions contain this one.
    pub(crate) fn allows(self, action: Action) -> bool {
        self.data_actions().iter().any(|pattern| covers(pattern, action.rbac))
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

    /// Whether the role's actions contain this one of the resource manager. Whether `vaults/*/read` covers `vaults/read`
    /// is not known of Azure, so it is told by `reader_reads_vaults`.
    pub(crate) fn manages(self, action: &str, reader_reads_vaults: bool) -> bool {
        self.actions().iter().any(|pattern| {
            covers(pattern, action)
                || (reader_reads_vaults
                    && *pattern == "Microsoft.KeyVault/vaults/*/read"
                    && action == "Microsoft.KeyVault/vaults/read")
        })
    }
}

/// Whether a pattern with at most one `*`, which stands for anything, covers an action.
fn covers(pattern: &str, action: &str) -> bool {
    match pattern.split_once('*') {
        Some((before, after)) => action.strip_prefix(before).is_some_and(|rest| rest.ends_with(after)),
        None => pattern == action,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_role_may_what_its_published_definition_says() {
        use Role::{
            Administrator, AzureReader, CryptoOfficer, CryptoServiceEncryptionUser, CryptoUser, Reader, SecretsOfficer,
            SecretsUser, VaultContributor,
        };

        let all = [
            CryptoUser,
            Reader,
            CryptoServiceEncryptionUser,
            CryptoOfficer,
            Administrator,
            SecretsUser,
            SecretsOfficer,
            VaultContributor,
            AzureReader,
        ];
        let who = |rbac| {
            let action = Action { rbac, policy: "" };
            all.into_iter().filter(|role| role.allows(action)).collect::<Vec<_>>()
        };
        assert_eq!(
            who("keys/read"),
            [
                CryptoUser,
                Reader,
                CryptoServiceEncryptionUser,
                CryptoOfficer,
                Administrator
            ]
        );
        assert_eq!(
            who("keys/unwrap/action"),
            [CryptoUser, CryptoServiceEncryptionUser, CryptoOfficer, Administrator]
        );
        assert_eq!(who("keys/sign/action"), [CryptoUser, CryptoOfficer, Administrator]);
        assert_eq!(who("keys/backup/action"), [CryptoUser, CryptoOfficer, Administrator]);
        assert_eq!(who("keys/delete"), [CryptoOfficer, Administrator]);
        assert_eq!(who("keys/purge/action"), [CryptoOfficer, Administrator]);
        assert_eq!(who("keyrotationpolicies/read"), [Reader, CryptoOfficer, Administrator]);
        assert_eq!(
            who("secrets/readMetadata/action"),
            [Reader, Administrator, SecretsUser, SecretsOfficer]
        );
        assert_eq!(
            who("secrets/getSecret/action"),
            [Administrator, SecretsUser, SecretsOfficer]
        );
    }

    #[test]
    fn who_reads_the_vault_itself_is_a_matter_of_how_a_wildcard_is_read() {
        let reads = |role: Role, generous| role.manages("Microsoft.KeyVault/vaults/read", generous);
        assert!(reads(Role::VaultContributor, false) && reads(Role::AzureReader, false));
        assert!(reads(Role::Reader, true) && !reads(Role::Reader, false));
        assert!(!reads(Role::CryptoUser, true));
        let approves = |role: Role| role.manages("Microsoft.KeyVault/vaults/privateEndpointConnections/write", true);
        assert!(approves(Role::VaultContributor) && !approves(Role::AzureReader) && !approves(Role::Reader));
    }
}

//! The roles that are asked for. Ids and contents: <https://learn.microsoft.com/azure/role-based-access-control/built-in-roles/security>.

/// One of Azure's built-in roles.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Role {
    /// Wraps and unwraps; also encrypts, decrypts, signs, verifies, changes and backs up keys.
    CryptoUser,
    /// Reads what vaults, keys and secrets are called and how they are set, never a secret's value.
    Reader,
    /// Reads a key, wraps and unwraps: all that is needed.
    CryptoServiceEncryptionUser,
}

/// Which roles are asked for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Roles {
    /// The guide's: Key Vault Crypto User and Key Vault Reader.
    #[default]
    UserAndReader,
    /// The tighter choice: Key Vault Crypto Service Encryption User alone. What a Reader sees is then not checked.
    EncryptionUser,
}

impl Role {
    /// Its id, the same in every directory.
    #[must_use]
    pub fn id(self) -> &'static str {
        match self {
            Self::CryptoUser => "12338af0-0e69-4776-bea7-57ae8d297424",
            Self::Reader => "21090545-7ca7-4776-b22c-e363652d74d2",
            Self::CryptoServiceEncryptionUser => "e147488a-f6f5-4113-8e2d-b22465e65bf6",
        }
    }

    /// Its name, as the portal shows it.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::CryptoUser => "Key Vault Crypto User",
            Self::Reader => "Key Vault Reader",
            Self::CryptoServiceEncryptionUser => "Key Vault Crypto Service Encryption User",
        }
    }
}

impl Roles {
    /// The roles.
    #[must_use]
    pub fn all(self) -> &'static [Role] {
        match self {
            Self::UserAndReader => &[Role::CryptoUser, Role::Reader],
            Self::EncryptionUser => &[Role::CryptoServiceEncryptionUser],
        }
    }

    /// The condition by which the command line tells an assignment of one of these roles.
    pub(super) fn filter(self) -> String {
        let ids = self
            .all()
            .iter()
            .map(|role| format!("ends_with(roleDefinitionId, `\"/{}\"`)", role.id()));
        ids.collect::<Vec<_>>().join(" || ")
    }
}

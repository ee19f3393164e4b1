//! A customer's Key Vault, reached through the official SDK.

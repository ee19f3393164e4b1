//! Making a vault.

use std::{collections::BTreeMap, sync::Arc};

use axum::{
    body::Body,
    extract::{Path, State as Shared},
};
use http::Response;
use uuid::Uuid;

use super::{
    super::{Portal, Refused, sent::Sent},
    directory_page,
};
use crate::{
    entra::vault_suffixes,
    form::Form,
    order::{Order, carry_out},
    state::State,
    world::VaultOptions,
};

/// `POST /directories/{directory}/vaults`: `name`, `suffix`, `access` (`roles` or `policies`), `purge_protection`.
pub(in crate::portal) async fn create(
    Shared(portal): Shared<Arc<Portal>>,
    Path(directory): Path<Uuid>,
    Sent(form): Sent,
) -> Response<Body> {
    let act = move |state: &State| {
        let host = host(&form)?;
        // Names of vaults are everyone's.
        if state.world().vaults.contains_key(&host) {
            return Err(Refused(format!("There is a vault at {host} already.")));
        }
        let options = VaultOptions {
            access_policies: (form.text("access") == "policies").then(BTreeMap::new),
            purge_protection: form.text("purge_protection") == "on",
            ..VaultOptions::default()
        };
        let said = format!("The vault {host} was created.");
        carry_out(
            state,
            Order::CreateVault {
                host,
                directory,
                options,
            },
        )?;
        Ok(said)
    };
    portal.act(directory_page(directory), act).await
}

fn host(form: &Form) -> Result<String, Refused> {
    let (name, suffix) = (form.text("name"), form.text("suffix"));
    if !is_vault_name(name) {
        let rule = "A vault’s name is 3 to 24 letters, digits and single hyphens, begins with a letter and does not end with a hyphen.";
        return Err(Refused(rule.to_owned()));
    }
    let known = vault_suffixes().find(|known| *known == suffix);
    let suffix = known.ok_or_else(|| Refused(format!("No vault is at “{suffix}”.")))?;
    Ok(format!("{}.{suffix}", name.to_ascii_lowercase()))
}

fn is_vault_name(name: &str) -> bool {
    (3..=24).contains(&name.len())
        && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-')
        && name.starts_with(|first: char| first.is_ascii_alphabetic())
        && !name.ends_with('-')
        && !name.contains("--")
}

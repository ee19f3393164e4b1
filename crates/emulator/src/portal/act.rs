//! What people do. Each act is an order, as far as there is one, and ends on the page that it was done from.

pub(super) mod access;
pub(super) mod connections;
pub(super) mod consent;
pub(super) mod keys;
pub(super) mod roles;
pub(super) mod settings;
pub(super) mod vaults;

use uuid::Uuid;

use super::Refused;
use crate::{form::Form, state::State, world::World};

/// The id in a field.
fn id(form: &Form, field: &str) -> Result<Uuid, Refused> {
    let given = form.text(field);
    let why = || Refused(format!("It was not done: “{given}” is no ID."));
    given.parse().map_err(|_| why())
}

/// What the principal of an object id is called by the vault's owner.
fn principal(world: &World, host: &str, oid: Uuid) -> String {
    let directory = world.vaults.get(host).map(|vault| vault.directory);
    super::name::principal(world, directory.unwrap_or_default(), oid)
}

/// How long changes of roles take, in seconds.
fn role_seconds(state: &State) -> u32 {
    state.world().propagation.role_seconds
}

fn directory_page(directory: Uuid) -> String {
    format!("/directories/{directory}")
}

fn vault_page(host: &str) -> String {
    format!("/vaults/{host}")
}

/// What is said of a change that is not known everywhere at once.
fn propagates(seconds: u32) -> String {
    match seconds {
        0 => String::new(),
        seconds => format!(" It takes {seconds} seconds until that is known everywhere."),
    }
}

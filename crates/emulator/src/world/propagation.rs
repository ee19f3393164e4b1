//! How long it takes until what was changed is known everywhere: in Azure seconds for consent, minutes for roles.
//! <https://learn.microsoft.com/azure/role-based-access-control/troubleshooting>

use serde::{Deserialize, Serialize};

use super::{Assignment, Principal, Vault, World};
use crate::encoding::unix_now;

/// How long what people do takes, in seconds; orders say for themselves.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Propagation {
    /// From consent until the principal may be used.
    pub consent_seconds: u32,
    /// From a role's assignment until it works, and from its removal until it works no longer.
    pub role_seconds: u32,
}

/// A change of a role assignment that its vault does not know of yet.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Propagating {
    /// What was given or taken away.
    pub assignment: Assignment,
    /// Which of the two.
    pub change: Change,
    /// When the vault knows of it: seconds since 1970.
    pub known_from: i64,
}

/// What became of a role assignment.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Change {
    /// It was given, and does not work yet.
    Given,
    /// It was taken away, and still works.
    Taken,
}

impl World {
    /// Ends all waiting: whatever was changed is known from now on.
    pub fn end_propagation(&mut self) {
        let principals = self
            .directories
            .values_mut()
            .flat_map(|directory| directory.principals.values_mut());
        principals.for_each(|principal| principal.usable_from = None);
        self.vaults.values_mut().for_each(|vault| vault.propagating.clear());
    }
}

impl Principal {
    /// Whether Entra knows of it yet.
    #[must_use]
    pub fn is_usable(&self) -> bool {
        self.usable_from.is_none_or(|from| from <= unix_now())
    }
}

impl Vault {
    /// Gives a role, which works after so many seconds. One that works already goes on working.
    pub fn assign(&mut self, assignment: Assignment, after_seconds: u32) {
        let works = self.works(&assignment);
        if !self.assignments.contains(&assignment) {
            self.assignments.push(assignment.clone());
        }
        let lasting = if works { 0 } else { after_seconds };
        self.propagate(assignment, Change::Given, lasting);
    }

    /// Takes a role away, which works no longer after so many seconds. One that does not work yet never will.
    pub fn unassign(&mut self, assignment: &Assignment, after_seconds: u32) {
        let works = self.works(assignment);
        self.assignments.retain(|held| held != assignment);
        let lasting = if works { after_seconds } else { 0 };
        self.propagate(assignment.clone(), Change::Taken, lasting);
    }

    /// The role assignments that the vault goes by at this moment.
    pub(crate) fn in_force(&self) -> impl Iterator<Item = &Assignment> {
        let held = self
            .assignments
            .iter()
            .filter(|held| !self.under_way(Change::Given).any(|given| given == *held));
        held.chain(self.under_way(Change::Taken))
    }

    /// Whether this very assignment is in force.
    pub(crate) fn works(&self, assignment: &Assignment) -> bool {
        self.in_force().any(|held| held == assignment)
    }

    fn under_way(&self, change: Change) -> impl Iterator<Item = &Assignment> {
        let now = unix_now();
        self.propagating
            .iter()
            .filter(move |propagating| propagating.change == change && now < propagating.known_from)
            .map(|propagating| &propagating.assignment)
    }

    /// Takes the place of whatever else was under way of this assignment.
    fn propagate(&mut self, assignment: Assignment, change: Change, seconds: u32) {
        self.propagating
            .retain(|propagating| propagating.assignment != assignment);
        if seconds > 0 {
            self.propagating.push(Propagating {
                assignment,
                change,
                known_from: unix_now() + i64::from(seconds),
            });
        }
    }
}

#[cfg(test)]
mod tests {
    use uuid::Uuid;

    use super::*;
    use crate::world::{Role, Scope, VaultOptions};

    fn vault() -> Vault {
        Vault::new("acme.vault.azure.net", Uuid::nil(), VaultOptions::default())
    }

    fn assignment() -> Assignment {
        Assignment {
            principal: Uuid::max(),
            role: Role::CryptoUser,
            scope: Scope::Vault,
        }
    }

    /// As if the waiting had gone on until its end.
    fn let_time_pass(vault: &mut Vault) {
        for propagating in &mut vault.propagating {
            propagating.known_from = unix_now();
        }
    }

    #[test]
    fn a_role_works_once_its_waiting_is_over_and_not_before() {
        let mut vault = vault();
        vault.assign(assignment(), 600);
        assert!(!vault.works(&assignment()));
        let_time_pass(&mut vault);
        assert!(vault.works(&assignment()));
    }

    #[test]
    fn a_role_that_was_taken_away_works_until_its_waiting_is_over() {
        let mut vault = vault();
        vault.assign(assignment(), 0);
        vault.unassign(&assignment(), 600);
        assert!(vault.works(&assignment()) && vault.assignments.is_empty());
        let_time_pass(&mut vault);
        assert!(!vault.works(&assignment()));
    }

    #[test]
    fn a_role_that_works_is_not_made_to_wait_by_being_given_again() {
        let mut vault = vault();
        vault.assign(assignment(), 0);
        vault.assign(assignment(), 600);
        assert!(vault.works(&assignment()));
        assert_eq!(vault.assignments.len(), 1);
    }

    #[test]
    fn a_role_that_never_worked_does_not_begin_to_when_it_is_taken_away() {
        let mut vault = vault();
        vault.assign(assignment(), 600);
        vault.unassign(&assignment(), 600);
        assert!(!vault.works(&assignment()));
        let_time_pass(&mut vault);
        assert!(!vault.works(&assignment()));
    }
}

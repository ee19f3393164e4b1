//! A form's field, with what was entered in it and why that was not taken.

use keyferry_onboarding::intake::{Field, Refusal};
use zeroize::Zeroizing;

use crate::onboarding::fields::{Fields, name};

/// What was entered in vain.
#[derive(Default)]
pub(in crate::onboarding) struct Entered {
    kept: Vec<(Field, Zeroizing<String>)>,
    errors: Vec<FieldError>,
}

/// Why a field was not taken.
pub(in crate::onboarding) struct FieldError {
    field: Field,
    /// The field's name in forms.
    pub(in crate::onboarding) name: &'static str,
    /// What it is called.
    pub(in crate::onboarding) label: &'static str,
    /// Why, and what to enter instead. Does not repeat what was entered.
    pub(in crate::onboarding) text: String,
}

/// A field.
pub(in crate::onboarding) struct FieldView {
    pub(in crate::onboarding) name: &'static str,
    pub(in crate::onboarding) label: &'static str,
    pub(in crate::onboarding) hint: &'static str,
    pub(in crate::onboarding) example: &'static str,
    pub(in crate::onboarding) value: String,
    pub(in crate::onboarding) error: Option<String>,
}

impl Entered {
    /// What was entered in a form that was refused. What may be a secret is not shown again.
    pub(in crate::onboarding) fn refused(fields: &Fields, refused: &[(Field, Refusal)]) -> Self {
        let is_secret = |field| {
            let mut refused = refused.iter();
            refused.any(|(of, refusal)| *of == field && refusal.may_hold_a_secret())
        };
        let kept = fields
            .entered()
            .filter(|(field, _)| !is_secret(*field))
            .map(|(field, value)| (field, Zeroizing::new(value.to_owned())))
            .collect();
        let errors = refused.iter().map(|(field, refusal)| FieldError {
            field: *field,
            name: name(*field),
            label: label(*field),
            text: refusal.to_string(),
        });
        Self {
            kept,
            errors: errors.collect(),
        }
    }

    /// Why fields were not taken.
    pub(super) fn errors(&self) -> Vec<&FieldError> {
        self.errors.iter().collect()
    }

    fn error(&self, field: Field) -> Option<&FieldError> {
        self.errors.iter().find(|error| error.field == field)
    }

    /// What is to stand in a field: what was entered in it; nothing, if that may be a secret; else the answer.
    fn value(&self, field: Field, answer: Option<String>) -> String {
        let kept = self.kept.iter().find(|(of, _)| *of == field);
        match kept {
            Some((_, value)) => value.to_string(),
            None if self.error(field).is_some() => String::new(),
            None => answer.unwrap_or_default(),
        }
    }
}

impl FieldView {
    pub(super) fn new(field: Field, answer: Option<String>, entered: &Entered) -> Self {
        let (hint, example) = hint(field);
        Self {
            name: name(field),
            label: label(field),
            hint,
            example,
            value: entered.value(field, answer),
            error: entered.error(field).map(|error| error.text.clone()),
        }
    }
}

fn label(field: Field) -> &'static str {
    match field {
        Field::Directory => "Tenant ID",
        Field::Vault => "Vault URI",
        Field::Key => "Key name or Key Identifier",
        Field::Resource => "Resource ID of your vault",
    }
}

/// Where the answer is found, and what one looks like.
fn hint(field: Field) -> (&'static str, &'static str) {
    match field {
        Field::Directory => (
            "In the Azure portal: Microsoft Entra ID, Overview, Tenant ID.",
            "5f0b4d3e-7a1c-4c2f-9a0e-0d6b4f7c2a11",
        ),
        Field::Vault => (
            "In the Azure portal: your key vault, Overview, Vault URI. A Key Identifier does too.",
            "https://contoso-keys.vault.azure.net/",
        ),
        Field::Key => (
            "The key's name, or its Key Identifier from the key's page. With a version we stay at that version; without one we follow the newest.",
            "customer-key",
        ),
        Field::Resource => (
            "In the Azure portal: your key vault, Properties, Resource ID.",
            "/subscriptions/…/resourceGroups/…/providers/Microsoft.KeyVault/vaults/contoso-keys",
        ),
    }
}

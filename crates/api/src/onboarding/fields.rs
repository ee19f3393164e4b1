//! The answers' fields in a form.

use keyferry_onboarding::{
    Typed,
    intake::{Field, Refusal},
};
use keyferry_registry::onboarding::Answers;
use zeroize::Zeroizing;

use super::trouble::Trouble;
use crate::body::FormPayload;

/// What a form's fields hold. A field that was not sent is absent.
#[derive(Default)]
pub(super) struct Fields {
    entered: Vec<(Field, Zeroizing<String>)>,
}

impl Fields {
    /// Reads a form. A field that we do not have, or that comes twice, is not in any form of ours.
    pub(super) fn read(form: &FormPayload) -> Result<Self, Trouble> {
        let mut fields = Self::default();
        for (name, value) in form.fields() {
            let field = named(&name).ok_or(Trouble::NotOurForm)?;
            if fields.get(field).is_some() {
                return Err(Trouble::NotOurForm);
            }
            fields.entered.push((field, Zeroizing::new(value.into_owned())));
        }
        Ok(fields)
    }

    /// What was entered in a field, if it was sent.
    pub(super) fn get(&self, field: Field) -> Option<&str> {
        let mut entered = self.entered.iter();
        entered.find(|(of, _)| *of == field).map(|(_, value)| value.as_str())
    }

    /// The fields that were sent, in their order.
    pub(super) fn entered(&self) -> impl Iterator<Item = (Field, &str)> {
        self.entered.iter().map(|(field, value)| (*field, value.as_str()))
    }

    /// The answers that they are. A field that was left empty beside one that was not is no answer: the form may be older than the
    /// answer that another window gave meanwhile, and must not take it back. A form that was emptied takes back what was answered;
    /// one that never held anything is refused at its first field.
    pub(super) fn typed(&self, before: &Answers) -> Result<Typed, (Field, Refusal)> {
        let mut typed = Typed::default();
        let mut is_empty = true;
        let says_something = self.entered().any(|(_, value)| !value.trim().is_empty());
        for (field, value) in self.entered() {
            if value.trim().is_empty() && (says_something || !is_answered(before, field)) {
                continue;
            }
            is_empty = false;
            let value = Some(value.to_owned());
            match field {
                Field::Directory => typed.directory = value,
                Field::Vault => typed.vault = value,
                Field::Key => typed.key = value,
                Field::Resource => typed.resource = value,
            }
        }
        match self.entered.first() {
            Some((first, _)) if is_empty => Err((*first, Refusal::Empty)),
            _ => Ok(typed),
        }
    }
}

/// A field's name in forms.
pub(super) fn name(field: Field) -> &'static str {
    match field {
        Field::Directory => "directory",
        Field::Vault => "vault",
        Field::Key => "key",
        Field::Resource => "resource",
    }
}

/// The part of the page that a field stands in.
pub(super) fn part(field: Field) -> &'static str {
    match field {
        Field::Directory => "authorize",
        Field::Vault | Field::Key => "vault-and-key",
        Field::Resource => "complete",
    }
}

fn named(text: &str) -> Option<Field> {
    [Field::Directory, Field::Vault, Field::Key, Field::Resource]
        .into_iter()
        .find(|field| name(*field) == text)
}

fn is_answered(answers: &Answers, field: Field) -> bool {
    match field {
        Field::Directory => answers.directory.is_some(),
        Field::Vault => answers.vault.is_some(),
        Field::Key => answers.key.is_some(),
        Field::Resource => answers.resource.is_some(),
    }
}

//! Reads answers as they are typed, and keeps nothing.

use axum::{
    Json,
    extract::State,
    response::{IntoResponse, Response},
};
use keyferry_crypto::id::VaultHost;
use keyferry_onboarding::intake::{self, Field, Refusal};
use keyferry_registry::onboarding::Onboarding;
use serde::Serialize;

use super::{
    Pages,
    fields::{Fields, name},
    holder::{Holder, pages},
    same_origin::SameOrigin,
    trouble::Trouble,
};
use crate::{app::App, body::FormPayload, problem::Problem};

/// What a field's text is understood as, or why it is not.
#[derive(Serialize)]
struct Reading {
    field: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    understood: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    refused: Option<String>,
}

/// Reads the fields of a form.
pub(super) async fn parse(
    State(app): State<App>,
    _: SameOrigin,
    holder: Holder,
    form: Result<FormPayload, Problem>,
) -> Result<Response, Trouble> {
    let pages = pages(&app)?;
    pages.rates.parse(holder.onboarding.tenant)?;
    let fields = Fields::read(&form?)?;
    let readings: Vec<_> = fields
        .entered()
        .map(|(field, text)| Reading::new(field, read(pages, &holder.onboarding, &fields, field, text)))
        .collect();
    Ok(Json(readings).into_response())
}

impl Reading {
    fn new(field: Field, read: Result<String, Refusal>) -> Self {
        let (understood, refused) = match read {
            Ok(understood) => (Some(understood), None),
            Err(refusal) => (None, Some(refusal.to_string())),
        };
        Self {
            field: name(field),
            understood,
            refused,
        }
    }
}

/// The canonical form of a field's text. The vault that the others belong to is the form's, if it has one that is understood.
fn read(pages: &Pages, onboarding: &Onboarding, fields: &Fields, field: Field, text: &str) -> Result<String, Refusal> {
    let cloud = onboarding.cloud;
    let in_form = fields
        .get(Field::Vault)
        .and_then(|text| intake::vault(cloud, text).ok());
    let vault: Option<&VaultHost> = in_form
        .as_ref()
        .map(intake::VaultAnswer::vault)
        .or(onboarding.answers.vault.as_ref());
    match field {
        Field::Directory => {
            let ours = pages.onboardings.facts(onboarding).application.client_id;
            intake::directory(ours, text).map(|directory| directory.to_string())
        }
        Field::Vault => intake::vault(cloud, text).map(|vault| vault.to_string()),
        Field::Key => intake::key(cloud, vault, text).map(|key| key.to_string()),
        Field::Resource => intake::vault_resource(vault, text).map(|resource| resource.to_string()),
    }
}

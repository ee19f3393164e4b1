//! Hands out a customer's instructions.

use axum::{
    extract::{FromRequestParts, RawPathParams},
    response::{IntoResponse, Response},
};
use http::{header, request::Parts};

use super::AdministeredOnboarding;
use crate::{
    admin::ToRead,
    app::App,
    onboarding::Form,
    problem::{Kind, Problem},
};

/// The form that the path names.
pub(super) struct AskedForm(Form);

impl FromRequestParts<App> for AskedForm {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, app: &App) -> Result<Self, Problem> {
        let unknown = || Problem::new(Kind::RouteNotFound);
        let parameters = RawPathParams::from_request_parts(parts, app)
            .await
            .map_err(|_| unknown())?;
        let named = parameters.iter().find(|(name, _)| *name == "form");
        named
            .and_then(|(_, name)| Form::named(name))
            .map(Self)
            .ok_or_else(unknown)
    }
}

/// The customer's instructions with its own values.
///
/// What is not known yet is a placeholder: commands refuse to run with one, Bicep and Terraform ask for it.
#[utoipa::path(
    get,
    path = "/v1/admin/onboardings/{tenant}/instructions/{form}",
    tag = "onboarding",
    params(
        ("tenant" = String, Path, description = "The tenant's slug"),
        ("form" = String, Path, description = "`consent` (links), `az` (a shell script), `bicep` or `terraform`"),
    ),
    responses((status = 200, description = "The instructions", content_type = "text/plain", body = String)),
)]
pub(super) async fn get_onboarding_instructions(
    asked: AdministeredOnboarding<ToRead>,
    AskedForm(form): AskedForm,
) -> Result<Response, Problem> {
    let onboarding = asked.load().await?;
    let text = form.write(&asked.onboardings, &onboarding);
    let content_type = [(header::CONTENT_TYPE, "text/plain; charset=utf-8")];
    Ok((content_type, text).into_response())
}

//! Takes a customer's answers.

use axum::{extract::State, response::Response};
use http::StatusCode;
use keyferry_onboarding::OnboardingError;

use super::{
    back,
    fields::{Fields, part},
    holder::{Holder, pages},
    same_origin::SameOrigin,
    show,
    trouble::Trouble,
    view::Entered,
};
use crate::{app::App, body::FormPayload, problem::Problem};

/// Keeps the answers of a form, all or none, and sends the browser back to the page; or shows the page with what is wrong.
pub(super) async fn answer(
    State(app): State<App>,
    _: SameOrigin,
    holder: Holder,
    form: Result<FormPayload, Problem>,
) -> Result<Response, Trouble> {
    let pages = pages(&app)?;
    let tenant = holder.onboarding.tenant;
    pages.rates.change(tenant)?;
    let fields = Fields::read(&form?)?;
    let place = fields.entered().next().map_or("page", |(field, _)| part(field));
    let refused = match fields.typed(&holder.onboarding.answers) {
        Ok(typed) => match pages.onboardings.answer(tenant, typed).await {
            Ok(_) => return Ok(back(&holder.token, place)),
            Err(OnboardingError::Answers(refused)) => refused,
            Err(error) => return Err(error.into()),
        },
        Err(refused) => vec![refused],
    };
    let entered = Entered::refused(&fields, &refused);
    show::page(&app, StatusCode::UNPROCESSABLE_ENTITY, &holder, &entered)
}

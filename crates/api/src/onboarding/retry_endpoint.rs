//! Has a private endpoint made anew.

use axum::{extract::State, response::Response};
use keyferry_registry::onboarding::Actor;

use super::{
    back,
    holder::{Holder, pages},
    same_origin::SameOrigin,
    trouble::Trouble,
};
use crate::app::App;

/// Has a rejected, disconnected or failed private endpoint made anew.
pub(super) async fn retry(State(app): State<App>, _: SameOrigin, holder: Holder) -> Result<Response, Trouble> {
    let pages = pages(&app)?;
    let tenant = holder.onboarding.tenant;
    pages.rates.change(tenant)?;
    pages.onboardings.retry_endpoint(tenant, Actor::Customer).await?;
    Ok(back(&holder.token, "complete"))
}

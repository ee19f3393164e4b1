//! Has the checks made.

use axum::{extract::State, response::Response};

use super::{
    back,
    holder::{Holder, pages},
    same_origin::SameOrigin,
    trouble::Trouble,
};
use crate::app::App;

/// Makes all checks now. Who asks again at once is shown what was just found.
pub(super) async fn verify(State(app): State<App>, _: SameOrigin, holder: Holder) -> Result<Response, Trouble> {
    let pages = pages(&app)?;
    let tenant = holder.onboarding.tenant;
    if pages.rates.may_check(tenant) {
        pages.onboardings.verify(tenant).await?;
    }
    Ok(back(&holder.token, "progress"))
}

//! Prints the link to a customer's page, the one time that it is known.

use keyferry_client::onboarding::{Onboardings, Opened};
use serde_json::Value;

use crate::{
    failure::Failure,
    output::{Output, lines},
};

/// Makes a new link, and prints it.
pub(super) async fn renew(onboardings: &Onboardings, slug: &str, output: Output) -> Result<(), Failure> {
    print(&onboardings.new_link(slug).await?, output);
    Ok(())
}

/// Prints an onboarding's link, and says beside it what it is.
pub(super) fn print(opened: &Opened, output: Output) {
    let onboarding = &opened.onboarding;
    let mut json = serde_json::to_value(onboarding).unwrap_or_default();
    if let Value::Object(fields) = &mut json {
        fields.insert("link_url".to_owned(), opened.link_url.expose().into());
    }
    output.text(&json, || {
        let fields = [
            ("slug", onboarding.slug.clone()),
            ("name", onboarding.display_name.clone()),
            ("stage", onboarding.stage.clone()),
            ("link until", onboarding.link.expires_at.clone()),
        ];
        // Not in the table, which would break it where the terminal is narrow.
        format!("{}\n\n{}", lines(&fields), opened.link_url.expose())
    });
    warn(&onboarding.slug);
}

/// Says what a link is, on standard error.
pub(super) fn warn(slug: &str) {
    eprintln!(
        "Whoever has this link can act for the customer on its page: give it to the customer's administrator and to nobody else. \
         It is not shown again; `keyferry onboarding link {slug}` makes another, which ends this one."
    );
}

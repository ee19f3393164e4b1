//! Sends an administrator to Entra for consent, and takes what comes back.

use axum::{
    extract::State,
    response::{IntoResponse, Redirect, Response},
};
use http::Uri;
use keyferry_onboarding::consent::{ConsentError, ConsentReturn};

use super::{
    holder::{Holder, pages},
    same_origin::SameOrigin,
    trouble::Trouble,
};
use crate::app::App;

/// Begins a consent: on to Entra.
pub(super) async fn begin(State(app): State<App>, _: SameOrigin, holder: Holder) -> Result<Response, Trouble> {
    let pages = pages(&app)?;
    let tenant = holder.onboarding.tenant;
    pages.rates.change(tenant)?;
    let sign_in = pages.onboardings.begin_consent(tenant).await?;
    Ok(Redirect::to(sign_in.as_str()).into_response())
}

/// Takes what Entra sent the browser back with: on to the page, or what went wrong. Where to is what the signed state says; nothing
/// else that came is a place to go to.
pub(super) async fn end(State(app): State<App>, uri: Uri) -> Result<Response, Trouble> {
    let pages = pages(&app)?;
    let (_, mut page) = pages.onboardings.end_consent(came_back(&uri)).await?;
    page.set_fragment(Some("authorize"));
    Ok(Redirect::to(page.as_str()).into_response())
}

impl From<ConsentError> for Trouble {
    fn from(error: ConsentError) -> Self {
        match error {
            ConsentError::Forged | ConsentError::Used | ConsentError::Expired => Self::ConsentStray,
            ConsentError::Denied { code, back } => Self::ConsentDenied { code, back },
            ConsentError::OtherDirectory { back } => Self::OtherDirectory { back },
            ConsentError::Registry(error) => Self::Problem(error.into()),
        }
    }
}

/// The query's parts. One that comes twice counts as it came first; it is believed as little as any.
fn came_back(uri: &Uri) -> ConsentReturn {
    let mut back = ConsentReturn::default();
    let mut description_code = None;
    for (name, value) in url::form_urlencoded::parse(uri.query().unwrap_or_default().as_bytes()) {
        let part = match &*name {
            "state" => &mut back.state,
            "tenant" => &mut back.tenant,
            "admin_consent" => &mut back.admin_consent,
            "error" => &mut back.error,
            "error_subcode" => &mut back.error_code,
            "error_description" => {
                description_code = description_code.or_else(|| code_in(&value));
                continue;
            }
            _ => continue,
        };
        if part.is_none() {
            *part = Some(value.into_owned());
        }
    }
    back.error_code = description_code.or_else(|| back.error_code.filter(|code| is_presentable(code)));
    back
}

/// Entra's code at the beginning of a description: `AADSTS65004`.
fn code_in(description: &str) -> Option<String> {
    let digits = description.strip_prefix("AADSTS")?;
    let len = digits.bytes().take_while(u8::is_ascii_digit).count();
    let number = digits.get(..len).filter(|number| (4..=9).contains(&number.len()))?;
    Some(format!("AADSTS{number}"))
}

/// Whether a code is one word that can be shown.
fn is_presentable(code: &str) -> bool {
    (1..=40).contains(&code.len())
        && code
            .bytes()
            .all(|b| b.is_ascii_alphanumeric() || b == b'_' || b == b'-')
}

#[cfg(test)]
mod tests {
    use super::*;

    fn back(query: &str) -> ConsentReturn {
        came_back(&format!("/onboarding/consent?{query}").parse().unwrap())
    }

    #[test]
    fn what_entra_sends_is_read() {
        let back = back("admin_consent=True&tenant=5f0b4d3e-7a1c-4c2f-9a0e-0d6b4f7c2a11&state=a%2Bb");
        assert_eq!(back.admin_consent.as_deref(), Some("True"));
        assert_eq!(back.tenant.as_deref(), Some("5f0b4d3e-7a1c-4c2f-9a0e-0d6b4f7c2a11"));
        assert_eq!(back.state.as_deref(), Some("a+b"));
        assert!(back.error.is_none() && back.error_code.is_none());
    }

    #[test]
    fn of_an_error_only_a_code_is_kept() {
        for (query, expected) in [
            (
                "error=access_denied&error_description=AADSTS65004%3A+User+declined",
                Some("AADSTS65004"),
            ),
            ("error=access_denied&error_subcode=cancel", Some("cancel")),
            ("error=x&error_description=AADSTS%3Cscript%3E", None),
            ("error=x&error_subcode=%3Cscript%3E", None),
            ("error=x&error_description=Call+us+at+AADSTS65004", None),
            ("error=x", None),
        ] {
            assert_eq!(back(query).error_code.as_deref(), expected, "{query}");
        }
    }

    #[test]
    fn what_comes_twice_counts_as_it_came_first() {
        let back = back("state=one&state=two&error=a&error=b");
        assert_eq!((back.state.as_deref(), back.error.as_deref()), (Some("one"), Some("a")));
    }
}

//! A form that one of our pages sent, not one of somebody else's.
//!
//! A browser says where a form comes from, and no page can make it lie. Ours send no referrer, for which browsers put `null` in
//! `origin`; `sec-fetch-site` then tells. What says neither is no browser that we can trust to have asked.

use axum::extract::FromRequestParts;
use http::{HeaderMap, header, request::Parts};
use url::Url;

use super::trouble::Trouble;
use crate::app::App;

/// The proof.
pub(super) struct SameOrigin;

impl FromRequestParts<App> for SameOrigin {
    type Rejection = Trouble;

    async fn from_request_parts(parts: &mut Parts, app: &App) -> Result<Self, Trouble> {
        let pages = super::holder::pages(app)?;
        if is_ours(&parts.headers, &pages.onboardings.config().public_url) {
            Ok(Self)
        } else {
            Err(Trouble::FromElsewhere)
        }
    }
}

fn is_ours(headers: &HeaderMap, public_url: &Url) -> bool {
    let only = |name: &str| {
        let mut all = headers.get_all(name).iter();
        let first = all.next()?;
        // Twice is no browser's doing.
        Some(if all.next().is_some() {
            ""
        } else {
            first.to_str().unwrap_or("")
        })
    };
    let (origin, site) = (only(header::ORIGIN.as_str()), only("sec-fetch-site"));
    let ours = public_url.origin().ascii_serialization();
    match (origin, site) {
        (_, Some(site)) if site != "same-origin" => false,
        (Some("null") | None, Some(_)) => true,
        (Some(origin), _) => origin == ours,
        (None, None) => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_a_browser_says_is_ours_is_ours() {
        for (origin, site, expected) in [
            (Some("https://keys.example.com"), Some("same-origin"), true),
            (Some("https://keys.example.com"), None, true),
            (Some("null"), Some("same-origin"), true),
            (None, Some("same-origin"), true),
            (None, None, false),
            (Some("null"), None, false),
            (Some("null"), Some("cross-site"), false),
            (Some("https://keys.example.com"), Some("cross-site"), false),
            (Some("https://keys.example.com"), Some("same-site"), false),
            (Some("https://keys.example.com"), Some("none"), false),
            (Some("https://evil.example.com"), Some("same-origin"), false),
            (Some("https://evil.example.com"), None, false),
            (Some("http://keys.example.com"), None, false),
            (Some("https://keys.example.com:8443"), None, false),
            (Some("https://keys.example.com.evil.test"), None, false),
            (Some(""), None, false),
        ] {
            let mut headers = HeaderMap::new();
            for (name, value) in [("origin", origin), ("sec-fetch-site", site)] {
                if let Some(value) = value {
                    headers.insert(name, value.parse().unwrap());
                }
            }
            let url = "https://keys.example.com".parse().unwrap();
            assert_eq!(is_ours(&headers, &url), expected, "{origin:?} {site:?}");
        }
    }

    #[test]
    fn what_is_said_twice_is_not_believed() {
        let mut headers = HeaderMap::new();
        for origin in ["https://keys.example.com", "https://evil.example.com"] {
            headers.append("origin", origin.parse().unwrap());
        }
        assert!(!is_ours(&headers, &"https://keys.example.com".parse().unwrap()));
    }
}

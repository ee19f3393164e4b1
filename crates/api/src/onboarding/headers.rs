//! What every page tells the browser about itself.

use http::{HeaderMap, HeaderName, HeaderValue, header};

/// Where a page's forms may lead, besides to us: the sign-in page of the customer's cloud. Travels with the answer.
#[derive(Clone)]
pub(super) struct SignIn(pub(super) String);

/// Puts the headers beside those that are there.
pub(super) fn put(headers: &mut HeaderMap, sign_in: Option<&SignIn>) {
    for (name, value) in FIXED {
        headers.insert(HeaderName::from_static(name), HeaderValue::from_static(value));
    }
    let sign_in = sign_in.map_or("", |SignIn(origin)| origin);
    let policy = format!("{POLICY}; form-action 'self' {sign_in}");
    // An origin's characters are all a header's; if not, the strictest policy is the right one.
    let policy = HeaderValue::try_from(policy.trim_end()).unwrap_or(HeaderValue::from_static("default-src 'none'"));
    headers.insert(header::CONTENT_SECURITY_POLICY, policy);
}

const POLICY: &str = "default-src 'none'; style-src 'self'; script-src 'self'; connect-src 'self'; img-src 'self' data:; \
base-uri 'none'; frame-ancestors 'none'";
const FIXED: [(&str, &str); 8] = [
    ("cache-control", "no-store"),
    ("referrer-policy", "no-referrer"),
    ("x-content-type-options", "nosniff"),
    ("x-frame-options", "DENY"),
    ("cross-origin-opener-policy", "same-origin"),
    ("cross-origin-resource-policy", "same-origin"),
    (
        "permissions-policy",
        "camera=(), geolocation=(), microphone=(), payment=(), usb=(), clipboard-write=(self)",
    ),
    ("x-robots-tag", "noindex, nofollow"),
];

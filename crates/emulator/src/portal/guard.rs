//! A browser on this machine can be sent here by any site whose name was made to lead to loopback (DNS rebinding). It then
//! asks for that site's name, and is told nothing.

use std::net::IpAddr;

use axum::{body::Body, extract::Request, middleware::Next, response::Response};
use http::{StatusCode, uri::Authority};

use crate::{form::authority_of, html};

/// Lets through what was asked of a name of this machine.
pub(super) async fn only_this_machine(request: Request, next: Next) -> Response<Body> {
    let (head, body) = request.into_parts();
    if !authority_of(&head).is_some_and(is_this_machine) {
        return html::plain(
            StatusCode::MISDIRECTED_REQUEST,
            "The portal answers for this machine's own names.",
        );
    }
    next.run(Request::from_parts(head, body)).await
}

fn is_this_machine(authority: &str) -> bool {
    let Ok(authority) = authority.parse::<Authority>() else {
        return false;
    };
    let host = authority.host().trim_start_matches('[').trim_end_matches(']');
    let address = host.parse::<IpAddr>();
    address.map_or_else(
        |_| host.eq_ignore_ascii_case("localhost"),
        |address| address.is_loopback(),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_of_this_machine_are_known_and_all_others_are_not() {
        for ours in [
            "localhost",
            "LOCALHOST:8082",
            "127.0.0.1:8082",
            "127.9.9.9",
            "[::1]:8082",
        ] {
            assert!(is_this_machine(ours), "{ours}");
        }
        for others in [
            "evil.example",
            "localhost.evil.example",
            "127.0.0.1.evil.example",
            "192.168.1.1:8082",
            "0.0.0.0",
            "[::]",
            "",
        ] {
            assert!(!is_this_machine(others), "{others}");
        }
    }
}

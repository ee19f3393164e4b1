//! How long a caller waits for an answer, where it says so.
//!
//! No standard of HTTP has a header for that: RFC 7240 has `Prefer: wait`, in whole seconds and for who would come back later, and
//! `grpc-timeout` is gRPC's. Envoy's `x-envoy-expected-rq-timeout-ms` means just this, and whoever has Envoy, or a mesh of it,
//! before Keyferry sends it already, without anybody's doing.
//! <https://www.envoyproxy.io/docs/envoy/latest/configuration/http/http_filters/router_filter>

use std::time::Duration;

use http::{HeaderMap, HeaderName};

/// How long the caller waits; `None` if it does not say, or says what is no whole number of milliseconds. None of them is no time.
pub(super) fn of(headers: &HeaderMap) -> Option<Duration> {
    let mut all = headers.get_all(EXPECTED).iter();
    let (Some(only), None) = (all.next(), all.next()) else {
        return None;
    };
    let text = only
        .to_str()
        .ok()
        .filter(|text| text.bytes().all(|b| b.is_ascii_digit()))?;
    let milliseconds: u64 = text.parse().ok().filter(|&milliseconds| milliseconds > 0)?;
    Some(Duration::from_millis(milliseconds))
}

const EXPECTED: HeaderName = HeaderName::from_static("x-envoy-expected-rq-timeout-ms");

#[cfg(test)]
mod tests {
    use http::HeaderValue;

    use super::*;

    fn given(values: &[&'static str]) -> Option<Duration> {
        let mut headers = HeaderMap::new();
        for value in values {
            headers.append(EXPECTED, HeaderValue::from_static(value));
        }
        of(&headers)
    }

    #[test]
    fn a_whole_number_of_milliseconds_is_taken_and_nothing_else_is() {
        assert_eq!(given(&["1500"]), Some(Duration::from_millis(1500)));
        for values in [
            &[][..],
            &["0"],
            &["-1"],
            &["+1"],
            &["1.5"],
            &["1s"],
            &[""],
            &["99999999999999999999"],
            &["1", "2"],
        ] {
            assert_eq!(given(values), None, "{values:?}");
        }
    }
}

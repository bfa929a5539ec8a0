//! Where a request comes from, when proxies stand before the gateway.

use std::borrow::Cow;
use std::net::{IpAddr, SocketAddr};

use actix_web::HttpRequest;

/// The client's address: that of the connection or, behind `hops` proxies, the one that the
/// outermost of them wrote into `X-Forwarded-For`. Counted from the right, because whatever stands
/// further left was written by whoever sent the request. Where the header has fewer entries, or no
/// address there, the request did not come that way, and the connection's address counts.
pub(super) fn client_address(request: &HttpRequest, hops: usize) -> Option<IpAddr> {
    let peer = request.peer_addr().map(|peer| peer.ip());
    if hops == 0 {
        return peer;
    }
    let headers = request.headers().get_all("x-forwarded-for");
    // What is no text counts too, or the entries left of it would move into its place.
    let headers = headers.map(|value| String::from_utf8_lossy(value.as_bytes()));
    forwarded(&headers.collect::<Vec<_>>(), hops).or(peer)
}

fn forwarded(headers: &[Cow<'_, str>], hops: usize) -> Option<IpAddr> {
    let entries = headers.iter().rev().flat_map(|header| header.rsplit(','));
    address(entries.map(str::trim).nth(hops - 1)?)
}

/// An address, with or without a port.
fn address(entry: &str) -> Option<IpAddr> {
    let bare = entry.trim_start_matches('[').trim_end_matches(']');
    bare.parse().ok().or_else(|| Some(entry.parse::<SocketAddr>().ok()?.ip()))
}

#[cfg(test)]
mod tests {
    use actix_web::http::header::HeaderValue;
    use actix_web::test::TestRequest;

    use super::*;

    #[test]
    fn a_line_that_is_no_text_does_not_move_the_others() {
        let found = |last: &[u8]| {
            let request = TestRequest::default()
                .peer_addr("192.0.2.9:1".parse().expect("an address"))
                .append_header(("x-forwarded-for", "203.0.113.7, 203.0.113.8"))
                .append_header(("x-forwarded-for", HeaderValue::from_bytes(last).expect("a value")))
                .to_http_request();
            client_address(&request, 1).map(|ip| ip.to_string())
        };
        assert_eq!(found(b"198.51.100.1").as_deref(), Some("198.51.100.1"));
        assert_eq!(found(b"198.51.100.1\xff").as_deref(), Some("192.0.2.9"));
        assert_eq!(found(b"x\xff, 198.51.100.1").as_deref(), Some("198.51.100.1"));
    }

    #[test]
    fn hops_are_counted_from_the_right() {
        let found = |headers: &[&str], hops| {
            let headers: Vec<_> = headers.iter().copied().map(Cow::Borrowed).collect();
            forwarded(&headers, hops).map(|ip| ip.to_string())
        };
        let spoofed = ["203.0.113.7, 198.51.100.1", "192.0.2.1"];
        assert_eq!(found(&spoofed, 1).as_deref(), Some("192.0.2.1"));
        assert_eq!(found(&spoofed, 2).as_deref(), Some("198.51.100.1"));
        assert_eq!(found(&spoofed, 3).as_deref(), Some("203.0.113.7"));
        assert_eq!(found(&spoofed, 4), None);
        assert_eq!(found(&[], 1), None);
        assert_eq!(found(&["unknown"], 1), None);
        assert_eq!(found(&["192.0.2.1:4711"], 1).as_deref(), Some("192.0.2.1"));
        assert_eq!(found(&["[2001:db8::1]:4711"], 1).as_deref(), Some("2001:db8::1"));
        assert_eq!(found(&["[2001:db8::1]"], 1).as_deref(), Some("2001:db8::1"));
        assert_eq!(found(&["2001:db8::1"], 1).as_deref(), Some("2001:db8::1"));
    }
}

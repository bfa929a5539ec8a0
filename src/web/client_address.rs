//! Where a request comes from, when proxies stand before the gateway.

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
    let headers: Vec<&str> = request
        .headers()
        .get_all("x-forwarded-for")
        .filter_map(|value| value.to_str().ok())
        .collect();
    forwarded(&headers, hops).or(peer)
}

fn forwarded(headers: &[&str], hops: usize) -> Option<IpAddr> {
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
    use super::*;

    #[test]
    fn hops_are_counted_from_the_right() {
        let found = |headers: &[&str], hops| forwarded(headers, hops).map(|ip| ip.to_string());
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

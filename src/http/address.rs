//! Who is calling, by address: the peer's, or what a proxy says that the operator trusts. Used where
//! nothing is proven yet; what a caller may do never hangs on it.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use actix_web::{HttpMessage, HttpRequest, web};
use ipnet::IpNet;

use super::Web;
use crate::domain::limits::FORWARDED_HOPS_MAX;

/// Longest address that is read, in bytes: one of IPv6 in brackets, with a port.
const ADDRESS_BYTES_MAX: usize = 64;

/// An address as callers are counted by: IPv4 by itself, IPv6 by the net of one customer (/64), IPv4
/// inside IPv6 as IPv4.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct IpKey(IpAddr);

impl From<IpAddr> for IpKey {
    fn from(ip: IpAddr) -> Self {
        Self(match ip.to_canonical() {
            IpAddr::V4(ip) => IpAddr::V4(ip),
            IpAddr::V6(ip) => IpAddr::V6(Ipv6Addr::from_bits(ip.to_bits() >> 64 << 64)),
        })
    }
}

impl fmt::Display for IpKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            IpAddr::V4(ip) => write!(f, "{ip}"),
            IpAddr::V6(ip) => write!(f, "{ip}/64"),
        }
    }
}

/// Proxies whose word about addresses is believed.
#[derive(Debug, Clone, Default)]
pub struct Trusted(Vec<IpNet>);

impl Trusted {
    /// Those of these nets.
    #[must_use]
    pub const fn new(nets: Vec<IpNet>) -> Self {
        Self(nets)
    }

    /// Whether an address is one of them.
    #[must_use]
    pub fn has(&self, ip: IpAddr) -> bool {
        let ip = ip.to_canonical();
        self.0.iter().any(|net| net.contains(&ip))
    }
}

/// Who sent a request, of which a peer says in these lines of `X-Forwarded-For` for whom it came.
/// Each proxy adds the address of who asked it at the right, so the right-most one that is no trusted
/// proxy is the last that somebody trusted saw; what stands left of it is the caller's own word.
#[must_use]
pub fn sender(peer: IpAddr, forwarded: &[&[u8]], trusted: &Trusted) -> IpAddr {
    if !trusted.has(peer) {
        return peer;
    }
    let mut farthest = peer;
    let entries = forwarded.iter().rev().flat_map(|line| line.rsplit(|byte| *byte == b','));
    for (hop, entry) in entries.enumerate() {
        match address(entry) {
            Some(ip) if hop < FORWARDED_HOPS_MAX && trusted.has(ip) => farthest = ip,
            Some(ip) if hop < FORWARDED_HOPS_MAX => return ip,
            Some(_) | None => return peer,
        }
    }
    farthest
}

/// An address, with or without a port.
fn address(entry: &[u8]) -> Option<IpAddr> {
    let entry = entry.trim_ascii();
    if entry.len() > ADDRESS_BYTES_MAX {
        return None;
    }
    let text = std::str::from_utf8(entry).ok()?;
    let bare = text.strip_prefix('[').and_then(|text| text.strip_suffix(']')).unwrap_or(text);
    let with_port = || text.parse::<SocketAddr>().map(|address| address.ip());
    bare.parse::<IpAddr>().or_else(|_| with_port()).ok()
}

/// Who sent a request.
#[must_use]
pub fn of(request: &HttpRequest) -> IpKey {
    if let Some(known) = request.extensions().get::<IpKey>() {
        return *known;
    }
    // Without a peer there is no connection either.
    let peer = request.peer_addr().map_or(Ipv4Addr::UNSPECIFIED.into(), |peer| peer.ip());
    let Some(web) = request.app_data::<web::Data<Web>>() else { return peer.into() };
    if !web.trusted.has(peer) {
        return peer.into();
    }
    let lines = request.headers().get_all("x-forwarded-for");
    let lines: Vec<_> = lines.map(|line| line.as_bytes()).collect();
    sender(peer, &lines, &web.trusted).into()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn ip(text: &str) -> IpAddr {
        text.parse().unwrap()
    }

    fn trusted() -> Trusted {
        let nets = ["10.0.0.0/8", "2001:db8::/32"].map(|net| net.parse().unwrap());
        Trusted::new(nets.to_vec())
    }

    #[test]
    fn a_trusted_proxy_is_believed_and_nobody_else() {
        let long = "10.0.0.1,".repeat(FORWARDED_HOPS_MAX) + "10.0.0.1";
        let garbage_left = format!("{}, 192.0.2.1", "x,".repeat(10_000));
        for (peer, lines, expected) in [
            ("192.0.2.9", &["203.0.113.5"][..], "192.0.2.9"),
            ("10.0.0.1", &[], "10.0.0.1"),
            ("10.0.0.1", &["203.0.113.5"], "203.0.113.5"),
            ("::ffff:10.0.0.1", &["203.0.113.5"], "203.0.113.5"),
            ("2001:db8::1", &["203.0.113.5"], "203.0.113.5"),
            // What the caller itself put there stands left.
            ("10.0.0.1", &["1.1.1.1, 203.0.113.5"], "203.0.113.5"),
            ("10.0.0.1", &["1.1.1.1", "203.0.113.5 , 10.9.9.9"], "203.0.113.5"),
            ("10.0.0.1", &["203.0.113.5", "10.9.9.9"], "203.0.113.5"),
            ("10.0.0.1", &["not me, 203.0.113.5"], "203.0.113.5"),
            ("10.0.0.1", &[&garbage_left], "192.0.2.1"),
            ("10.0.0.1", &["10.1.1.1, 10.2.2.2"], "10.1.1.1"),
            ("10.0.0.1", &["203.0.113.5:443"], "203.0.113.5"),
            ("10.0.0.1", &["[2001:db9::7]:443"], "2001:db9::7"),
            ("10.0.0.1", &["[2001:db9::7]"], "2001:db9::7"),
            // What cannot be read, or is too long.
            ("10.0.0.1", &["203.0.113.5, unknown"], "10.0.0.1"),
            ("10.0.0.1", &["203.0.113.5,"], "10.0.0.1"),
            ("10.0.0.1", &[""], "10.0.0.1"),
            ("10.0.0.1", &["256.0.0.1"], "10.0.0.1"),
            ("10.0.0.1", &[&long], "10.0.0.1"),
        ] {
            let bytes: Vec<_> = lines.iter().map(|line| line.as_bytes()).collect();
            assert_eq!(sender(ip(peer), &bytes, &trusted()), ip(expected), "{peer} {lines:?}");
        }
    }

    #[test]
    fn addresses_are_counted_by_customer() {
        let key = |text| IpKey::from(ip(text)).to_string();
        assert_eq!(key("192.0.2.7"), "192.0.2.7");
        assert_eq!(key("::ffff:192.0.2.7"), "192.0.2.7");
        assert_eq!(key("2001:db9:1:2:3:4:5:6"), "2001:db9:1:2::/64");
        assert_ne!(key("2001:db9:1:2::"), key("2001:db9:1:3::"));
    }

    proptest! {
        /// Whatever stands in the lines: a stranger is never believed, and what a trusted proxy put
        /// last decides alone.
        #[test]
        fn only_the_last_word_of_a_trusted_proxy_counts(
            lines in proptest::collection::vec(proptest::collection::vec(any::<u8>(), 0..60), 0..4),
            stranger in any::<u32>(),
            claimed in any::<u32>(),
        ) {
            let bytes: Vec<_> = lines.iter().map(Vec::as_slice).collect();
            let [stranger, claimed] =
                [stranger, claimed].map(|bits| IpAddr::V4(Ipv4Addr::from_bits(bits)));
            prop_assume!(!trusted().has(stranger) && !trusted().has(claimed));
            prop_assert_eq!(sender(stranger, &bytes, &trusted()), stranger);
            let last = claimed.to_string();
            let mut told = bytes;
            told.push(last.as_bytes());
            prop_assert_eq!(sender(ip("10.0.0.1"), &told, &trusted()), claimed);
        }
    }
}

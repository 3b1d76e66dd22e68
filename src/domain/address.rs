//! Which addresses the outside may have us connect to. A client names the receivers of webhooks, so
//! that whatever it names must not lead into the network that this server stands in.
//!
//! What is not known to be public is refused: the tables follow IANA's registries of special-purpose
//! addresses.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// Blocks of IPv4 that are not public, with the length of their prefixes.
const NOT_PUBLIC_V4: &[([u8; 4], u32)] = &[
    ([0, 0, 0, 0], 8),       // this network
    ([10, 0, 0, 0], 8),      // private
    ([100, 64, 0, 0], 10),   // carriers' NAT
    ([127, 0, 0, 0], 8),     // loopback
    ([169, 254, 0, 0], 16),  // link-local; the metadata services of clouds
    ([172, 16, 0, 0], 12),   // private
    ([192, 0, 0, 0], 24),    // protocol assignments
    ([192, 0, 2, 0], 24),    // documentation
    ([192, 88, 99, 0], 24),  // 6to4 relays
    ([192, 168, 0, 0], 16),  // private
    ([198, 18, 0, 0], 15),   // benchmarks
    ([198, 51, 100, 0], 24), // documentation
    ([203, 0, 113, 0], 24),  // documentation
    ([224, 0, 0, 0], 4),     // multicast
    ([240, 0, 0, 0], 4),     // reserved, and broadcast
];

/// Blocks of IPv6 within 2000::/3 that are not public. All outside it is not public: loopback, v4-mapped
/// and v4-compatible addresses, NAT64, unique local and link-local ones, multicast.
const NOT_PUBLIC_V6: &[([u16; 2], u32)] = &[
    ([0x2001, 0], 23),      // protocol assignments: Teredo, ORCHID, benchmarks
    ([0x2001, 0x0db8], 32), // documentation
    ([0x2002, 0], 16),      // 6to4, which carries any IPv4 address
    ([0x3fff, 0], 20),      // documentation
];

/// Whether the address is a public one.
#[must_use]
pub fn is_public(address: IpAddr) -> bool {
    match address {
        IpAddr::V4(v4) => {
            let within = |&(block, length): &([u8; 4], u32)| {
                let differs = u32::from(v4) ^ u32::from(Ipv4Addr::from(block));
                differs.leading_zeros() >= length
            };
            !NOT_PUBLIC_V4.iter().any(within)
        }
        IpAddr::V6(v6) => {
            let within = |&([first, second], length): &([u16; 2], u32)| {
                let block = Ipv6Addr::new(first, second, 0, 0, 0, 0, 0, 0);
                (u128::from(v6) ^ u128::from(block)).leading_zeros() >= length
            };
            let global_unicast = u128::from(v6) >> 125 == 0b001;
            global_unicast && !NOT_PUBLIC_V6.iter().any(within)
        }
    }
}

/// Whether a message may be sent to the address: a public one, or any that names one host where
/// private ones are allowed.
#[must_use]
pub fn may_be_told(address: IpAddr, private_addresses: bool) -> bool {
    if private_addresses {
        return !address.is_multicast() && !address.is_unspecified();
    }
    is_public(address)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_not_public_is_refused() {
        for text in [
            "0.0.0.0",
            "0.1.2.3",
            "10.0.0.1",
            "100.64.0.1",
            "100.127.255.255",
            "127.0.0.1",
            "127.255.0.9",
            "169.254.169.254",
            "172.16.0.1",
            "172.31.255.255",
            "192.0.0.8",
            "192.0.2.1",
            "192.88.99.1",
            "192.168.1.1",
            "198.18.0.1",
            "198.19.255.255",
            "198.51.100.7",
            "203.0.113.9",
            "224.0.0.1",
            "239.255.255.255",
            "240.0.0.1",
            "255.255.255.255",
            "::",
            "::1",
            "::ffff:127.0.0.1",
            "::ffff:8.8.8.8",
            "::127.0.0.1",
            "::8.8.8.8",
            "64:ff9b::7f00:1",
            "64:ff9b:1::1",
            "100::1",
            "2001::1",
            "2001:2::1",
            "2001:10::1",
            "2001:db8::1",
            "2002:7f00:1::",
            "3fff::1",
            "fc00::1",
            "fd12:3456::1",
            "fe80::1",
            "fec0::1",
            "ff02::1",
            "5f00::1",
        ] {
            assert!(!is_public(text.parse().unwrap()), "{text}");
        }
    }

    #[test]
    fn what_is_public_is_told() {
        for text in [
            "1.1.1.1",
            "8.8.8.8",
            "9.255.255.255",
            "11.0.0.0",
            "100.63.255.255",
            "100.128.0.0",
            "172.15.255.255",
            "172.32.0.0",
            "192.0.1.1",
            "198.17.255.255",
            "198.20.0.0",
            "223.255.255.255",
            "2001:200::1",
            "2606:4700::1111",
            "2a00:1450::1",
            "2003::1",
        ] {
            assert!(is_public(text.parse().unwrap()), "{text}");
        }
    }

    #[test]
    fn a_closed_network_may_tell_itself_but_not_everybody() {
        for (text, told) in [
            ("127.0.0.1", true),
            ("10.1.2.3", true),
            ("::1", true),
            ("fd00::1", true),
            ("0.0.0.0", false),
            ("::", false),
            ("224.0.0.1", false),
            ("ff02::1", false),
        ] {
            assert_eq!(may_be_told(text.parse().unwrap(), true), told, "{text}");
        }
    }
}

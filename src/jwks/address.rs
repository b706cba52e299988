//! Which addresses may be connected to (rule R17).
//!
//! Only what the whole internet can reach, unless this machine allows more: somebody else names the hosts, and what a name
//! resolves to may be this machine, its neighbours or a cloud's metadata service.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use ipnet::{IpNet, Ipv4Net, Ipv6Net};

const fn v4(a: u8, b: u8, c: u8, d: u8, length: u8) -> Ipv4Net {
    Ipv4Net::new_assert(Ipv4Addr::new(a, b, c, d), length)
}

const fn v6(a: u16, b: u16, c: u16, length: u8) -> Ipv6Net {
    Ipv6Net::new_assert(Ipv6Addr::new(a, b, c, 0, 0, 0, 0, 0), length)
}

/// What is not for everybody, of the registry of special addresses (IANA, RFC 6890), and what clouds use in its stead.
const CLOSED_V4: &[Ipv4Net] = &[
    // This network, and "any address".
    v4(0, 0, 0, 0, 8),
    // Private (RFC 1918).
    v4(10, 0, 0, 0, 8),
    v4(172, 16, 0, 0, 12),
    v4(192, 168, 0, 0, 16),
    // Shared between a carrier and its customers (RFC 6598); a cloud's metadata service is in it too.
    v4(100, 64, 0, 0, 10),
    // This machine.
    v4(127, 0, 0, 0, 8),
    // Of one link (RFC 3927), where most clouds have their metadata services.
    v4(169, 254, 0, 0, 16),
    // A public address that answers only inside of its cloud: Azure's platform.
    v4(168, 63, 129, 16, 32),
    // Protocol assignments, documentation, relays of 6to4, benchmarks.
    v4(192, 0, 0, 0, 24),
    v4(192, 0, 2, 0, 24),
    v4(192, 88, 99, 0, 24),
    v4(198, 18, 0, 0, 15),
    v4(198, 51, 100, 0, 24),
    v4(203, 0, 113, 0, 24),
    // Multicast, and what is reserved, with the broadcast at its end.
    v4(224, 0, 0, 0, 4),
    v4(240, 0, 0, 0, 4),
];

/// Addresses outside of it are for no single machine that everybody reaches: loopback, unspecified, unique-local,
/// link-local, multicast, local NAT64 (`64:ff9b:1::/48`, RFC 8215), and v4 addresses in forms of old.
const GLOBAL_V6: Ipv6Net = v6(0x2000, 0, 0, 3);

/// What inside of that is not for everybody.
const CLOSED_V6: &[Ipv6Net] = &[
    // Protocol assignments: Teredo, benchmarks, ORCHID and the like.
    v6(0x2001, 0, 0, 23),
    // Documentation (RFC 3849, RFC 9637).
    v6(0x2001, 0xdb8, 0, 32),
    v6(0x3fff, 0, 0, 20),
];

/// Prefixes behind which a v4 address is what is reached.
const MAPPED: Ipv6Net = Ipv6Net::new_assert(Ipv6Addr::new(0, 0, 0, 0, 0, 0xffff, 0, 0), 96);
const NAT64: Ipv6Net = v6(0x64, 0xff9b, 0, 96);
const SIX_TO_FOUR: Ipv6Net = v6(0x2002, 0, 0, 16);

/// The address that is reached by way of this one: itself, or the v4 address inside of it (RFC 4291 section 2.5.5.2,
/// RFC 6052 section 2.2, RFC 3056 section 2). Teredo is closed as a whole.
pub fn reached(address: IpAddr) -> IpAddr {
    let IpAddr::V6(outer) = address else { return address };
    let bits = outer.to_bits();
    let inner = |shift: u32| Ipv4Addr::from_bits(u32::try_from((bits >> shift) & 0xffff_ffff).unwrap_or(0));
    if MAPPED.contains(&outer) || NAT64.contains(&outer) {
        inner(0).into()
    } else if SIX_TO_FOUR.contains(&outer) {
        inner(80).into()
    } else {
        address
    }
}

/// Whether everybody can reach what is reached by way of this address.
pub fn is_public(address: IpAddr) -> bool {
    match reached(address) {
        IpAddr::V4(inner) => !CLOSED_V4.iter().any(|net| net.contains(&inner)),
        IpAddr::V6(outer) => GLOBAL_V6.contains(&outer) && !CLOSED_V6.iter().any(|net| net.contains(&outer)),
    }
}

/// Whether it may be connected to: it is public, or this machine allows it by a range that what is reached is in.
pub fn is_permitted(address: IpAddr, allowed: &[IpNet]) -> bool {
    let reached = reached(address);
    is_public(address) || allowed.iter().any(|net| net.contains(&reached))
}

/// Whether it is this machine.
pub fn is_loopback(address: IpAddr) -> bool {
    reached(address).is_loopback()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn address(text: &str) -> IpAddr {
        text.parse().unwrap()
    }

    #[test]
    fn r17_what_not_everybody_can_reach_is_not_connected_to_in_whatever_form() {
        for closed in [
            "0.0.0.0",
            "0.1.2.3",
            "10.0.0.1",
            "10.255.255.255",
            "100.64.0.1",
            "100.100.100.200",
            "100.127.255.255",
            "127.0.0.1",
            "127.255.255.254",
            "168.63.129.16",
            "169.254.0.1",
            "169.254.169.254",
            "172.16.0.1",
            "172.31.255.255",
            "192.0.0.1",
            "192.0.0.192",
            "192.0.2.1",
            "192.88.99.1",
            "192.168.0.1",
            "198.18.0.1",
            "198.19.255.255",
            "198.51.100.1",
            "203.0.113.1",
            "224.0.0.1",
            "239.255.255.255",
            "240.0.0.1",
            "255.255.255.255",
        ] {
            let plain = address(closed);
            assert!(!is_public(plain), "{closed}");
            let IpAddr::V4(inner) = plain else { panic!("v4") };
            let [a, b, c, d] = inner.octets();
            let (high, low) = (u16::from_be_bytes([a, b]), u16::from_be_bytes([c, d]));
            for (form, wrapped) in [
                ("v4-mapped", Ipv6Addr::new(0, 0, 0, 0, 0, 0xffff, high, low)),
                ("v4-compatible", Ipv6Addr::new(0, 0, 0, 0, 0, 0, high, low)),
                ("v4-translated", Ipv6Addr::new(0, 0, 0, 0, 0xffff, 0, high, low)),
                ("NAT64", Ipv6Addr::new(0x64, 0xff9b, 0, 0, 0, 0, high, low)),
                ("local NAT64", Ipv6Addr::new(0x64, 0xff9b, 1, 0, 0, 0, high, low)),
                ("local NAT64, longer", Ipv6Addr::new(0x64, 0xff9b, 1, 0xabcd, 0, 0, high, low)),
                ("6to4", Ipv6Addr::new(0x2002, high, low, 0, 0, 0, 0, 1)),
                ("Teredo", Ipv6Addr::new(0x2001, 0, 0x4136, 0xe378, 0x8000, 0x63bf, !high, !low)),
            ] {
                assert!(!is_public(wrapped.into()), "{closed} as {form}: {wrapped}");
            }
        }
        for closed in [
            "::",
            "::1",
            "64:ff9b:1::808:808",
            "100::1",
            "2001::1",
            "2001:0:808:808::f7f7:f7f7",
            "2001:2::1",
            "2001:10::1",
            "2001:20::1",
            "2001:db8::1",
            "3fff::1",
            "3fff:fff::1",
            "5f00::1",
            "fc00::1",
            "fd00:ec2::254",
            "fd20:ce::254",
            "fe80::1",
            "febf::1",
            "fec0::1",
            "ff02::1",
            "ff0e::1",
        ] {
            assert!(!is_public(address(closed)), "{closed}");
        }
    }

    #[test]
    fn what_everybody_can_reach_is_connected_to() {
        for open in [
            "1.1.1.1",
            "8.8.8.8",
            "9.255.255.255",
            "11.0.0.1",
            "100.63.255.255",
            "100.128.0.1",
            "168.63.129.15",
            "172.15.255.255",
            "172.32.0.1",
            "198.17.255.255",
            "198.20.0.1",
            "223.255.255.255",
            "2606:4700:4700::1111",
            "2a00:1450:4001:81b::200e",
            "2001:4860:4860::8888",
            "::ffff:8.8.8.8",
            "64:ff9b::808:808",
            "2002:808:808::1",
        ] {
            assert!(is_public(address(open)), "{open}");
        }
    }

    #[test]
    fn what_this_machine_allows_is_allowed_in_every_form_of_it_and_nothing_beside() {
        let allowed: Vec<IpNet> = ["10.1.0.0/16", "fd00:1::/32"].map(|net| net.parse().unwrap()).into();
        for (text, permitted) in [
            ("10.1.2.3", true),
            ("::ffff:10.1.2.3", true),
            ("64:ff9b::10.1.2.3", true),
            ("fd00:1::7", true),
            ("10.2.0.1", false),
            ("::ffff:10.2.0.1", false),
            ("fd00:2::7", false),
            ("127.0.0.1", false),
            ("8.8.8.8", true),
        ] {
            assert_eq!(is_permitted(address(text), &allowed), permitted, "{text}");
        }
        assert!(!is_permitted(address("10.1.2.3"), &[]));
        // A wide range of v6 opens nothing of v4 that hides in it.
        let wide: Vec<IpNet> = vec!["::/0".parse().unwrap()];
        assert!(!is_permitted(address("::ffff:169.254.169.254"), &wide));
    }

    #[test]
    fn this_machine_is_known_in_every_form() {
        for (text, here) in [("127.0.0.1", true), ("127.8.9.1", true), ("::1", true), ("::ffff:127.0.0.1", true)] {
            assert_eq!(is_loopback(address(text)), here, "{text}");
        }
        for text in ["0.0.0.0", "::", "10.0.0.1", "8.8.8.8"] {
            assert!(!is_loopback(address(text)), "{text}");
        }
    }
}

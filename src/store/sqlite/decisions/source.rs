//! Where decisions came from, as they are counted: by address, an IPv6 network of 64 bits as one.
//!
//! Whoever has one IPv6 network has more addresses than there is room for, so one network is one source.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// Bits of an IPv6 address that are whoever got it from a provider.
const NETWORK_BITS: u32 = 64;

/// A source of decisions.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub(super) enum Source {
    /// Not known for certain.
    Unknown,
    /// One address.
    V4(Ipv4Addr),
    /// One network of 64 bits, by its first address.
    V6(Ipv6Addr),
    /// All for whom there is no row of their own in this second.
    Others,
}

impl Source {
    pub(super) fn of(remote: Option<IpAddr>) -> Self {
        match remote.map(|address| address.to_canonical()) {
            None => Self::Unknown,
            Some(IpAddr::V4(address)) => Self::V4(address),
            Some(IpAddr::V6(address)) => {
                let network = u128::from(address) >> (128 - NETWORK_BITS) << (128 - NETWORK_BITS);
                Self::V6(Ipv6Addr::from(network))
            }
        }
    }

    /// Whether it is somebody's, of whom there may be any number.
    pub(super) const fn is_own(self) -> bool {
        matches!(self, Self::V4(_) | Self::V6(_))
    }
}

impl fmt::Display for Source {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unknown => Ok(()),
            Self::V4(address) => address.fmt(f),
            Self::V6(network) => write!(f, "{network}/{NETWORK_BITS}"),
            Self::Others => f.write_str("others"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn e1_an_ipv6_network_is_one_source_and_a_mapped_address_is_its_ipv4() {
        let text = |address: &str| Source::of(Some(address.parse().unwrap())).to_string();
        assert_eq!(text("192.0.2.7"), "192.0.2.7");
        assert_eq!(text("::ffff:192.0.2.7"), "192.0.2.7");
        assert_eq!(text("2001:db8:1:2:3:4:5:6"), "2001:db8:1:2::/64");
        assert_eq!(text("2001:db8:1:2:ffff::1"), "2001:db8:1:2::/64");
        assert_ne!(text("2001:db8:1:3::1"), "2001:db8:1:2::/64");
        assert_eq!(Source::of(None).to_string(), "");
        assert!(!Source::Unknown.is_own() && !Source::Others.is_own());
    }
}

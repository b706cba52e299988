//! From which address a request came, where that is known for certain (hazard H12, control B7).
//!
//! The gateway reports the peer of its connection. That is the client, or a proxy that names the client in a header,
//! or the gateway itself: requests over its `/ai/` bridge come from loopback with no header but `Authorization`
//! (host contract 3.8). What is not certain is unknown, and what is bound to addresses is then refused.

use std::net::{IpAddr, SocketAddr};

use ipnet::IpNet;
use prost::Message as _;

use crate::pb::slim::plugin as pb;

/// Entries of the header that are looked at, from the right; more proxies in a row are not believed.
const MOST_HOPS: usize = 32;

/// What this machine says about the way to the gateway.
#[derive(Clone, Debug, Default)]
pub struct ClientAddress {
    /// The peer is the client: no proxy stands before the gateway.
    pub trust_peer: bool,
    /// Proxies that may stand before the gateway. What they say of who they speak for is believed.
    pub trusted_proxies: Vec<IpNet>,
    /// The header in which they say it, `X-Forwarded-For` or another with the same form: addresses separated by commas,
    /// each proxy adding its own peer at the right end.
    pub header: String,
}

impl ClientAddress {
    /// Whether headers are read at all.
    pub fn reads_headers(&self) -> bool {
        !self.trusted_proxies.is_empty()
    }

    /// Whether the address is ever known.
    pub fn is_used(&self) -> bool {
        self.trust_peer || self.reads_headers()
    }

    /// Of an auth call, whose request is decoded only if this is used.
    pub fn of_call(&self, request: &[bytes::Bytes]) -> Option<IpAddr> {
        if !self.is_used() {
            return None;
        }
        let mut merged = pb::AuthenticatedRequest::default();
        for part in request {
            merged.merge(part.as_ref()).ok()?;
        }
        self.of(&merged.remote_addr, &merged.headers)
    }

    /// Of a request with this peer (`ip:port`) and these headers, names in Go's canonical form.
    pub fn of(&self, peer: &[u8], headers: &[pb::HeaderEntry]) -> Option<IpAddr> {
        if !self.is_used() {
            return None;
        }
        let peer: SocketAddr = std::str::from_utf8(peer).ok()?.parse().ok()?;
        let named = headers.iter().find(|header| header.key.eq_ignore_ascii_case(self.header.as_bytes()));
        self.of_peer(peer.ip(), named.and_then(|header| std::str::from_utf8(&header.value).ok()))
    }

    /// Of a connection from this peer, and what its request says in the header.
    pub fn of_peer(&self, peer: IpAddr, named: Option<&str>) -> Option<IpAddr> {
        let peer = peer.to_canonical();
        if self.is_trusted(peer) {
            return self.client_named(named?);
        }
        // Loopback is the gateway calling itself, or a proxy that nobody named, for whoever called it.
        (!peer.is_loopback()).then_some(peer)
    }

    fn is_trusted(&self, address: IpAddr) -> bool {
        self.trusted_proxies.iter().any(|net| net.contains(&address))
    }

    /// The rightmost entry that is no trusted proxy: all to its left was written by somebody else. An entry that is no
    /// address ends the search without an answer.
    fn client_named(&self, header: &str) -> Option<IpAddr> {
        for entry in header.rsplit(',').take(MOST_HOPS) {
            let address = address(entry.trim())?;
            if !self.is_trusted(address) {
                return (!address.is_loopback()).then_some(address);
            }
        }
        None
    }
}

/// `192.0.2.1`, `192.0.2.1:5`, `2001:db8::1`, `[2001:db8::1]:5`.
fn address(text: &str) -> Option<IpAddr> {
    let plain = text.parse().ok();
    let with_port = || text.parse::<SocketAddr>().ok().map(|address| address.ip());
    plain.or_else(with_port).map(|address: IpAddr| address.to_canonical())
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn behind(proxies: &[&str]) -> ClientAddress {
        let trusted_proxies = proxies.iter().map(|net| net.parse().unwrap()).collect();
        ClientAddress { trust_peer: false, trusted_proxies, header: "X-Forwarded-For".to_owned() }
    }

    fn client(of: &ClientAddress, peer: &str, forwarded: Option<&str>) -> Option<String> {
        let header = |value: &str| pb::HeaderEntry { key: b"X-Forwarded-For".to_vec(), value: value.into() };
        let headers: Vec<_> = forwarded.map(header).into_iter().collect();
        of.of(peer.as_bytes(), &headers).map(|address| address.to_string())
    }

    #[test]
    fn b7_a_forwarded_address_counts_only_from_a_trusted_hop() {
        let none = ClientAddress::default();
        assert_eq!(client(&none, "192.0.2.9:1", Some("198.51.100.1")), None, "nothing is known unless said");
        let proxied = behind(&["192.0.2.0/24", "2001:db8::/64"]);
        for (peer, forwarded, expected) in [
            ("192.0.2.9:1", Some("198.51.100.1"), Some("198.51.100.1")),
            ("192.0.2.9:1", Some("10.0.0.1, 198.51.100.1"), Some("198.51.100.1")),
            ("192.0.2.9:1", Some("10.0.0.1,198.51.100.1 , 192.0.2.3"), Some("198.51.100.1")),
            ("[2001:db8::9]:1", Some("[2001:db8:1::1]:77"), Some("2001:db8:1::1")),
            ("192.0.2.9:1", Some("::ffff:198.51.100.1"), Some("198.51.100.1")),
            ("[::ffff:192.0.2.9]:1", Some("198.51.100.1:443"), Some("198.51.100.1")),
            // Not certain: nobody is named, nonsense, only proxies, the machine itself.
            ("192.0.2.9:1", None, None),
            ("192.0.2.9:1", Some(""), None),
            ("192.0.2.9:1", Some("198.51.100.1, nonsense"), None),
            ("192.0.2.9:1", Some("198.51.100.1,"), None),
            ("192.0.2.9:1", Some("192.0.2.1, 192.0.2.2"), None),
            ("192.0.2.9:1", Some("127.0.0.1"), None),
            // The peer is no proxy of ours: what it says of others does not count.
            ("203.0.113.5:1", Some("10.0.0.1"), Some("203.0.113.5")),
            ("203.0.113.5:1", None, Some("203.0.113.5")),
            // The bridge of the gateway itself.
            ("127.0.0.1:1", None, None),
            ("127.0.0.1:1", Some("10.0.0.1"), None),
            ("[::1]:1", Some("10.0.0.1"), None),
            ("nonsense", Some("10.0.0.1"), None),
        ] {
            assert_eq!(client(&proxied, peer, forwarded).as_deref(), expected, "{peer} {forwarded:?}");
        }
    }

    #[test]
    fn b7_a_proxy_on_the_same_machine_is_believed_and_the_bridge_still_is_nobody() {
        let local = behind(&["127.0.0.0/8"]);
        assert_eq!(client(&local, "127.0.0.1:1", Some("10.0.0.1, 198.51.100.1")).as_deref(), Some("198.51.100.1"));
        assert_eq!(client(&local, "127.0.0.1:1", None), None);
        let many = format!("198.51.100.1{}", ", 127.0.0.1".repeat(MOST_HOPS));
        assert_eq!(client(&local, "127.0.0.1:1", Some(&many)), None, "more hops than are believed");
    }

    #[test]
    fn h12_the_peer_counts_only_where_no_proxy_can_be() {
        let direct = ClientAddress { trust_peer: true, ..ClientAddress::default() };
        assert_eq!(client(&direct, "192.0.2.9:1", Some("198.51.100.1")).as_deref(), Some("192.0.2.9"));
        assert_eq!(client(&direct, "127.0.0.1:1", None), None);
    }

    #[test]
    fn a_call_may_come_in_parts() {
        let part = |request: pb::AuthenticatedRequest| bytes::Bytes::from(request.encode_to_vec());
        let header = pb::HeaderEntry { key: b"X-Forwarded-For".to_vec(), value: b"198.51.100.1".to_vec() };
        let parts = [
            part(pb::AuthenticatedRequest { headers: vec![header], remote_addr: Vec::new() }),
            part(pb::AuthenticatedRequest { headers: Vec::new(), remote_addr: b"192.0.2.9:1".to_vec() }),
        ];
        let proxied = behind(&["192.0.2.0/24"]);
        assert_eq!(proxied.of_call(&parts), Some("198.51.100.1".parse().unwrap()));
        assert_eq!(proxied.of_call(&[bytes::Bytes::from_static(&[0xff])]), None);
    }

    proptest! {
        #[test]
        fn b7_whatever_a_client_writes_in_front_changes_nothing(spoofed in "[ -~]{0,60}") {
            let proxied = behind(&["192.0.2.0/24"]);
            let header = format!("{spoofed}, 198.51.100.1, 192.0.2.3");
            let told = client(&proxied, "192.0.2.9:1", Some(&header));
            prop_assert_eq!(told.as_deref(), Some("198.51.100.1"));
        }
    }
}

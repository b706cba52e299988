//! What may be fetched: a URL of one plain form (rule R17).
//!
//! One parser decides, and what it hands out is all that is used after it: scheme, host, port and path, never the text
//! again. Forms that other programs read otherwise are refused rather than understood.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use http::Uri;
use http::uri::PathAndQuery;

/// The longest URL, in bytes.
pub const MAX_URL: usize = 2_048;
/// The longest host name (RFC 1035 section 2.3.4), and the longest of its labels.
const MAX_HOST: usize = 253;
const MAX_LABEL: usize = 63;

/// Why a URL is none that is fetched from.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, thiserror::Error)]
pub enum UrlFault {
    /// Too long, or not the text of a URL at all.
    #[error("it must be a URL of {MAX_URL} visible ASCII characters at most, an international name in its xn-- form")]
    Malformed,
    /// Neither https nor what is allowed beside it.
    #[error("it must begin with https://")]
    Scheme,
    /// A user or a password before the host.
    #[error("no user or password may stand before the host")]
    Userinfo,
    /// Something after `#`.
    #[error("it must have no fragment")]
    Fragment,
    /// No host, or one that some programs would read as another.
    #[error(
        "the host must be a name in its plain ASCII form, an IPv4 address of four decimals or an IPv6 address in brackets"
    )]
    Host,
    /// A port that is none.
    #[error("the port must be from 1 to 65535")]
    Port,
}

/// Who is asked.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Host {
    /// A name, in lower case.
    Name(String),
    /// An address as it stands.
    Address(IpAddr),
}

/// What is fetched.
#[derive(Clone, Debug)]
pub struct Target {
    /// Whether over TLS; otherwise only ever from this machine.
    pub tls: bool,
    /// Who is asked.
    pub host: Host,
    /// Where.
    pub port: u16,
    /// For what.
    pub path: PathAndQuery,
}

impl Target {
    /// Of a URL; `http://` only where `plain` says that this machine allows it.
    ///
    /// # Errors
    /// When it is not of the one form.
    pub fn parse(url: &str, plain: bool) -> Result<Self, UrlFault> {
        // A backslash is a slash to browsers and a character of the userinfo to others.
        if url.is_empty() || url.len() > MAX_URL || !url.bytes().all(|byte| byte.is_ascii_graphic() && byte != b'\\') {
            return Err(UrlFault::Malformed);
        }
        let (scheme, rest) = url.split_once("://").ok_or(UrlFault::Scheme)?;
        let tls = match scheme.to_ascii_lowercase().as_str() {
            "https" => true,
            "http" if plain => false,
            _ => return Err(UrlFault::Scheme),
        };
        if url.contains('#') {
            return Err(UrlFault::Fragment);
        }
        let authority = rest.split(['/', '?']).next().unwrap_or_default();
        if authority.contains('@') {
            return Err(UrlFault::Userinfo);
        }
        let (host, port) = split_port(authority)?;
        let host = parse_host(host)?;
        let port = match port {
            None => {
                if tls {
                    443
                } else {
                    80
                }
            }
            Some(digits) => parse_port(digits)?,
        };
        // What comes after the authority is the library's to judge, and it must agree about what came before.
        let parsed: Uri = url.parse().map_err(|_| UrlFault::Malformed)?;
        if parsed.authority().map(http::uri::Authority::as_str) != Some(authority) {
            return Err(UrlFault::Malformed);
        }
        let path = parsed.path_and_query().cloned().unwrap_or_else(|| PathAndQuery::from_static("/"));
        Ok(Self { tls, host, port, path })
    }

    /// Host and port as the header `Host` has them (RFC 9110 section 7.2).
    pub fn authority(&self) -> String {
        let host = match &self.host {
            Host::Name(name) => name.clone(),
            Host::Address(IpAddr::V4(address)) => address.to_string(),
            Host::Address(IpAddr::V6(address)) => format!("[{address}]"),
        };
        match (self.tls, self.port) {
            (true, 443) | (false, 80) => host,
            (_, port) => format!("{host}:{port}"),
        }
    }
}

fn split_port(authority: &str) -> Result<(&str, Option<&str>), UrlFault> {
    if authority.starts_with('[') {
        let (host, after) = authority.split_once(']').ok_or(UrlFault::Host)?;
        return match after.strip_prefix(':') {
            Some(port) => Ok((host, Some(port))),
            None if after.is_empty() => Ok((host, None)),
            None => Err(UrlFault::Host),
        };
    }
    Ok(authority.split_once(':').map_or((authority, None), |(host, port)| (host, Some(port))))
}

fn parse_port(digits: &str) -> Result<u16, UrlFault> {
    let plain = (1..=5).contains(&digits.len()) && digits.bytes().all(|digit| digit.is_ascii_digit());
    plain.then(|| digits.parse().ok()).flatten().filter(|port| *port != 0).ok_or(UrlFault::Port)
}

fn parse_host(text: &str) -> Result<Host, UrlFault> {
    if let Some(inside) = text.strip_prefix('[') {
        // No zone: it would name an interface of this machine.
        let address: Ipv6Addr = inside.parse().map_err(|_| UrlFault::Host)?;
        return Ok(Host::Address(address.into()));
    }
    if let Ok(address) = text.parse::<Ipv4Addr>() {
        return Ok(Host::Address(address.into()));
    }
    let is_label = |label: &str| {
        let inner = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'-';
        (1..=MAX_LABEL).contains(&label.len())
            && label.bytes().all(inner)
            && !label.starts_with('-')
            && !label.ends_with('-')
    };
    // A last label that begins with a digit is an address to resolvers: `2130706433`, `0x7f.1`, `0177.0.0.01`.
    let ends_in_a_number = text.rsplit('.').next().is_none_or(|last| last.starts_with(|c: char| c.is_ascii_digit()));
    if text.len() > MAX_HOST || ends_in_a_number || !text.split('.').all(is_label) {
        return Err(UrlFault::Host);
    }
    Ok(Host::Name(text.to_ascii_lowercase()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parsed(url: &str) -> Result<(bool, Host, u16, String), UrlFault> {
        Target::parse(url, false).map(|target| (target.tls, target.host, target.port, target.path.to_string()))
    }

    #[test]
    fn urls_of_the_one_form_are_taken() {
        let name = |text: &str| Host::Name(text.to_owned());
        let address = |text: &str| Host::Address(text.parse().unwrap());
        for (url, host, port, path) in [
            ("https://idp.example", name("idp.example"), 443, "/"),
            ("https://idp.example/", name("idp.example"), 443, "/"),
            ("HTTPS://IDP.Example:8443/a/b?c=d&e", name("idp.example"), 8443, "/a/b?c=d&e"),
            ("https://keycloak/realms/x", name("keycloak"), 443, "/realms/x"),
            ("https://xn--bcher-kva.example/jwks.json", name("xn--bcher-kva.example"), 443, "/jwks.json"),
            ("https://1.2.3.4/k", address("1.2.3.4"), 443, "/k"),
            ("https://[2001:db8::1]:444/k", address("2001:db8::1"), 444, "/k"),
            ("https://3com.example/k", name("3com.example"), 443, "/k"),
            ("https://idp.example?x=1", name("idp.example"), 443, "/?x=1"),
        ] {
            assert_eq!(parsed(url), Ok((true, host, port, path.to_owned())), "{url}");
        }
    }

    #[test]
    fn r17_urls_of_any_other_form_are_refused() {
        let long = format!("https://idp.example/{}", "x".repeat(MAX_URL));
        let label = format!("https://{}.example/", "x".repeat(64));
        let name = format!("https://{}example/", "abcdefg.".repeat(32));
        for (url, fault) in [
            ("", UrlFault::Malformed),
            ("idp.example", UrlFault::Scheme),
            ("//idp.example/", UrlFault::Scheme),
            ("http://idp.example/", UrlFault::Scheme),
            ("http://127.0.0.1/", UrlFault::Scheme),
            ("file:///etc/passwd", UrlFault::Scheme),
            ("file://localhost/etc/passwd", UrlFault::Scheme),
            ("gopher://idp.example/", UrlFault::Scheme),
            ("ftp://idp.example/", UrlFault::Scheme),
            ("unix:///run/docker.sock", UrlFault::Scheme),
            ("https:/idp.example/", UrlFault::Scheme),
            ("https://user@idp.example/", UrlFault::Userinfo),
            ("https://user:word@idp.example/", UrlFault::Userinfo),
            ("https://idp.example@169.254.169.254/", UrlFault::Userinfo),
            ("https://idp.example:443@169.254.169.254/", UrlFault::Userinfo),
            ("https://@idp.example/", UrlFault::Userinfo),
            ("https://idp.example/#a", UrlFault::Fragment),
            ("https://idp.example#@evil.example/", UrlFault::Fragment),
            ("https://idp.example\\@evil.example/", UrlFault::Malformed),
            ("https://idp.example\\.evil.example/", UrlFault::Malformed),
            ("https://idp.example/ a", UrlFault::Malformed),
            ("https://idp.example/a\r\nHost: evil", UrlFault::Malformed),
            ("https://idp.example/\0", UrlFault::Malformed),
            (" https://idp.example/", UrlFault::Malformed),
            ("https://b\u{fc}cher.example/", UrlFault::Malformed),
            ("https://idp\u{3002}example/", UrlFault::Malformed),
            ("https:///jwks", UrlFault::Host),
            ("https://", UrlFault::Host),
            ("https://:443/", UrlFault::Host),
            ("https://idp.example./", UrlFault::Host),
            ("https://.idp.example/", UrlFault::Host),
            ("https://idp..example/", UrlFault::Host),
            ("https://-idp.example/", UrlFault::Host),
            ("https://idp_1.example/", UrlFault::Host),
            ("https://idp%2eexample/", UrlFault::Host),
            ("https://2130706433/", UrlFault::Host),
            ("https://0x7f000001/", UrlFault::Host),
            ("https://0x7f.1/", UrlFault::Host),
            ("https://0177.0.0.1/", UrlFault::Host),
            ("https://127.1/", UrlFault::Host),
            ("https://127.0.0.0x1/", UrlFault::Host),
            ("https://127.0.0.01/", UrlFault::Host),
            ("https://1.2.3.4.5/", UrlFault::Host),
            ("https://256.1.1.1/", UrlFault::Host),
            ("https://017700000001/", UrlFault::Host),
            ("https://::1/", UrlFault::Host),
            ("https://[::1/", UrlFault::Host),
            ("https://[::1]x/", UrlFault::Host),
            ("https://[fe80::1%25eth0]/", UrlFault::Host),
            ("https://[fe80::1%eth0]/", UrlFault::Host),
            ("https://[127.0.0.1]/", UrlFault::Host),
            ("https://idp.example:/", UrlFault::Port),
            ("https://idp.example:0/", UrlFault::Port),
            ("https://idp.example:65536/", UrlFault::Port),
            ("https://idp.example:+443/", UrlFault::Port),
            ("https://idp.example:4a3/", UrlFault::Port),
            ("https://idp.example:443:443/", UrlFault::Port),
            ("https://[::1]:/", UrlFault::Port),
            (long.as_str(), UrlFault::Malformed),
            (label.as_str(), UrlFault::Host),
            (name.as_str(), UrlFault::Host),
        ] {
            assert_eq!(parsed(url), Err(fault), "{url}");
        }
    }

    #[test]
    fn r17_plain_http_is_taken_only_where_this_machine_says_so() {
        let url = "http://127.0.0.1:8080/jwks";
        assert_eq!(parsed(url), Err(UrlFault::Scheme));
        let target = Target::parse(url, true).unwrap();
        assert_eq!((target.tls, target.port, target.authority().as_str()), (false, 8080, "127.0.0.1:8080"));
        assert_eq!(Target::parse("http://[::1]/jwks", true).unwrap().authority(), "[::1]");
    }
}

//! The handshake line as a Go host reads it (go-plugin-wire 2): what such a host refuses is refused here,
//! and where it would panic, that is said.

use std::net::SocketAddr;
use std::path::PathBuf;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD_NO_PAD;

/// The host's line scanner gives up on longer lines.
pub(super) const MAX_LINE: usize = 64 * 1024;
/// A certificate field up to this length is ignored.
const CERTIFICATE_IGNORED_UP_TO: usize = 50;

/// Where the plugin listens.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Address {
    /// A socket file.
    Unix(PathBuf),
    /// An IP address and port.
    Tcp(SocketAddr),
}

impl std::fmt::Display for Address {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Unix(path) => write!(f, "unix:{}", path.display()),
            Self::Tcp(address) => address.fmt(f),
        }
    }
}

impl Address {
    /// From the two texts that lines and announcements carry.
    pub(super) fn parse(network: &str, address: &str) -> Result<Self, HandshakeError> {
        let bad = || HandshakeError::Address(address.to_owned());
        match network {
            "unix" if !address.is_empty() => Ok(Self::Unix(address.into())),
            "tcp" => address.parse().map(Self::Tcp).map_err(|_| bad()),
            "unix" => Err(bad()),
            _ => Err(HandshakeError::Network(network.to_owned())),
        }
    }
}

/// What the line said.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Handshake {
    /// The application protocol's version; 1 is the only one.
    pub version: u32,
    /// Where to connect.
    pub address: Address,
    /// The plugin's certificate (DER), with `AutoMTLS`.
    pub certificate: Option<Vec<u8>>,
    /// Fields of the line, as they came.
    pub fields: usize,
}

/// What is wrong with a handshake line.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
pub enum HandshakeError {
    /// 64 KiB or more.
    #[error("the line is too long")]
    TooLong,
    /// Not UTF-8, or fewer than four fields.
    #[error("unrecognised plugin message: {0:?}")]
    Unrecognised(String),
    /// Not core protocol 1.
    #[error("incompatible core protocol {0:?}")]
    CoreProtocol(String),
    /// Not one of the versions that the host sent.
    #[error("incompatible application protocol {0:?}")]
    Version(String),
    /// Neither `unix` nor `tcp`.
    #[error("unknown network {0:?}")]
    Network(String),
    /// Not an address of its network.
    #[error("unusable address {0:?}")]
    Address(String),
    /// Not `grpc`; a missing field means the old protocol.
    #[error("unsupported protocol {0:?}")]
    Protocol(String),
    /// Not base64 without padding.
    #[error("the certificate is not base64 in the standard alphabet without padding")]
    Certificate,
    /// The host asked for `AutoMTLS` and got no certificate.
    #[error("no certificate, though the host sent its own")]
    CertificateMissing,
    /// A certificate that nobody asked for: a Go host dereferences nil.
    #[error("a certificate without AutoMTLS: a Go host would panic")]
    CertificateUnasked,
    /// The host wants multiplexing and the field is missing or false.
    #[error("the plugin does not multiplex, and the host demands it")]
    NotMultiplexed,
    /// The multiplexing field is not a Go bool.
    #[error("the multiplexing field is not a bool: {0:?}")]
    MultiplexField(String),
}

/// Reads one line, with or without its end. `auto_mtls` and `multiplex` are what the host asked for.
pub(super) fn parse(line: &[u8], auto_mtls: bool, multiplex: bool) -> Result<Handshake, HandshakeError> {
    if line.len() >= MAX_LINE {
        return Err(HandshakeError::TooLong);
    }
    let unrecognised =
        || HandshakeError::Unrecognised(String::from_utf8_lossy(line).trim().chars().take(200).collect());
    let text = std::str::from_utf8(line).map_err(|_| unrecognised())?.trim();
    let fields: Vec<&str> = text.split('|').collect();
    let &[core, version, network, address, ..] = fields.as_slice() else { return Err(unrecognised()) };
    if core != "1" {
        return Err(HandshakeError::CoreProtocol(core.to_owned()));
    }
    if version != "1" {
        return Err(HandshakeError::Version(version.to_owned()));
    }
    let address = Address::parse(network, address)?;
    let protocol = fields.get(4).copied().unwrap_or("netrpc");
    if protocol != "grpc" {
        return Err(HandshakeError::Protocol(protocol.to_owned()));
    }
    let certificate = match fields.get(5).filter(|field| field.len() > CERTIFICATE_IGNORED_UP_TO) {
        Some(_) if !auto_mtls => return Err(HandshakeError::CertificateUnasked),
        Some(field) => Some(STANDARD_NO_PAD.decode(field).map_err(|_| HandshakeError::Certificate)?),
        None if auto_mtls => return Err(HandshakeError::CertificateMissing),
        None => None,
    };
    if multiplex {
        match fields.get(6).copied() {
            Some("1" | "t" | "T" | "true" | "TRUE" | "True") => {}
            None | Some("0" | "f" | "F" | "false" | "FALSE" | "False") => return Err(HandshakeError::NotMultiplexed),
            Some(other) => return Err(HandshakeError::MultiplexField(other.to_owned())),
        }
    }
    Ok(Handshake { version: 1, address, certificate, fields: fields.len() })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn plain(line: &str) -> Result<Handshake, HandshakeError> {
        parse(line.as_bytes(), false, false)
    }

    #[test]
    fn what_go_hosts_take_is_taken() {
        for line in ["1|1|unix|/tmp/p1|grpc|\n", "1|1|unix|/tmp/p1|grpc", "  1|1|unix|/tmp/p1|grpc||true\r\n"] {
            assert_eq!(plain(line).unwrap().address, Address::Unix("/tmp/p1".into()), "{line:?}");
        }
        let tcp = plain("1|1|tcp|127.0.0.1:10000|grpc|").unwrap();
        assert_eq!(tcp.address, Address::Tcp(([127, 0, 0, 1], 10000).into()));
        assert!(plain("1|1|tcp|[::1]:10000|grpc|").is_ok());
        assert!(parse(b"1|1|unix|/p|grpc||true", false, true).is_ok());
        assert_eq!(plain("1|1|unix|/p|grpc|short").unwrap().certificate, None, "fifty characters and less are ignored");
    }

    #[test]
    fn what_go_hosts_refuse_is_refused() {
        use HandshakeError as E;
        assert!(matches!(plain(""), Err(E::Unrecognised(_))));
        assert!(matches!(plain("latchkey 0.1 starting"), Err(E::Unrecognised(_))));
        assert!(matches!(plain("2|1|unix|/p|grpc|"), Err(E::CoreProtocol(_))));
        assert!(matches!(plain("1|2|unix|/p|grpc|"), Err(E::Version(_))));
        assert!(matches!(plain("1|1|UNIX|/p|grpc|"), Err(E::Network(_))));
        assert!(matches!(plain("1|1|tcp|127.0.0.1|grpc|"), Err(E::Address(_))));
        assert!(matches!(plain("1|1|unix|/p|GRPC|"), Err(E::Protocol(_))));
        assert!(matches!(plain("1|1|unix|/p"), Err(E::Protocol(_))));
        assert_eq!(parse(b"1|1|unix|/p|grpc|", true, false), Err(E::CertificateMissing));
        assert_eq!(parse(b"1|1|unix|/p|grpc|", false, true), Err(E::NotMultiplexed));
        assert_eq!(parse(b"1|1|unix|/p|grpc||false", false, true), Err(E::NotMultiplexed));
        assert_eq!(parse(b"1|1|unix|/p|grpc||yes", false, true), Err(E::MultiplexField("yes".to_owned())));
        assert_eq!(parse(&vec![b'1'; MAX_LINE], false, false), Err(E::TooLong));
    }

    #[test]
    fn certificates_are_base64_without_padding_and_only_when_asked_for() {
        for length in [60, 61, 62] {
            let der = vec![0x30; length];
            let line = format!("1|1|unix|/p|grpc|{}", STANDARD_NO_PAD.encode(&der));
            assert_eq!(parse(line.as_bytes(), true, false).unwrap().certificate, Some(der));
            assert_eq!(plain(&line), Err(HandshakeError::CertificateUnasked));
            if length % 3 != 0 {
                assert_eq!(parse(format!("{line}=").as_bytes(), true, false), Err(HandshakeError::Certificate));
            }
        }
    }
}

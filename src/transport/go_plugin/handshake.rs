//! The one line on stdout that tells the host where we listen (section 2), and what becomes of stdout after it.

use std::io::{self, Write as _};
use std::net::SocketAddr;
use std::os::fd::OwnedFd;
use std::path::PathBuf;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD_NO_PAD;

/// Where the host reaches us.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Address {
    /// A socket file.
    Unix(PathBuf),
    /// A loopback port.
    Tcp(SocketAddr),
}

impl Address {
    /// The `network` word of lines and announcements.
    pub const fn network(&self) -> &'static str {
        match self {
            Self::Unix(_) => "unix",
            Self::Tcp(_) => "tcp",
        }
    }

    /// The address word.
    pub fn text(&self) -> String {
        match self {
            Self::Unix(path) => path.display().to_string(),
            Self::Tcp(address) => address.to_string(),
        }
    }
}

/// The line, without its end. The certificate is sent only where the host sent one, because any other host panics over
/// it; the multiplexing field only where the host knows of it, because older ones would take it for a part
/// of the certificate.
pub fn line(version: u32, address: &Address, certificate_der: Option<&[u8]>, multiplex: Option<bool>) -> String {
    // Without padding: Go's decoder refuses it.
    let certificate = certificate_der.map(|der| STANDARD_NO_PAD.encode(der)).unwrap_or_default();
    let multiplex = multiplex.map(|on| format!("|{on}")).unwrap_or_default();
    format!("1|{version}|{}|{}|grpc|{certificate}{multiplex}", address.network(), address.text())
}

/// Writes the line, then points stdout at nothing: a later line of 64 KiB would stop the host's reader and
/// at last block us. Returns the original stdout, whose other end tells when the host is gone.
///
/// # Errors
/// When descriptors cannot be made. A host that has gone already is no error here.
pub fn announce(line: &str) -> io::Result<OwnedFd> {
    let kept = rustix::io::fcntl_dupfd_cloexec(rustix::stdio::stdout(), 3)?;
    let mut stdout = io::stdout().lock();
    let written =
        stdout.write_all(line.as_bytes()).and_then(|()| stdout.write_all(b"\n")).and_then(|()| stdout.flush());
    drop(stdout);
    if let Err(error) = written
        && error.kind() != io::ErrorKind::BrokenPipe
    {
        return Err(error);
    }
    let null = rustix::fs::open("/dev/null", rustix::fs::OFlags::WRONLY, rustix::fs::Mode::empty())?;
    rustix::stdio::dup2_stdout(&null)?;
    Ok(kept)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_line_has_the_fields_that_the_host_expects() {
        let unix = Address::Unix("/tmp/plugin1".into());
        let tcp = Address::Tcp("127.0.0.1:10000".parse().unwrap());
        assert_eq!(line(1, &unix, None, None), "1|1|unix|/tmp/plugin1|grpc|");
        assert_eq!(line(1, &tcp, None, Some(false)), "1|1|tcp|127.0.0.1:10000|grpc||false");
        assert_eq!(line(1, &unix, Some(&[0xff; 3]), None), "1|1|unix|/tmp/plugin1|grpc|////");
        assert_eq!(line(1, &unix, Some(b"ab"), Some(true)), "1|1|unix|/tmp/plugin1|grpc|YWI|true");
    }

    #[test]
    fn the_certificate_is_never_padded() {
        for length in 300..303 {
            let line = line(1, &Address::Unix("/s".into()), Some(&vec![7; length]), None);
            assert!(!line.contains('='), "{length}");
        }
    }
}

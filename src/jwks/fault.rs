//! Every way in which a fetch fails: a closed set, with a code for logs and for operators of this machine, and three texts
//! for those who are bound to a tenant (rule R17).
//!
//! The texts tell nothing of what is behind an address: whether a name is there, a port is open, or who answers on it. Else
//! whoever may name a URL could look around in our network.

use std::fmt;

use crate::jwks::target::UrlFault;
use crate::jwt::Fault;

macro_rules! faults {
    ($($(#[$doc:meta])* $name:ident = $code:literal, $outside:ident, $text:literal;)+) => {
        /// Why nothing usable was fetched.
        #[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
        pub enum FetchError {
            /// The URL is none that is fetched from.
            Url(UrlFault),
            /// The status of the answer is not 200.
            Status(u16),
            /// The body is no set of public keys.
            Keys(Fault),
            $($(#[$doc])* $name,)+
        }

        impl FetchError {
            /// The stable code in logs.
            pub const fn code(self) -> &'static str {
                match self {
                    Self::Url(_) => "url",
                    Self::Status(_) => "status",
                    Self::Keys(fault) => fault.code(),
                    $(Self::$name => $code,)+
                }
            }

            /// What one who is bound to a tenant is told.
            pub const fn outside(self) -> Outside {
                match self {
                    Self::Url(_) => Outside::Url,
                    Self::Status(_) | Self::Keys(_) => Outside::Answer,
                    $(Self::$name => Outside::$outside,)+
                }
            }
        }

        impl fmt::Display for FetchError {
            fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
                match self {
                    Self::Url(fault) => write!(out, "the URL cannot be fetched from: {fault}"),
                    Self::Status(status) => write!(out, "it answered with status {status}"),
                    Self::Keys(fault) => write!(out, "its answer is no set of public keys: {}", fault.text()),
                    $(Self::$name => out.write_str($text),)+
                }
            }
        }
    };
}

faults! {
    /// The name has no address.
    NameUnknown = "name_unknown", Unreachable, "its name has no address";
    /// One of its addresses is none that may be connected to.
    AddressRefused = "address_refused", Unreachable,
        "it has an address that is not public: jwks.allow_networks is where this machine allows one";
    /// Nothing can be connected to.
    Unreachable = "unreachable", Unreachable, "it cannot be connected to";
    /// Its certificate is of no authority that is trusted.
    CertificateUntrusted = "certificate_untrusted", Unreachable,
        "its certificate is of no authority that is trusted: jwks.ca_file adds one";
    /// Its certificate is for another name.
    CertificateName = "certificate_name", Unreachable, "its certificate is for another name";
    /// Its certificate is past its time, or not yet in it.
    CertificateExpired = "certificate_expired", Unreachable, "its certificate is expired, or not valid yet";
    /// TLS failed otherwise.
    Tls = "tls", Unreachable, "it does not speak TLS as it should";
    /// It took too long.
    TimedOut = "timed_out", Unreachable, "it did not answer completely in time";
    /// What it sent is no HTTP, too much of it, or ends before its end.
    Broken = "broken", Unreachable, "it broke off, or did not speak HTTP as it should";
    /// It leads elsewhere; nobody follows.
    Redirected = "redirected", Answer, "it redirects elsewhere, which is not followed: name the address that it leads to";
    /// The body is compressed though nobody asked for that.
    Encoded = "encoded", Answer, "it answered in a compressed form, which was not asked for";
    /// The body says to be something else than JSON.
    NotJson = "not_json", Answer, "it answered with a page instead of JSON";
    /// The body is too large.
    TooLarge = "too_large", Answer, "its answer is too large";
    /// It is a set without any keys: said again a while later, it is a removal of all.
    NoneAtAll = "keys_empty", Answer, "its set of keys is empty";
    /// There is no key in it that may verify.
    NoKeys = "no_keys", Answer, "there is no key in its answer that may verify";
}

impl std::error::Error for FetchError {}

/// What one who is bound to a tenant is told.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, thiserror::Error)]
pub enum Outside {
    /// That the URL itself is not of the form; it is theirs.
    #[error("the URL cannot be fetched from: only https, a plain host name and no user, password or fragment")]
    Url,
    /// That nothing answered, whatever the reason.
    #[error("it could not be reached")]
    Unreachable,
    /// That something answered, and not as it should.
    #[error("it answered otherwise than with what was asked for")]
    Answer,
}

impl Outside {
    /// The stable code.
    pub const fn code(self) -> &'static str {
        match self {
            Self::Url => "url",
            Self::Unreachable => "unreachable",
            Self::Answer => "answer",
        }
    }
}

/// From what TLS says of a connection that failed.
pub(super) fn of_tls(error: &std::io::Error) -> FetchError {
    use rustls::CertificateError as Wrong;
    let inner = error.get_ref().and_then(|inner| inner.downcast_ref::<rustls::Error>());
    match inner {
        Some(rustls::Error::InvalidCertificate(wrong)) => match wrong {
            Wrong::NotValidForName | Wrong::NotValidForNameContext { .. } => FetchError::CertificateName,
            Wrong::Expired | Wrong::ExpiredContext { .. } | Wrong::NotValidYet | Wrong::NotValidYetContext { .. } => {
                FetchError::CertificateExpired
            }
            _ => FetchError::CertificateUntrusted,
        },
        Some(_) => FetchError::Tls,
        None => FetchError::Broken,
    }
}

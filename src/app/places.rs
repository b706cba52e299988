//! Where `serve` listens, and what may be served there.

use std::net::{SocketAddr, ToSocketAddrs as _};
use std::path::PathBuf;

use crate::app::serve::ServeFailure;
use crate::config::ServeSettings;

/// An address to listen on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Place {
    /// A TCP port.
    Tcp(SocketAddr),
    /// A unix socket.
    Unix(PathBuf),
}

/// All of them, by what is served there.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Places {
    /// For hosts.
    pub(super) plugin: Vec<Place>,
    /// For admins.
    pub(super) admin: Vec<Place>,
    /// For metrics, health and OAuth, each with whether TLS is spoken there.
    pub(super) http: Vec<(SocketAddr, bool)>,
}

impl Places {
    /// What the settings say, if it may be served.
    ///
    /// # Errors
    /// What is wrong, and what to do.
    pub(super) fn of(settings: &ServeSettings) -> Result<Self, ServeFailure> {
        let tls = settings.tls_cert.is_some();
        if tls != settings.tls_key.is_some() {
            return Err(ServeFailure::HalfTls);
        }
        let plaintext = |text: &str, address: SocketAddr| {
            address.ip().is_loopback() || settings.allow_plaintext.iter().any(|allowed| allowed == text)
        };
        let (mut plugin, mut admin, mut http) = (Vec::new(), Vec::new(), Vec::new());
        for text in &settings.listen {
            let place = place(text)?;
            if let Place::Tcp(address) = place
                && !tls
                && !plaintext(text, address)
            {
                return Err(ServeFailure::Plaintext { address: text.clone() });
            }
            plugin.push(place);
        }
        for text in &settings.admin {
            let place = place(text)?;
            // On loopback too: whoever may open a port there would get operators' tokens.
            if matches!(place, Place::Tcp(_)) && !tls {
                return Err(ServeFailure::AdminPlaintext { address: text.clone() });
            }
            admin.push(place);
        }
        for text in &settings.http {
            let Place::Tcp(address) = place(text)? else {
                return Err(ServeFailure::Http { text: text.clone() });
            };
            let in_the_clear = plaintext(text, address);
            if !(in_the_clear || settings.http_tls && tls) {
                return Err(ServeFailure::HttpPlaintext { address: text.clone() });
            }
            http.push((address, !in_the_clear));
        }
        if plugin.is_empty() {
            return Err(ServeFailure::Address { text: "nothing".to_owned() });
        }
        // Who gives authorities expects them to keep somebody out: no other listener asks for certificates.
        if settings.client_ca.is_some() && !admin.iter().any(|place| matches!(place, Place::Tcp(_))) {
            return Err(ServeFailure::ClientCa);
        }
        Ok(Self { plugin, admin, http })
    }
}

fn place(text: &str) -> Result<Place, ServeFailure> {
    let wrong = || ServeFailure::Address { text: text.to_owned() };
    if let Some(path) = text.strip_prefix("unix:") {
        return Some(path)
            .filter(|path| !path.is_empty())
            .map(|path| Place::Unix(PathBuf::from(path)))
            .ok_or_else(wrong);
    }
    let address = text.to_socket_addrs().ok().and_then(|mut found| found.next());
    address.map(Place::Tcp).ok_or_else(wrong)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn settings(listen: &str, allow: &str, cert: bool, key: bool) -> ServeSettings {
        let path = |given: bool| given.then(|| PathBuf::from("/x"));
        ServeSettings {
            listen: list(listen),
            tls_cert: path(cert),
            tls_key: path(key),
            allow_plaintext: list(allow),
            admin: Vec::new(),
            peers: Vec::new(),
            client_ca: None,
            http: Vec::new(),
            http_tls: false,
        }
    }

    fn list(text: &str) -> Vec<String> {
        text.split(',').filter(|item| !item.is_empty()).map(str::to_owned).collect()
    }

    fn with(admin: &str, http: &str, allow: &str, tls: bool) -> Result<Places, ServeFailure> {
        let settings = settings("127.0.0.1:0", allow, tls, tls);
        Places::of(&ServeSettings { admin: list(admin), http: list(http), ..settings })
    }

    #[test]
    fn plaintext_stays_on_this_machine_unless_the_very_address_is_allowed() {
        let refused = |settings| matches!(Places::of(&settings), Err(ServeFailure::Plaintext { .. }));
        for local in ["127.0.0.1:0", "[::1]:0", "unix:/run/x.sock"] {
            assert!(Places::of(&settings(local, "", false, false)).is_ok(), "{local}");
        }
        assert!(refused(settings("0.0.0.0:7443", "", false, false)));
        assert!(refused(settings("127.0.0.1:0,192.0.2.1:1", "", false, false)));
        assert!(refused(settings("0.0.0.0:7443", "0.0.0.0:7444", false, false)));
        assert!(Places::of(&settings("0.0.0.0:7443", "0.0.0.0:7443", false, false)).is_ok());
        assert!(Places::of(&settings("0.0.0.0:7443", "", true, true)).is_ok());
    }

    #[test]
    fn what_is_no_address_is_said() {
        for wrong in ["", "7443", "unix:", "here", "127.0.0.1:99999"] {
            assert!(
                matches!(Places::of(&settings(wrong, "", false, false)), Err(ServeFailure::Address { .. })),
                "{wrong}"
            );
        }
        assert!(matches!(Places::of(&settings("127.0.0.1:0", "", true, false)), Err(ServeFailure::HalfTls)));
        assert!(matches!(with("unix:", "", "", false), Err(ServeFailure::Address { .. })));
        assert!(matches!(with("", "unix:/run/x.sock", "", false), Err(ServeFailure::Http { .. })));
    }

    #[test]
    fn admins_over_tcp_need_tls_on_loopback_too_and_no_permission_changes_that() {
        for address in ["127.0.0.1:1", "[::1]:1", "192.0.2.1:1"] {
            let refused = with(address, "", address, false).unwrap_err();
            assert!(matches!(refused, ServeFailure::AdminPlaintext { .. }), "{address}");
            assert!(refused.to_string().contains("--tls-cert") && refused.is_configuration());
            assert_eq!(with(address, "", "", true).unwrap().admin.len(), 1);
        }
        assert_eq!(with("unix:/run/a", "", "", false).unwrap().admin, [Place::Unix("/run/a".into())]);
    }

    #[test]
    fn http_stays_on_this_machine_unless_the_very_address_is_allowed_whatever_tls_there_is() {
        for tls in [false, true] {
            assert_eq!(with("", "127.0.0.1:1,[::1]:1", "", tls).unwrap().http.len(), 2);
            let refused = with("", "0.0.0.0:1", "0.0.0.0:2", tls).unwrap_err();
            assert!(matches!(refused, ServeFailure::HttpPlaintext { .. }) && refused.is_configuration());
            assert_eq!(with("", "0.0.0.0:1", "0.0.0.0:1", tls).unwrap().http.len(), 1);
        }
    }

    #[test]
    fn http_beyond_this_machine_is_over_tls_where_that_is_asked_for_and_can_be_had() {
        let places = |allow: &str, tls| {
            let settings = settings("127.0.0.1:0", allow, tls, tls);
            Places::of(&ServeSettings { http: list("127.0.0.1:1,0.0.0.0:2"), http_tls: true, ..settings })
        };
        assert!(matches!(places("", false), Err(ServeFailure::HttpPlaintext { .. })));
        let over_tls = |places: Places| places.http.iter().map(|(_, tls)| *tls).collect::<Vec<_>>();
        assert_eq!(over_tls(places("", true).unwrap()), [false, true]);
        assert_eq!(over_tls(places("0.0.0.0:2", true).unwrap()), [false, false]);
    }

    #[test]
    fn authorities_that_would_keep_nobody_out_are_refused() {
        let client_ca = Some(PathBuf::from("/x"));
        for (admin, served) in [("", false), ("unix:/run/a", false), ("127.0.0.1:1", true)] {
            let settings = settings("127.0.0.1:0", "", true, true);
            let places = Places::of(&ServeSettings { admin: list(admin), client_ca: client_ca.clone(), ..settings });
            assert_eq!(places.is_ok(), served, "{admin}");
        }
    }
}

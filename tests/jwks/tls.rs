//! Whom TLS believes.

use std::sync::Arc;

use latchkey::jwks::{FetchError, Outbound, Resolve, Settings, TlsError};
use rustls::ServerConfig;

use crate::hostile_http::{Authority, Hostile, Step, json, self_signed};
use crate::{Names, TENANT, outbound, settings};

const NAME: &str = "idp.test";

struct Trusting {
    authority: Authority,
    dir: tempfile::TempDir,
}

impl Trusting {
    fn new() -> Self {
        let this = Self { authority: Authority::new(), dir: tempfile::tempdir().unwrap() };
        std::fs::write(this.dir.path().join("ca.pem"), this.authority.pem()).unwrap();
        this
    }

    fn settings(&self) -> Settings {
        Settings { ca_file: Some(self.dir.path().join("ca.pem")), ..settings() }
    }
}

async fn get(settings: Settings, tls: Arc<ServerConfig>, host: &str) -> Result<Vec<u8>, FetchError> {
    let server = Hostile::always(Some(tls), json("{}")).await;
    let names = Names::of(NAME, &[&["127.0.0.1"]]);
    let url = format!("https://{host}:{}/jwks", server.address.port());
    let got = outbound(settings, &names).get(TENANT, &url).await.map(|fetched| fetched.body);
    assert_eq!(server.asked().len(), usize::from(got.is_ok()), "nothing is asked of who is not believed");
    got
}

#[tokio::test]
async fn a_certificate_of_an_authority_that_this_machine_adds_is_believed_for_its_name() {
    let ours = Trusting::new();
    assert_eq!(get(ours.settings(), ours.authority.server(NAME), NAME).await, Ok(b"{}".to_vec()));
    assert_eq!(get(ours.settings(), ours.authority.server(NAME), "IDP.test").await, Ok(b"{}".to_vec()));
    assert_eq!(get(ours.settings(), ours.authority.server("127.0.0.1"), "127.0.0.1").await, Ok(b"{}".to_vec()));
}

#[tokio::test]
async fn r17_no_other_certificate_is_believed() {
    let (ours, other) = (Trusting::new(), Authority::new());
    for (what, settings, tls, host, expected) in [
        ("an unknown authority", settings(), ours.authority.server(NAME), NAME, FetchError::CertificateUntrusted),
        ("another authority", ours.settings(), other.server(NAME), NAME, FetchError::CertificateUntrusted),
        ("itself", ours.settings(), self_signed(NAME), NAME, FetchError::CertificateUntrusted),
        ("another name", ours.settings(), ours.authority.server("evil.test"), NAME, FetchError::CertificateName),
        (
            "a name for an address",
            ours.settings(),
            ours.authority.server(NAME),
            "127.0.0.1",
            FetchError::CertificateName,
        ),
        (
            "an address for a name",
            ours.settings(),
            ours.authority.server("127.0.0.1"),
            NAME,
            FetchError::CertificateName,
        ),
        ("a time that is over", ours.settings(), ours.authority.expired(NAME), NAME, FetchError::CertificateExpired),
    ] {
        assert_eq!(get(settings, tls, host).await, Err(expected), "{what}");
    }
}

#[tokio::test]
async fn who_speaks_no_tls_or_none_at_all_is_given_up() {
    let names = Names::of(NAME, &[&["127.0.0.1"]]);
    let fetch = outbound(settings(), &names);
    let silent = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let plain = Hostile::always(None, vec![Step::Send(b"HTTP/1.1 200 OK\r\n\r\n".to_vec())]).await;
    let url = |port: u16| format!("https://{NAME}:{port}/jwks");
    assert_eq!(fetch.get(TENANT, &url(silent.local_addr().unwrap().port())).await, Err(FetchError::TimedOut));
    let got = fetch.get(TENANT, &url(plain.address.port())).await;
    assert!(matches!(got, Err(FetchError::TimedOut | FetchError::Tls | FetchError::Broken)), "{got:?}");
    let closed = silent.local_addr().unwrap().port();
    drop(silent);
    assert_eq!(fetch.get(TENANT, &url(closed)).await, Err(FetchError::Unreachable));
}

#[test]
fn a_file_of_authorities_that_is_of_no_use_is_an_error_that_names_it() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("ca.pem");
    let refused = || {
        let settings = Settings { ca_file: Some(path.clone()), ..settings() };
        Outbound::new(settings, Arc::new(Names::default()) as Arc<dyn Resolve>).err()
    };
    let damaged = "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n";
    for content in [None, Some(""), Some("no certificate"), Some(damaged)] {
        if let Some(content) = content {
            std::fs::write(&path, content).unwrap();
        }
        let error = refused();
        assert!(
            matches!(&error, Some(TlsError::Authorities { path: named, .. }) if *named == path),
            "{content:?}: {error:?}"
        );
    }
}

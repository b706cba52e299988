//! What an issuer says of itself, and what it may not say.

use std::collections::HashMap;
use std::sync::Mutex;

use super::*;
use crate::jwks::fetch::Fetching;
use crate::jwks::outbound::Fetched;

const TENANT: TenantId = TenantId::from_bytes([1; 16]);

/// Bodies by their URL; all else is not there.
#[derive(Default)]
struct Web {
    bodies: HashMap<String, String>,
    asked: Mutex<Vec<String>>,
}

impl Web {
    fn with(url: &str, body: &str) -> Self {
        Self { bodies: HashMap::from([(url.to_owned(), body.to_owned())]), ..Self::default() }
    }
}

impl Fetch for Web {
    fn fetch<'a>(&'a self, _: TenantId, url: &'a str) -> Fetching<'a> {
        self.asked.lock().unwrap().push(url.to_owned());
        let body = self.bodies.get(url).ok_or(FetchError::Status(404));
        let fetched = body.map(|body| Fetched { body: body.clone().into_bytes(), max_age: None });
        Box::pin(std::future::ready(fetched))
    }
}

async fn said(issuer: &str, body: &str) -> Result<String, DiscoveryError> {
    let web = Web::with(&format!("{}{OPENID}", issuer.trim_end_matches('/')), body);
    discover(&web, TENANT, issuer, false).await.map(|found| found.jwks_uri)
}

#[tokio::test]
async fn the_metadata_is_where_either_standard_puts_it() {
    for (issuer, url) in [
        ("https://idp.example", "https://idp.example/.well-known/openid-configuration"),
        ("https://idp.example/", "https://idp.example/.well-known/openid-configuration"),
        ("https://idp.example/realms/a", "https://idp.example/realms/a/.well-known/openid-configuration"),
        ("https://idp.example/realms/a/", "https://idp.example/realms/a/.well-known/openid-configuration"),
        ("https://idp.example:8443", "https://idp.example:8443/.well-known/oauth-authorization-server"),
        ("https://idp.example/realms/a", "https://idp.example/.well-known/oauth-authorization-server/realms/a"),
        ("https://idp.example/", "https://idp.example/.well-known/oauth-authorization-server"),
    ] {
        let web = Web::with(url, &format!(r#"{{"issuer":"{issuer}","jwks_uri":"https://keys.example/jwks"}}"#));
        let found = discover(&web, TENANT, issuer, false).await;
        assert_eq!(found, Ok(Discovered { jwks_uri: "https://keys.example/jwks".to_owned() }), "{url}");
        assert_eq!(web.asked.lock().unwrap().last().unwrap(), url);
    }
}

#[tokio::test]
async fn r16_metadata_of_another_issuer_is_refused_however_alike() {
    let issuer = "https://idp.example/a";
    for other in [
        "https://idp.example/a/",
        "https://idp.example/A",
        "https://idp.example",
        "https://IDP.example/a",
        "http://idp.example/a",
        "https://idp.example/ab",
        "",
    ] {
        let body = format!(r#"{{"issuer":"{other}","jwks_uri":"https://keys.example/jwks"}}"#);
        assert_eq!(said(issuer, &body).await, Err(DiscoveryError::OtherIssuer), "{other}");
    }
    for body in [r#"{"jwks_uri":"https://keys.example/jwks"}"#, r#"{"issuer":["https://idp.example/a"]}"#] {
        assert_eq!(said(issuer, body).await, Err(DiscoveryError::OtherIssuer), "{body}");
    }
}

#[tokio::test]
async fn r17_metadata_leads_nowhere_that_could_not_be_named_directly() {
    let issuer = "https://idp.example";
    let naming = |uri: &str| format!(r#"{{"issuer":"{issuer}","jwks_uri":"{uri}"}}"#);
    for (uri, fault) in [
        ("http://169.254.169.254/latest", UrlFault::Scheme),
        ("http://127.0.0.1/jwks", UrlFault::Scheme),
        ("file:///etc/passwd", UrlFault::Scheme),
        ("https://a@b.example/jwks", UrlFault::Userinfo),
        ("https://2130706433/jwks", UrlFault::Host),
        ("", UrlFault::Malformed),
    ] {
        assert_eq!(said(issuer, &naming(uri)).await, Err(DiscoveryError::Url(fault)), "{uri}");
    }
    assert_eq!(said(issuer, &format!(r#"{{"issuer":"{issuer}"}}"#)).await, Err(DiscoveryError::NoKeys));
    assert_eq!(said(issuer, &format!(r#"{{"issuer":"{issuer}","jwks_uri":7}}"#)).await, Err(DiscoveryError::NoKeys));
    for body in [
        "",
        "[]",
        "<html>",
        "\u{feff}{}",
        r#"{"issuer":"https://idp.example","issuer":"https://idp.example"}"#,
        r#"{"issuer":"https://idp.example"}{}"#,
    ] {
        assert!(matches!(said(issuer, body).await, Err(DiscoveryError::Form(_))), "{body}");
    }
}

#[tokio::test]
async fn what_is_no_url_or_has_more_than_a_path_is_not_discovered() {
    for issuer in ["idp.example", "http://idp.example", "https://idp.example?x=1", "https://idp.example#a", "urn:x"] {
        let web = Web::default();
        assert_eq!(discover(&web, TENANT, issuer, false).await, Err(DiscoveryError::Issuer), "{issuer}");
        assert!(web.asked.lock().unwrap().is_empty());
    }
    let nothing = discover(&Web::default(), TENANT, "https://idp.example", false).await;
    assert_eq!(nothing, Err(DiscoveryError::Fetch(FetchError::Status(404))));
}

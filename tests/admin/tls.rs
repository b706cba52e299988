//! Over TCP: TLS always, and operators by token or by client certificate.

use std::path::{Path, PathBuf};

use rcgen::{BasicConstraints, CertificateParams, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair};
use serde_json::Value;

use crate::desk::{AdminServer, operator, store};
use crate::support::store::bare_command;
use crate::support::{TestStore, run};

/// An authority of the test's own.
struct Authority {
    issuer: Issuer<'static, KeyPair>,
    pem: String,
}

impl Authority {
    fn new(name: &str) -> Self {
        let key = KeyPair::generate().unwrap();
        let mut params = CertificateParams::new(Vec::new()).unwrap();
        params.distinguished_name.push(rcgen::DnType::CommonName, name);
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let pem = params.self_signed(&key).unwrap().pem();
        Self { issuer: Issuer::new(params, key), pem }
    }

    /// A certificate for this key, written beside it.
    fn certify(&self, dir: &Path, name: &str, key: &KeyPair, usage: ExtendedKeyUsagePurpose) -> (PathBuf, PathBuf) {
        let mut params = CertificateParams::new(vec!["localhost".to_owned()]).unwrap();
        params.extended_key_usages = vec![usage];
        let cert = params.signed_by(key, &self.issuer).unwrap();
        let (cert_file, key_file) = (dir.join(format!("{name}.pem")), dir.join(format!("{name}.key")));
        std::fs::write(&cert_file, cert.pem()).unwrap();
        std::fs::write(&key_file, key.serialize_pem()).unwrap();
        (cert_file, key_file)
    }
}

struct Tls {
    store: TestStore,
    dir: PathBuf,
    authority: Authority,
    ca: PathBuf,
    cert: PathBuf,
    key: PathBuf,
}

impl Tls {
    fn new() -> Self {
        let store = store();
        let dir = store.data.parent().unwrap().to_owned();
        let authority = Authority::new("the tests' authority");
        let ca = dir.join("ca.pem");
        std::fs::write(&ca, &authority.pem).unwrap();
        let key = KeyPair::generate().unwrap();
        let (cert, key) = authority.certify(&dir, "server", &key, ExtendedKeyUsagePurpose::ServerAuth);
        Self { store, dir, authority, ca, cert, key }
    }

    fn start(&self) -> (AdminServer, String) {
        let text = |path: &Path| path.to_str().unwrap().to_owned();
        let (cert, key, ca) = (text(&self.cert), text(&self.key), text(&self.ca));
        let more = ["--admin", "127.0.0.1:0", "--tls-cert", &cert, "--tls-key", &key, "--client-ca", &ca];
        let server = AdminServer::start(&self.store, &more);
        let addresses = server.told()["admin"].as_array().unwrap();
        let tcp = addresses.iter().filter_map(Value::as_str).find(|at| !at.starts_with("unix:")).unwrap();
        let url = format!("https://localhost:{}", tcp.rsplit_once(':').unwrap().1);
        (server, url)
    }

    /// The command line with these options; status and what it said.
    fn run(
        &self,
        url: &str,
        token: Option<&str>,
        pair: Option<&(PathBuf, PathBuf)>,
        line: &str,
    ) -> (Option<i32>, String) {
        let mut command = bare_command();
        command.args(["--server", url, "--server-ca"]).arg(&self.ca);
        if let Some((cert, key)) = pair {
            command.arg("--client-cert").arg(cert).arg("--client-key").arg(key);
        }
        if let Some(token) = token {
            command.env("LATCHKEY_TOKEN", token);
        }
        let output = command.args(line.split(' ')).output().unwrap();
        self.store.canaries.assert_absent("stderr", &output.stderr);
        let said = if output.status.success() { output.stdout } else { output.stderr };
        (output.status.code(), String::from_utf8(said).unwrap())
    }
}

#[test]
fn f1_over_tcp_an_operator_is_known_by_token_or_certificate_and_nobody_else_is() {
    run(60, async {
        let tls = Tls::new();
        let token = operator(&tls.store, "by token", "auditor", &[]);
        let key = KeyPair::generate().unwrap();
        let pair = tls.authority.certify(&tls.dir, "ann", &key, ExtendedKeyUsagePurpose::ClientAuth);
        let file = pair.0.to_str().unwrap().to_owned();
        tls.store.ok(&["operator", "add", "ann", "--role", "issuer", "--certificate", &file]);
        let (_server, url) = tls.start();
        let (code, said) = tls.run(&url, None, None, "tenant list");
        assert!(code == Some(1) && said.contains("could not be identified"), "{said}");
        assert_eq!(tls.run(&url, Some(&token), None, "tenant list").0, Some(0));
        let (code, said) = tls.run(&url, None, Some(&pair), "key list --tenant acme");
        assert_eq!(code, Some(0), "{said}");
        assert_eq!(tls.run(&url, None, Some(&pair), "key issue --tenant acme --app 7 --user 9").0, Some(0));
        let (_, said) = tls.run(&url, None, Some(&pair), "tenant suspend acme");
        assert!(said.contains("not permitted"), "{said}");
        // A token that is wrong is not saved by a certificate that is right.
        assert_eq!(tls.run(&url, Some("lkop_wrong"), Some(&pair), "tenant list").0, Some(1));
        // A certificate of the authority that no operator was added with.
        let other = KeyPair::generate().unwrap();
        let unknown = tls.authority.certify(&tls.dir, "unknown", &other, ExtendedKeyUsagePurpose::ClientAuth);
        let (code, said) = tls.run(&url, None, Some(&unknown), "tenant list");
        assert!(code == Some(1) && said.contains("could not be identified"), "{said}");
        // The right key, vouched for by somebody else.
        let rogue =
            Authority::new("somebody else").certify(&tls.dir, "rogue", &key, ExtendedKeyUsagePurpose::ClientAuth);
        assert_eq!(tls.run(&url, None, Some(&rogue), "tenant list").0, Some(1));
        // A server's certificate is no client's.
        let wrong_use = tls.authority.certify(&tls.dir, "wronguse", &key, ExtendedKeyUsagePurpose::ServerAuth);
        assert_eq!(tls.run(&url, None, Some(&wrong_use), "tenant list").0, Some(1));
        // Renewed with the same key it goes on, and taken back it does not.
        let renewed = tls.authority.certify(&tls.dir, "renewed", &key, ExtendedKeyUsagePurpose::ClientAuth);
        assert_eq!(tls.run(&url, None, Some(&renewed), "tenant list").0, Some(0));
        tls.store.ok(&["operator", "revoke", "ann"]);
        assert_eq!(tls.run(&url, None, Some(&renewed), "tenant list").0, Some(1));
        let issued = tls.store.ok(&["audit", "list", "--action", "credential.issued", "--output", "json"]);
        assert!(issued.contains("tcp:127.0.0.1"), "{issued}");
    });
}

#[test]
fn f1_admins_are_never_served_in_the_clear_over_tcp() {
    run(60, async {
        let tls = Tls::new();
        let refused = tls.store.run(&["serve", "--listen", "127.0.0.1:0", "--admin", "127.0.0.1:0"]);
        assert_eq!(refused.status.code(), Some(64));
        assert!(String::from_utf8(refused.stderr).unwrap().contains("--tls-cert"));
        let (_server, url) = tls.start();
        // A client that does not believe the server sends it nothing.
        let mut command = bare_command();
        let stranger = tls.dir.join("stranger.pem");
        std::fs::write(&stranger, Authority::new("a stranger").pem).unwrap();
        command.args(["--server", &url, "--server-ca"]).arg(&stranger).args(["tenant", "list"]);
        let output = command.env("LATCHKEY_TOKEN", &tls.store.operator_token).output().unwrap();
        assert_eq!(output.status.code(), Some(1));
        let plain = url.replace("https://localhost", "http://127.0.0.1");
        let channel = tonic::transport::Endpoint::from_shared(plain).unwrap().connect().await;
        if let Ok(channel) = channel {
            let mut rpc = latchkey::pb::admin::v1::admin_service_client::AdminServiceClient::new(channel);
            assert!(rpc.get_caller(latchkey::pb::admin::v1::GetCallerRequest {}).await.is_err());
        }
    });
}

//! The same commands over the RPC as on the files: the same answers, the same statuses, the same messages.

use std::process::Output;

use serde_json::Value;

use crate::desk::{ACME, AdminServer, OTHER_TENANT, operator, store};
use crate::support::store::{bare_command, secret_part};
use crate::support::{TestStore, run};

/// The command line of somebody who has no files, only the socket and perhaps a token.
struct Remote<'a> {
    store: &'a TestStore,
    url: String,
    token: Option<String>,
}

impl Remote<'_> {
    fn run(&self, line: &str) -> Output {
        self.run_with_input(line, "")
    }

    fn run_with_input(&self, line: &str, input: &str) -> Output {
        use std::io::Write as _;
        let mut command = bare_command();
        command.current_dir("/").args(["--server", &self.url]).args(line.split_whitespace());
        if let Some(token) = &self.token {
            command.env("LATCHKEY_TOKEN", token);
        }
        use std::process::Stdio;
        let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        child.stdin.take().unwrap().write_all(input.as_bytes()).unwrap();
        let output = child.wait_with_output().unwrap();
        self.store.canaries.assert_absent(&format!("stderr of {line}"), &output.stderr);
        output
    }

    fn json(&self, line: &str) -> Value {
        let output = self.run(&format!("{line} --output json"));
        assert!(output.status.success(), "{line}: {}", String::from_utf8_lossy(&output.stderr));
        serde_json::from_slice(&output.stdout)
            .unwrap_or_else(|_| panic!("{line}: {}", String::from_utf8_lossy(&output.stdout)))
    }
}

#[test]
fn everything_an_admin_does_is_done_without_the_files() {
    run(120, async {
        let store = store();
        let token = store.operator_token.clone();
        let server = AdminServer::start(&store, &[]);
        let remote = Remote { store: &store, url: server.url(), token: Some(token) };
        assert_eq!(remote.json("tenant create initech --name Initech")["status"], "active");
        assert_eq!(remote.json("app add --tenant initech --id 31 --name Mill --llm 3=gpt")["llms"][0]["slug"], "gpt");
        assert_eq!(remote.json("user add --tenant initech --id 32 --email p@initech.example")["user_id"], 32);
        let line =
            "link add --tenant initech --issuer https://id.example --subject ann --app 31 --user 32 --request-id r0";
        let linked = remote.json(line);
        assert_eq!((&linked["status"], &remote.json(line)), (&"active".into(), &linked), "once");
        let (id, found) =
            (linked["link_id"].as_str().unwrap(), "link list --tenant initech --issuer https://id.example");
        assert_eq!(remote.json(&format!("{found} --subject ann")), linked);
        assert!(remote.run(&format!("link remove {id} --tenant initech")).status.success());
        assert!(remote.run(&format!("{found} --output json")).stdout.is_empty());
        let line = "issuer add --tenant initech --iss https://id.example --jwks-url https://id.example/keys --alg ES256,PS256 \
                    --aud gateway --app 31 --user-claim sub --request-id r3";
        let trusted = remote.json(line);
        assert_eq!(
            (&trusted["status"], &remote.json(line)["issuer_id"]),
            (&"active".into(), &trusted["issuer_id"]),
            "once"
        );
        let of = |what: &str| format!("issuer {what} {} --tenant initech", trusted["issuer_id"].as_str().unwrap());
        assert_eq!(remote.json(&of("show"))["etag"], trusted["etag"]);
        assert_eq!(remote.json(&format!("{} --max-age 60 --links", of("set")))["max_age_seconds"], 60);
        assert_eq!(remote.run(&of("check")).status.code(), Some(1), "this server fetches nothing");
        assert!(remote.run(&of("remove")).status.success());
        let issued =
            remote.json("key issue --tenant initech --app 31 --user 32 --label ci --expires-in 90d --request-id r1");
        let (id, key) = (issued["credential_id"].as_str().unwrap(), issued["key"].as_str().unwrap());
        store.canaries.add("a key", secret_part(key).unwrap());
        let again =
            remote.json("key issue --tenant initech --app 31 --user 32 --label ci --expires-in 90d --request-id r1");
        assert!(again["replayed"] == true && again["key"].is_null() && again["credential_id"] == id);
        let told = remote.run_with_input("authenticate --llm-id 3 --output json", key);
        assert_eq!(told.status.code(), Some(0));
        assert_eq!(serde_json::from_slice::<Value>(&told.stdout).unwrap()["app_id"], "31");
        assert_eq!(remote.run_with_input("authenticate --llm-id 5", key).status.code(), Some(1));
        assert!(remote.run_with_input("key explain --llm-id 3", key).status.success());
        let scanned = remote.run_with_input("scan --output json", &format!("key = {key}\n"));
        assert!(String::from_utf8_lossy(&scanned.stdout).contains("\"active\""), "{scanned:?}");
        assert_eq!(remote.json(&format!("key set {id} --label new"))["label"], "new");
        let rotated = remote.json(&format!("key rotate {id} --grace 1h"));
        store.canaries.add("a key", secret_part(rotated["key"].as_str().unwrap()).unwrap());
        assert_eq!(remote.json(&format!("key revoke {id} --reason superseded"))["revocation_reason"], "superseded");
        assert_eq!(
            remote.run("key list --tenant initech --output json").stdout.iter().filter(|c| **c == b'\n').count(),
            2
        );
        let imported = remote.run_with_input(
            "key import - --tenant initech --app 31 --user 32 --entropy high --output json",
            "{\"sha256\":\"9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08\"}\n{\"junk\":1}\n",
        );
        let report: Value = serde_json::from_slice(&imported.stdout).unwrap();
        assert_eq!((&report["imported"], &report["refusals"][0]["line"]), (&1.into(), &2.into()), "{report}");
        assert_eq!(remote.run("key export --tenant initech").stdout.iter().filter(|c| **c == b'\n').count(), 1);
        let made = remote.json("operator add bob --role issuer --tenant initech");
        store.canaries.add("a token", secret_part(made["token"].as_str().unwrap()).unwrap());
        assert_eq!(remote.json("operator show bob")["tenants"][0], "initech");
        assert_eq!(remote.json("operator revoke bob")["status"], "revoked");
        assert_eq!(remote.json("tenant suspend initech")["status"], "suspended");
        assert_eq!(remote.json("audit verify")["consistent"], true);
        let anchor = remote.run("audit checkpoint").stdout;
        let file = store.data.parent().unwrap().join("anchors");
        std::fs::write(&file, anchor).unwrap();
        assert_eq!(remote.json(&format!("audit verify --anchor {}", file.display()))["anchors"], 1);
        let exported = store.data.parent().unwrap().join("trail.jsonl");
        assert!(remote.run(&format!("audit export {}", exported.display())).status.success());
        let verified = bare_command().args(["audit", "verify", "--file"]).arg(&exported).output().unwrap();
        assert!(verified.status.success(), "on any machine, by the file alone: {verified:?}");
        assert_eq!(remote.json("audit public-key")["public_key"].as_str().unwrap().len(), 64);
        assert_eq!(remote.json("audit rotate-key")["replaced"].as_str().unwrap().len(), 64);
        assert_eq!(remote.json("audit verify")["consistent"], true);
        assert!(remote.run("audit decisions --output json").status.success());
        assert!(remote.run("app remove --tenant initech --id 31").status.success());
        let events = String::from_utf8(remote.run("audit list --limit 10000 --output json").stdout).unwrap();
        let of_owner = events.lines().filter(|line| line.contains("operator:")).count();
        assert!(of_owner >= 14, "each of its acts is its own: {of_owner}");
        store.canaries.assert_absent("the server's log", server.log().as_bytes());
    });
}

#[test]
fn answers_and_failures_are_the_same_as_on_the_files() {
    run(60, async {
        let store = store();
        let server = AdminServer::start(&store, &[]);
        let remote = Remote { store: &store, url: server.url(), token: None };
        for line in [
            "tenant show acme",
            "tenant list",
            "app show --tenant acme --id 7",
            "app list --tenant acme",
            "user show --tenant acme --id 9",
            "user list --tenant globex",
            "key list --tenant acme",
            "link list --tenant acme",
            "link add --tenant acme --issuer x --subject y --app 99 --user 9",
            "link add --tenant acme --issuer x --subject y --app 7 --user 22",
            "link remove 0000000000000000000001 --tenant acme",
            "issuer list --tenant acme",
            "issuer add --tenant acme --iss x --aud y --alg HS256,ES256 --jwks-url https://id.example/keys",
            "issuer add --tenant acme --iss x --aud y --alg ES256 --jwks-url https://id.example/keys --app 99 --user 9",
            "issuer add --tenant acme --iss x --aud y --alg XS256 --jwks-url https://id.example/keys",
            "issuer add --tenant acme --iss x --aud y --alg ES256 --discover",
            "issuer set 0000000000000000000001 --tenant acme --leeway 5",
            "issuer check 0000000000000000000001 --tenant acme",
            "issuer remove 0000000000000000000001 --tenant acme",
            "operator list",
            "tenant show nobody",
            "tenant create Acme",
            "tenant create acme",
            "tenant set acme",
            "app add --tenant acme --id 7 --name x",
            "app add --tenant globex --id 7 --name x",
            "app set --tenant acme --id 7 --name x --etag 0000000000000000",
            "key issue --tenant acme --app 99 --user 9",
            "key issue --tenant acme --app 7 --user 9 --argon2 m=1024",
            "key issue --tenant acme --app 7 --user 9 --expires-at 1999-01-01T00:00:00Z",
            "key show 0000000000000000000001",
            "key revoke 0000000000000000000001",
            "key explain 0000000000000000000001",
            "operator show nobody",
            "operator revoke owner",
            "audit prune --before 1999-01-01T00:00:00Z",
        ] {
            for more in ["", " --output json"] {
                let words: Vec<String> = format!("{line}{more}").split(' ').map(str::to_owned).collect();
                let offline = store.run(&words.iter().map(String::as_str).collect::<Vec<_>>());
                let online = remote.run(&format!("{line}{more}"));
                let text = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).unwrap();
                assert_eq!(online.status.code(), offline.status.code(), "{line}: {online:?}");
                assert_eq!(text(&online.stdout), text(&offline.stdout), "{line}");
                assert_eq!(text(&online.stderr), text(&offline.stderr), "{line}");
            }
        }
    });
}

#[test]
fn who_may_not_is_told_what_it_needs() {
    run(60, async {
        let store = store();
        let auditor = operator(&store, "auditor", "auditor", &[OTHER_TENANT]);
        let server = AdminServer::start(&store, &[]);
        let remote = |token: Option<&str>| Remote { store: &store, url: server.url(), token: token.map(str::to_owned) };
        let fails = |remote: &Remote<'_>, line: &str| {
            let output = remote.run(line);
            assert!(output.stdout.is_empty(), "{line}");
            (output.status.code(), String::from_utf8(output.stderr).unwrap())
        };
        let (code, said) = fails(&remote(Some(&auditor)), "tenant create x");
        assert!(code == Some(1) && said.contains("this needs the role owner, bound to no tenant"), "{said}");
        let (code, said) = fails(&remote(Some(&auditor)), &format!("key list --tenant {ACME}"));
        assert!(code == Some(1) && said.contains("no tenant acme"), "{said}");
        let (code, said) = fails(&remote(Some("lkop_wrong")), "tenant list");
        assert!(
            code == Some(1) && said.contains("could not be identified") && said.contains("LATCHKEY_TOKEN"),
            "{said}"
        );
        for (url, says) in [
            ("unix:/nowhere/admin.sock", "cannot reach unix:/nowhere/admin.sock"),
            ("http://127.0.0.1:1", "https://"),
            ("ftp://x", "expected unix:PATH or https://HOST"),
            ("unix:", "expected unix:PATH"),
        ] {
            let (code, said) = fails(&Remote { store: &store, url: url.to_owned(), token: None }, "tenant list");
            assert!(matches!(code, Some(1 | 2)) && said.contains(says), "{url}: {code:?} {said}");
        }
        for local in ["init", "backup x.db", "doctor", "migrate status", "pepper status"] {
            let (code, said) = fails(&remote(None), local);
            assert!(code == Some(2) && said.contains("machine that the store is on"), "{local}: {said}");
        }
    });
}

//! A data directory, made and filled only through the binary's own command line.

use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

use serde_json::Value;
use tempfile::TempDir;

use super::BINARY;
use super::secrets::Canaries;

pub const TENANT: &str = "acme";
/// May use LLM 3 and 4.
pub const APP: u32 = 7;
/// May use LLM 3; tests switch it on and off.
pub const OTHER_APP: u32 = 8;
/// Has no list of LLMs at all.
pub const APP_WITHOUT_LIST: u32 = 12;
pub const USER: u32 = 9;
pub const OTHER_USER: u32 = 10;
pub const LLM: u32 = 3;
/// No App may use it.
pub const FOREIGN_LLM: u32 = 5;

/// An issued key.
#[derive(Clone, Debug)]
pub struct Key {
    pub id: String,
    pub text: String,
    pub secret: String,
}

impl Key {
    /// With its secret told from the rest.
    pub fn of(id: &str, text: &str) -> Self {
        let secret = secret_part(text).unwrap_or_else(|| panic!("not of the form lk_live_<id>_<secret><check>"));
        Self { id: id.to_owned(), text: text.to_owned(), secret: secret.to_owned() }
    }

    /// The same key with another secret and a right checksum.
    pub fn forged(&self, secret: &str) -> String {
        let head = &self.text[..self.text.rfind('_').unwrap() + 1];
        sealed(&format!("{head}{secret}"))
    }

    /// Another id with this secret and a right checksum.
    pub fn under_id(&self, id: &str) -> String {
        sealed(&format!("lk_live_{id}_{}", self.secret))
    }
}

/// The 43 characters before the checksum.
pub fn secret_part(key: &str) -> Option<&str> {
    let tail = &key[key.rfind('_')? + 1..];
    (tail.len() == 49).then(|| &tail[..43])
}

/// Appends the checksum.
pub fn sealed(body: &str) -> String {
    let check = latchkey::domain::key_format::checksum(body.as_bytes());
    format!("{body}{}", String::from_utf8(check.to_vec()).unwrap())
}

/// A store of its own, removed on drop.
pub struct TestStore {
    _dir: TempDir,
    pub data: PathBuf,
    pub canaries: Canaries,
    pub operator_token: String,
}

impl TestStore {
    /// With a tenant, its Apps and its Users.
    pub fn new() -> Self {
        let store = Self::empty();
        store.ok(&["tenant", "create", TENANT, "--name", "Acme Ltd"]);
        let app = |id: u32, name: &str, llms: &[&str]| {
            let id = id.to_string();
            let mut args = vec!["app", "add", "--tenant", TENANT, "--id", &id, "--name", name];
            args.extend(["--owner-email", "ops@acme.example"]);
            llms.iter().for_each(|llm| args.extend(["--llm", llm]));
            store.ok(&args);
        };
        app(APP, "Shop", &["3", "4"]);
        app(OTHER_APP, "Back office", &["3"]);
        app(APP_WITHOUT_LIST, "New", &[]);
        store.ok(&["user", "add", "--tenant", TENANT, "--id", "9", "--email", "ann@acme.example", "--name", "Ann"]);
        store.ok(&["user", "add", "--tenant", TENANT, "--id", "10", "--email", "bob@acme.example", "--name", "Bob"]);
        store
    }

    /// Only initialised.
    pub fn empty() -> Self {
        let dir = tempfile::Builder::new().prefix("lk").tempdir().unwrap();
        let data = dir.path().join("data");
        let mut store = Self { _dir: dir, data, canaries: Canaries::default(), operator_token: String::new() };
        let out = store.ok(&["init", "--output", "json"]);
        let token = out.split(|c: char| !c.is_ascii_alphanumeric() && c != '_').find(|word| word.starts_with("lkop_"));
        store.operator_token = token.expect("init prints the first operator token").to_owned();
        store.canaries.add("the operator token", secret_part(&store.operator_token).unwrap());
        store
    }

    /// A store that an earlier version wrote, with its pepper, as it was kept; its keys, and why each is refused.
    pub fn fixture(name: &str) -> (Self, Vec<(String, Option<String>)>) {
        use std::os::unix::fs::PermissionsExt as _;
        let kept = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures").join(name);
        let store = Self::empty();
        let private = |name: &str| {
            std::fs::set_permissions(store.data.join(name), std::fs::Permissions::from_mode(0o600)).unwrap();
        };
        std::fs::copy(kept.join("pepper"), store.data.join("pepper")).unwrap();
        private("pepper");
        std::fs::remove_file(store.data.join("latchkey.db")).unwrap();
        let db = rusqlite::Connection::open(store.data.join("latchkey.db")).unwrap();
        db.execute_batch(&std::fs::read_to_string(kept.join("store.sql")).unwrap()).unwrap();
        drop(db);
        private("latchkey.db");
        let keys = std::fs::read_to_string(kept.join("keys.json")).unwrap();
        let keys: Vec<Value> = serde_json::from_str(&keys).unwrap();
        let expected =
            keys.iter().map(|key| (key["key"].as_str().unwrap().to_owned(), key["reason"].as_str().map(str::to_owned)));
        (store, expected.collect())
    }

    /// A command of the binary on this store.
    pub fn command(&self, args: &[&str]) -> Command {
        let mut command = bare_command();
        command.arg("--data-dir").arg(&self.data).args(args).env("LATCHKEY_STORE__DEV", "true");
        command
    }

    /// Runs it. Nothing on stderr may hold a secret.
    pub fn run(&self, args: &[&str]) -> Output {
        let output = self.command(args).output().unwrap();
        self.canaries.assert_absent(&format!("stderr of {args:?}"), &output.stderr);
        output
    }

    /// Runs it, and it must succeed.
    pub fn ok(&self, args: &[&str]) -> String {
        let output = self.run(args);
        let stderr = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "latchkey {args:?}: {}: {stderr}", output.status);
        String::from_utf8(output.stdout).unwrap()
    }

    /// Runs it with a text on stdin.
    pub fn run_with_input(&self, args: &[&str], input: &str) -> Output {
        use std::io::Write as _;
        let mut child = self.command(args).stdin(Stdio::piped()).spawn_piped();
        child.stdin.take().unwrap().write_all(input.as_bytes()).unwrap();
        child.wait_with_output().unwrap()
    }

    /// Issues a key of the store's tenant.
    pub fn issue(&self, app: u32, user: u32) -> Key {
        self.issue_for(TENANT, app, user, &[])
    }

    pub fn issue_for(&self, tenant: &str, app: u32, user: u32, more: &[&str]) -> Key {
        let (app, user) = (app.to_string(), user.to_string());
        let mut args = vec!["key", "issue", "--tenant", tenant, "--app", &app, "--user", &user, "--output", "json"];
        args.extend(more);
        self.printed(&args)
    }

    /// Puts a new key in the place of one.
    pub fn rotate(&self, key: &Key, grace: &str) -> Key {
        self.printed(&["key", "rotate", &key.id, "--grace", grace, "--output", "json"])
    }

    /// The key that a command prints.
    fn printed(&self, args: &[&str]) -> Key {
        let answer: Value = serde_json::from_str(&self.ok(args)).expect("the key is printed as JSON");
        let text = |name: &str| answer[name].as_str().unwrap_or_else(|| panic!("{name} is printed")).to_owned();
        let key = Key::of(&text("credential_id"), &text("key"));
        self.canaries.add("an API key", &key.secret);
        key
    }

    /// Issues a short-lived token of a credential.
    pub fn token(&self, credential: &str) -> String {
        let args = ["token", "issue", "--credential", credential, "--output", "json"];
        self.token_of(&serde_json::from_str(&self.ok(&args)).expect("the token is printed as JSON"))
    }

    /// The token that a command printed. Its signature is looked for everywhere, and its id, of which the store has a hash.
    pub fn token_of(&self, answer: &Value) -> String {
        use base64::Engine as _;
        let token = answer["token"].as_str().expect("token is printed").to_owned();
        let parts: Vec<&str> = token.split('.').collect();
        let claims = base64::engine::general_purpose::URL_SAFE_NO_PAD.decode(parts[1]).unwrap();
        let claims: Value = serde_json::from_slice(&claims).unwrap();
        self.canaries.add("a token's signature", parts[2]);
        self.canaries.add("a token's id", claims["jti"].as_str().unwrap());
        token
    }

    pub fn revoke(&self, key: &Key) {
        self.ok(&["key", "revoke", &key.id, "--reason", "key_compromise"]);
    }

    pub fn set_app_active(&self, app: u32, active: bool) {
        let (id, active) = (app.to_string(), active.to_string());
        self.ok(&["app", "set", "--tenant", TENANT, "--id", &id, "--active", &active]);
    }

    pub fn set_user_active(&self, user: u32, active: bool) {
        let (id, active) = (user.to_string(), active.to_string());
        self.ok(&["user", "set", "--tenant", TENANT, "--id", &id, "--active", &active]);
    }
}

/// The binary with nothing of this process's environment that it might read.
pub fn bare_command() -> Command {
    let mut command = Command::new(BINARY);
    command.env_clear().env("PATH", "/usr/bin:/bin").env("TMPDIR", temp_root()).stdin(Stdio::null());
    command
}

/// Where sockets and data go; short, for the limit of socket paths.
pub fn temp_root() -> PathBuf {
    std::env::temp_dir()
}

/// A file system path as text.
pub fn text(path: &Path) -> &str {
    path.to_str().unwrap()
}

trait SpawnPiped {
    fn spawn_piped(&mut self) -> std::process::Child;
}

impl SpawnPiped for Command {
    fn spawn_piped(&mut self) -> std::process::Child {
        self.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap()
    }
}

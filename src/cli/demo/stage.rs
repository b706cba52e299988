//! The demo's store: a temporary data directory, filled through the binary's own command line.

use std::fs::DirBuilder;
use std::os::unix::fs::DirBuilderExt as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context as _, bail};
use serde::Deserialize;
use zeroize::Zeroizing;

use crate::clock::{Entropy as _, SystemEntropy};

/// The tenant of the demo.
pub(super) const TENANT: &str = "acme";
/// Its App.
pub(super) const APP: u32 = 7;
/// Its User.
pub(super) const USER: u32 = 9;
/// The LLM that the App may use.
pub(super) const LLM: u32 = 3;
/// One that it may not.
pub(super) const FOREIGN_LLM: u32 = 5;

/// Where the demo happens. Removed on drop, unless kept.
pub(super) struct Stage {
    binary: PathBuf,
    dir: PathBuf,
    keep: bool,
}

/// A key as `key issue` shows it, once. No `Debug`.
#[derive(Deserialize)]
pub(super) struct IssuedKey {
    /// Its public id.
    pub(super) credential_id: String,
    /// Its text.
    #[serde(deserialize_with = "wiped")]
    pub(super) key: Zeroizing<String>,
}

fn wiped<'de, D: serde::Deserializer<'de>>(deserializer: D) -> Result<Zeroizing<String>, D::Error> {
    String::deserialize(deserializer).map(Zeroizing::new)
}

impl Stage {
    /// Makes the directory, the store, and in it a tenant, an App and a User.
    pub(super) fn set(binary: PathBuf) -> anyhow::Result<Self> {
        let mut random = [0; 8];
        SystemEntropy.fill(&mut random)?;
        let dir = std::env::temp_dir().join(format!("latchkey-demo-{:016x}", u64::from_ne_bytes(random)));
        DirBuilder::new().mode(0o700).create(&dir).with_context(|| format!("cannot make {}", dir.display()))?;
        let stage = Self { binary, dir, keep: false };
        // The first operator token goes nowhere: nobody will administer this store.
        stage.run(&["init"])?;
        stage.run(&["tenant", "create", TENANT, "--name", "Acme Ltd"])?;
        let email = ["--owner-email", "ops@acme.example"];
        let app = ["app", "add", "--tenant", TENANT, "--id", "7", "--name", "Shop", email[0], email[1], "--llm", "3"];
        stage.run(&app)?;
        stage.run(&["user", "add", "--tenant", TENANT, "--id", "9", "--email", "ann@acme.example", "--name", "Ann"])?;
        Ok(stage)
    }

    /// Issues a key for the App and the User.
    pub(super) fn issue(&self, label: &str) -> anyhow::Result<IssuedKey> {
        let args = ["key", "issue", "--tenant", TENANT, "--app", "7", "--user", "9", "--label", label];
        let shown = self.run(&[&args[..], &["--expires-in", "90d", "--output", "json"]].concat())?;
        // The error would quote the text, and with it the key.
        serde_json::from_slice(&shown).map_err(|_| anyhow::anyhow!("`key issue` did not answer with a key"))
    }

    /// Revokes a key; durable when this returns.
    pub(super) fn revoke(&self, credential_id: &str) -> anyhow::Result<()> {
        self.run(&["key", "revoke", credential_id, "--reason", "key_compromise"]).map(drop)
    }

    /// The store.
    pub(super) fn data_dir(&self) -> PathBuf {
        self.dir.join("data")
    }

    /// Where sockets go.
    pub(super) fn socket_dir(&self) -> &Path {
        &self.dir
    }

    /// The program.
    pub(super) fn binary(&self) -> &Path {
        &self.binary
    }

    /// Leaves the store where it is.
    pub(super) fn keep(&mut self) -> PathBuf {
        self.keep = true;
        self.data_dir()
    }

    fn run(&self, args: &[&str]) -> anyhow::Result<Zeroizing<Vec<u8>>> {
        let mut command = Command::new(&self.binary);
        command.arg("--data-dir").arg(self.data_dir()).args(args);
        // A temporary directory may be in memory, which is fine for a store that is thrown away (rule R10).
        // Nothing of the person's own settings belongs in the demo.
        command.env_clear().env("LATCHKEY_STORE__DEV", "true");
        let output = command.stdin(Stdio::null()).output().context("cannot run the program itself")?;
        let stdout = Zeroizing::new(output.stdout);
        if !output.status.success() {
            bail!("`latchkey {}` failed: {}", args.join(" "), String::from_utf8_lossy(&output.stderr).trim());
        }
        Ok(stdout)
    }
}

impl Drop for Stage {
    fn drop(&mut self) {
        if !self.keep {
            let _ = std::fs::remove_dir_all(&self.dir);
        }
    }
}

//! `doctor`: what is wrong with a data directory, this machine and its host, and what to do about it.

pub mod host;
pub(super) mod issuers;
mod tokens;

use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _};
use std::path::Path;

use crate::app::{OpenFailure, Settings, audit_key, pepper_source, subject_key};
use crate::audit::key::Signer;
use crate::clock::{Clock as _, SystemClock, WALL_CLOCK_LAG_ALARM_MS};
use crate::store::Store as _;
use crate::store::sqlite::migrate::{self, MIGRATIONS};
use crate::store::sqlite::{self, OpenOptions, ProcessKind, SqliteStore, backup, guard};
use crate::verify::imported;
use crate::verify::keyring::Keyring;
use crate::verify::pepper::Source;
use crate::verify::subject::{SubjectKey, SubjectKeyError};

/// Less free space than this is worth a warning, in bytes.
const LITTLE_SPACE: u64 = 256 << 20;

/// How a check turned out.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Verdict {
    /// As it should be.
    Good,
    /// Works, and could be better.
    Warning,
    /// Must be mended.
    Problem,
    /// Cannot be seen from here.
    Unknown,
}

impl Verdict {
    /// Its stable name.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Good => "good",
            Self::Warning => "warning",
            Self::Problem => "problem",
            Self::Unknown => "unknown",
        }
    }
}

/// One check.
#[derive(Clone, Debug)]
pub struct Finding {
    /// What was looked at.
    pub check: &'static str,
    /// How it is.
    pub verdict: Verdict,
    /// What was found, and what to do about it where `remedy` does not say it.
    pub text: String,
    /// What to do about it, or how to find out.
    pub remedy: Option<String>,
}

/// Looks at everything that can be looked at; what is missing is a finding and not an error.
///
/// # Errors
/// When nobody said where the data is.
pub fn examine(settings: &Settings, quick: bool) -> Result<Vec<Finding>, OpenFailure> {
    let dir = settings.data_dir.clone().ok_or(OpenFailure::NoDataDir)?;
    let mut found = Vec::new();
    let mut told = |check, verdict, text: String| found.push(Finding { check, verdict, text, remedy: None });
    directory(&dir, settings, &mut told);
    let path = dir.join(sqlite::FILE_NAME);
    match guard::check_file(&path) {
        Ok(()) => told("database", Verdict::Good, path.display().to_string()),
        Err(error) => {
            told("database", Verdict::Problem, error.to_string());
            return Ok(found);
        }
    }
    match migrate::status(&path) {
        Ok(at) if at == MIGRATIONS.len() => told("schema", Verdict::Good, at.to_string()),
        Ok(at) if at < MIGRATIONS.len() => {
            let text =
                format!("{at}, and this version's is {}: the next process that opens it moves it up", MIGRATIONS.len());
            told("schema", Verdict::Warning, text);
            return Ok(found);
        }
        Ok(at) => {
            let text =
                format!("{at} is newer than this version's {}: use the latchkey that wrote it", MIGRATIONS.len());
            told("schema", Verdict::Problem, text);
            return Ok(found);
        }
        Err(error) => {
            told("schema", Verdict::Problem, error.to_string());
            return Ok(found);
        }
    }
    let options = OpenOptions {
        dev: settings.dev,
        kind: ProcessKind::Command,
        clock: std::sync::Arc::new(SystemClock),
        entropy: std::sync::Arc::new(crate::clock::SystemEntropy),
    };
    match SqliteStore::open(&dir, options) {
        Ok(store) => opened(&store, settings, &dir, quick, &mut told),
        Err(error) => told("store", Verdict::Problem, error.to_string()),
    }
    Ok(found)
}

type Told<'a> = &'a mut dyn FnMut(&'static str, Verdict, String);

fn directory(dir: &Path, settings: &Settings, told: Told<'_>) {
    match (guard::check_dir(dir, false), guard::check_dir(dir, true)) {
        (Ok(()), _) => told("directory", Verdict::Good, dir.display().to_string()),
        (Err(error), Ok(())) if settings.dev => {
            told("directory", Verdict::Warning, format!("allowed by store.dev only: {error}"));
        }
        (Err(error), _) => told("directory", Verdict::Problem, error.to_string()),
    }
    let names = [crate::audit::key::FILE_NAME, sqlite::decisions::FILE_NAME, sqlite::lock::FILE_NAME];
    for name in names {
        let Ok(metadata) = std::fs::symlink_metadata(dir.join(name)) else { continue };
        let mode = metadata.permissions().mode() & 0o777;
        if !metadata.is_file() || mode & 0o077 != 0 || metadata.uid() != rustix::process::geteuid().as_raw() {
            let text = format!("{name} has mode {mode:04o} or another owner: chmod 600 it, as the directory's owner");
            told("files", Verdict::Problem, text);
        }
    }
    if let Ok(space) = rustix::fs::statvfs(dir) {
        let free = space.f_bavail.saturating_mul(space.f_frsize);
        let verdict = if free < LITTLE_SPACE { Verdict::Warning } else { Verdict::Good };
        told("space", verdict, format!("{} MiB free", free >> 20));
    }
}

fn opened(store: &SqliteStore, settings: &Settings, dir: &Path, quick: bool, told: Told<'_>) {
    match store.processes() {
        Ok(processes) if processes.is_empty() => told("processes", Verdict::Good, "no gateway has it open".to_owned()),
        Ok(processes) => {
            let text: Vec<String> = processes.iter().map(|(pid, kind)| format!("{kind} {pid}")).collect();
            told("processes", Verdict::Good, text.join(", "));
        }
        Err(error) => told("processes", Verdict::Problem, error.to_string()),
    }
    peppers(store, settings, dir, told);
    links(store, settings, dir, told);
    issuers::look(store, settings, dir, told);
    tokens::examine(store, settings, dir, told);
    trail(store, settings, dir, told);
    clock(store, told);
    if quick {
        return;
    }
    match backup::inspect(&dir.join(sqlite::FILE_NAME)) {
        Ok(inspection) if inspection.damage.is_empty() => {
            let text = format!("{} credentials, {} audit events", inspection.credentials, inspection.trail_length);
            told("integrity", Verdict::Good, text);
        }
        Ok(inspection) => {
            for damage in inspection.damage {
                told("integrity", Verdict::Problem, format!("{damage}: restore a backup (`latchkey restore`)"));
            }
        }
        Err(error) => told("integrity", Verdict::Problem, error.to_string()),
    }
}

fn peppers(store: &SqliteStore, settings: &Settings, dir: &Path, told: Told<'_>) {
    let state = match store.peppers().list() {
        Ok(state) => state,
        Err(error) => return told("pepper", Verdict::Problem, error.to_string()),
    };
    let source = pepper_source(settings, dir);
    let keyring = match Keyring::load(source.clone(), &state) {
        Ok(keyring) => keyring,
        Err(error) => return told("pepper", Verdict::Problem, error.to_string()),
    };
    let lacking = imported::lacking(store, &keyring.ring()).unwrap_or_default();
    for method in lacking {
        let text = format!("there is no hmac: line for keys that were imported as {method}: they are refused");
        told("pepper", Verdict::Problem, text);
    }
    match &source {
        Source::File(path) if path.parent() == Some(dir) => {
            let text =
                "beside the database: whoever copies the directory has both; set pepper.file to a place elsewhere";
            told("pepper", Verdict::Warning, text.to_owned());
        }
        _ => told("pepper", Verdict::Good, source.to_string()),
    }
    let (held, now_ms) = (keyring.ring().fingerprints(), SystemClock.wall_ms());
    for version in &state.versions {
        let fingerprint = version.fingerprint;
        match version.lost {
            Some(lost) if now_ms < lost.until_ms => {
                let until = crate::clock::rfc3339(lost.until_ms);
                let text =
                    format!("a recovery is under way until {until}: rows of {fingerprint} are taken as they stand");
                told("pepper", Verdict::Warning, text);
            }
            None if version.retired_at_ms.is_none() && !held.contains(&fingerprint) => {
                let count = store.peppers().count_under(fingerprint).unwrap_or(0);
                let text =
                    format!("{fingerprint} is not here, and {count} credentials under it are refused: put it back");
                told("pepper", if count > 0 { Verdict::Problem } else { Verdict::Warning }, text);
            }
            _ => {}
        }
    }
}

/// Whether links can be found and believed, by a key that who copies the directory does not have.
fn links(store: &SqliteStore, settings: &Settings, dir: &Path, told: Told<'_>) {
    let path = subject_key(settings, dir);
    let known = match store.links().key() {
        Ok(known) => known,
        Err(error) => return told("subject key", Verdict::Problem, error.to_string()),
    };
    match SubjectKey::load_known(&path, known) {
        Ok(_) if path.parent() == Some(dir) => {
            let text = "beside the database: whoever copies the directory has both and can try subjects; set links.key_file to \
                        a place elsewhere";
            told("subject key", Verdict::Warning, text.to_owned());
        }
        Ok(_) => told("subject key", Verdict::Good, format!("at {}", path.display())),
        Err(error @ SubjectKeyError::Unmade) => told("subject key", Verdict::Warning, error.to_string()),
        Err(error) => told("subject key", Verdict::Problem, error.to_string()),
    }
}

/// Whether the audit trail is signed, and by a key that who writes the store does not have.
fn trail(store: &SqliteStore, settings: &Settings, dir: &Path, told: Told<'_>) {
    let path = audit_key(settings, dir);
    let head = store.audit().head().map(|head| head.map_or(0, |(last, _)| last));
    let signed = store.audit().checkpoint_at_most(u64::MAX).map(|signed| signed.map_or(0, |signed| signed.sequence));
    match (Signer::load(&path), head, signed) {
        (Err(error), ..) => {
            told("audit", Verdict::Problem, format!("nothing that is done is signed: {error}; put the key back"));
        }
        (Ok(_), Ok(head), Ok(signed)) if signed < head => {
            let text = format!(
                "signed up to event {signed} of {head}: the next process that changes something signs the rest"
            );
            told("audit", Verdict::Warning, text);
        }
        (Ok(_), Ok(head), Ok(_)) if path.parent() == Some(dir) && settings.audit_anchors.is_none() => {
            let text = format!(
                "signed up to event {head}, by a key beside the database: whoever writes there can sign all of it anew; set \
                 audit.anchor_file to a place that they cannot write"
            );
            told("audit", Verdict::Warning, text);
        }
        (Ok(_), Ok(head), Ok(_)) => told("audit", Verdict::Good, format!("signed up to event {head}")),
        (Ok(_), Err(error), _) | (Ok(_), _, Err(error)) => told("audit", Verdict::Problem, error.to_string()),
    }
}

fn clock(store: &SqliteStore, told: Told<'_>) {
    match store.last_change_ms() {
        Ok(last) => {
            let behind = last.unwrap_or(0).saturating_sub(SystemClock.wall_ms());
            if behind > WALL_CLOCK_LAG_ALARM_MS {
                let text = format!("{} s behind the last change of the store: set it right", behind / 1000);
                told("clock", Verdict::Problem, text);
            } else {
                told("clock", Verdict::Good, crate::clock::rfc3339(SystemClock.wall_ms()));
            }
        }
        Err(error) => told("clock", Verdict::Problem, error.to_string()),
    }
}

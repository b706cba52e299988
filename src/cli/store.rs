//! `latchkey backup`, `restore` and `migrate`.

use std::path::PathBuf;

use clap::Subcommand;
use serde::Serialize;

use crate::app::restore::{RestoreFailure, restore};
use crate::app::{self, OpenFailure};
use crate::cli::Outcome;
use crate::cli::context::{Context, Failure};
use crate::cli::output;
use crate::domain::hex;
use crate::store::sqlite::migrate::{self, MIGRATIONS};
use crate::store::sqlite::{FILE_NAME, ProcessKind};

#[derive(clap::Args)]
pub(super) struct BackupArgs {
    /// The file to make; nothing is overwritten
    file: PathBuf,
}

#[derive(clap::Args)]
pub(super) struct RestoreArgs {
    /// The backup
    file: PathBuf,
    /// Go on although the store that is replaced cannot be read, so that what was revoked since the backup is good again
    #[arg(long)]
    accept_lost_revocations: bool,
}

#[derive(Subcommand)]
pub(super) enum MigrateCommand {
    /// The schema of the store and that of this version; changes nothing
    Status,
    /// Bring the store to this version's schema, as any process that opens it does, and make the key of subject hashes where
    /// it was made before there were links
    Up,
}

impl From<RestoreFailure> for Failure {
    fn from(failure: RestoreFailure) -> Self {
        match failure {
            RestoreFailure::Open(failure) => failure.into(),
            other => Self::with_code(false, other),
        }
    }
}

#[derive(Serialize)]
struct BackupView {
    file: String,
    schema: usize,
    credentials: u64,
    trail_length: u64,
    trail_head: Option<String>,
}

pub(super) fn back_up(context: &Context, args: &BackupArgs) -> Outcome {
    let opened = app::open(&context.settings()?.app, ProcessKind::Command)?;
    let file = std::env::current_dir()?.join(&args.file);
    let inspection = opened.store.backup(&file).map_err(|error| Failure::with_code(false, error))?;
    app::init::local_admin(&opened).note_backup()?;
    context
        .tell("The pepper, the key of subject hashes, secrets of issuers and the keys that sign tokens are not in it: keep the first three backed up too, apart from this file.");
    let view = BackupView {
        file: file.display().to_string(),
        schema: inspection.schema,
        credentials: inspection.credentials,
        trail_length: inspection.trail_length,
        trail_head: inspection.trail_head.map(|hash| hex::encode(&hash)),
    };
    output::one(context, &view)
}

#[derive(Serialize)]
struct RestoreView {
    credentials: u64,
    revocations_carried_over: u64,
    suspensions_carried_over: u64,
    removals_of_links_carried_over: u64,
    issuers_taken_back: u64,
    tokens_taken_back: u64,
    credentials_not_in_the_backup: u64,
    replaced: Option<String>,
}

pub(super) fn put_back(context: &Context, args: &RestoreArgs) -> Outcome {
    let config = context.settings()?;
    let restored = restore(&config.app, &std::env::current_dir()?.join(&args.file), args.accept_lost_revocations)?;
    let view = RestoreView {
        credentials: restored.backup.credentials,
        revocations_carried_over: restored.revocations,
        suspensions_carried_over: restored.suspensions,
        removals_of_links_carried_over: restored.links,
        issuers_taken_back: restored.issuers,
        tokens_taken_back: restored.tokens,
        credentials_not_in_the_backup: restored.lost_credentials,
        replaced: restored.replaced.map(|path| path.display().to_string()),
    };
    if view.credentials_not_in_the_backup > 0 {
        context.tell("Keys that were issued after the backup are gone: their holders need new ones.");
    }
    context
        .tell("What else was changed since the backup (Apps, Users, grants, expiries, rotations) is as it was then.");
    output::one(context, &view)
}

pub(super) fn migrate(context: &Context, command: &MigrateCommand) -> Outcome {
    let config = context.settings()?;
    let dir = config.app.data_dir.clone().ok_or(OpenFailure::NoDataDir)?;
    let mut made = Ok(false);
    if let MigrateCommand::Up = command {
        made = app::subject_key::ensure(&app::open(&config.app, ProcessKind::Command)?);
    }
    let path = dir.join(FILE_NAME);
    crate::store::sqlite::guard::check_file(&path).map_err(|error| Failure::from(OpenFailure::Store(error.into())))?;
    let schema = migrate::status(&path).map_err(|error| OpenFailure::Store(error.into()))?;
    let pending: Vec<&str> = MIGRATIONS.iter().skip(schema).map(|(name, _)| *name).collect();
    let known = MIGRATIONS.len();
    output::one(context, &serde_json::json!({ "schema": schema, "known": known, "pending": pending }))?;
    if made.map_err(|failure| Failure::with_code(false, failure))? {
        context.tell("The store has a key of subject hashes now: back it up, apart from the store, as the pepper.");
    }
    Ok(schema <= known)
}

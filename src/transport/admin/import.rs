//! Keys of other systems come in as a stream of pieces, and go out as one of lines.

use std::io::{self, BufRead, Read};

use bytes::Bytes;
use tokio::sync::mpsc;

use crate::admin::import::{ImportRequest, Report};
use crate::admin::{Admin, AdminResult};
use crate::clock::rfc3339;
use crate::domain::{AppId, Credential, UserId};
use crate::pb::admin::v1 as pb;
use crate::transport::admin::convert::{self, invalid};

/// Rows of a batch at most.
const MAX_BATCH: u32 = 50_000;
const DEFAULT_BATCH: u32 = 10_000;
/// The longest piece.
pub(super) const MAX_PIECE: usize = 1 << 20;

/// What a stream's pieces are together.
pub(super) struct Pieces {
    coming: mpsc::Receiver<io::Result<Bytes>>,
    piece: Bytes,
    ended: bool,
}

impl Pieces {
    pub(super) fn new(first: Vec<u8>, coming: mpsc::Receiver<io::Result<Bytes>>) -> Self {
        Self { coming, piece: first.into(), ended: false }
    }
}

impl Read for Pieces {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let piece = self.fill_buf()?;
        let length = piece.len().min(buffer.len());
        if let (Some(from), Some(to)) = (piece.get(..length), buffer.get_mut(..length)) {
            to.copy_from_slice(from);
        }
        self.consume(length);
        Ok(length)
    }
}

impl BufRead for Pieces {
    fn fill_buf(&mut self) -> io::Result<&[u8]> {
        while self.piece.is_empty() && !self.ended {
            match self.coming.blocking_recv() {
                Some(piece) => self.piece = piece?,
                None => self.ended = true,
            }
        }
        Ok(&self.piece)
    }

    fn consume(&mut self, amount: usize) {
        let _ = self.piece.split_to(amount.min(self.piece.len()));
    }
}

/// The tenant, and how to import.
pub(super) fn request(options: pb::ImportOptions) -> AdminResult<(String, ImportRequest)> {
    let batch = match options.batch {
        0 => DEFAULT_BATCH,
        1..=MAX_BATCH => options.batch,
        _ => return Err(invalid("batch", format!("at most {MAX_BATCH}"))),
    };
    let request = ImportRequest {
        format: convert::import_format(options.format)?,
        entropy: convert::entropy(options.entropy)?,
        app: AppId::new(options.app_id),
        user: UserId::new(options.user_id),
        batch: usize::try_from(batch).unwrap_or(1),
        name: if options.name.is_empty() { "import".to_owned() } else { options.name },
        dry_run: options.dry_run,
        cost: convert::cost(options.argon2),
    };
    Ok((options.tenant, request))
}

/// How far it is.
fn message(report: &Report, done: bool) -> pb::ImportCredentialsResponse {
    let refusals = report.reasons.iter().filter(|_| done);
    pb::ImportCredentialsResponse {
        done,
        lines: report.lines,
        bytes: report.bytes,
        imported: report.imported,
        already_there: report.already,
        weak: report.weak,
        refused: report.refused,
        refusals: refusals.map(|(line, reason)| pb::RefusedLine { line: *line, reason: reason.clone() }).collect(),
    }
}

/// Imports what comes, and tells how far it is.
pub(super) fn import(
    admin: &Admin,
    options: pb::ImportOptions,
    mut lines: Pieces,
    send: &dyn Fn(pb::ImportCredentialsResponse) -> bool,
) -> AdminResult<()> {
    let (tenant, request) = request(options)?;
    let report = admin.import_keys(&tenant, &request, &mut lines, |report| {
        // Who does not listen is told nothing; what is stored is stored.
        let _ = send(message(report, false));
    })?;
    send(message(&report, true));
    Ok(())
}

/// A key as another store of ours may import it: its stored hash, never its secret.
#[derive(serde::Serialize)]
struct Line {
    credential_id: String,
    app: u32,
    user: u32,
    label: String,
    environment: &'static str,
    scopes: Vec<String>,
    cidrs: Vec<String>,
    not_before: Option<String>,
    expires_at: Option<String>,
    phc: String,
}

impl From<Credential> for Line {
    fn from(row: Credential) -> Self {
        Self {
            credential_id: row.id.to_string(),
            app: row.app.get(),
            user: row.user.get(),
            environment: row.environment.as_str(),
            cidrs: row.cidrs.iter().map(ToString::to_string).collect(),
            not_before: row.not_before_ms.map(rfc3339),
            expires_at: row.end_ms().map(rfc3339),
            phc: row.verifier.phc,
            label: row.label,
            scopes: row.scopes,
        }
    }
}

pub(super) fn export(
    admin: &Admin,
    q: &pb::ExportCredentialsRequest,
    send: &dyn Fn(pb::ExportCredentialsResponse) -> bool,
) -> AdminResult<()> {
    let left_out = admin.export_keys(&q.tenant, |row| {
        let line = serde_json::to_string(&Line::from(row)).unwrap_or_default();
        send(pb::ExportCredentialsResponse { line, left_out: 0 })
    })?;
    send(pb::ExportCredentialsResponse { line: String::new(), left_out });
    Ok(())
}

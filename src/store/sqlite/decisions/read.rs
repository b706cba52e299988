//! Reading the decision log beside its writer, and walking its chain.

use std::path::Path;

use rusqlite::{Connection, OptionalExtension as _, params};

use crate::domain::{AppId, CredentialId, TenantId, UserId};
use crate::store::sqlite::OpenError;
use crate::store::sqlite::decisions::FILE_NAME;
use crate::store::sqlite::decisions::row::{Hash, Row};
use crate::store::sqlite::decisions::schema::{self, Reading};

/// Which rows to list. Counts stand for many, so a filter by credential or tenant finds single decisions alone.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct DecisionFilter {
    /// Rows with this reason: a code, `accepted` or `dropped`.
    pub reason: Option<String>,
    /// Decisions about this credential.
    pub credential: Option<CredentialId>,
    /// Decisions about credentials of this tenant.
    pub tenant: Option<TenantId>,
    /// From this moment on, milliseconds since the epoch.
    pub since_ms: Option<i64>,
    /// Before this moment.
    pub until_ms: Option<i64>,
}

/// What is known of a log that fits together.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Verified {
    /// The first row that is there; those before it were dropped for room. 0 where nothing was ever decided.
    pub first: u64,
    /// The last. One before `first` where there is none.
    pub last: u64,
    /// The hash of the last.
    pub head: [u8; 32],
    /// Rows of the first form, whose source, tenant, App and User no hash covers.
    pub first_form: u64,
}

impl Verified {
    /// What may be said of it, and no more.
    pub fn statement(&self) -> String {
        let Self { first, last, .. } = self;
        if last < first || *last == 0 {
            return "no rows".to_owned();
        }
        format!(
            "internally consistent from row {first} to row {last}; it is not signed, so that whoever can write the file wrote \
             all of it again, or cut off its end with care, is not excluded"
        )
    }
}

/// What is wrong with a log, and where first.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
pub enum Damage {
    /// The row is not as it was written.
    #[error("row {sequence} was changed")]
    Edited {
        /// Which.
        sequence: u64,
    },
    /// The row is not there, and others are that came after it.
    #[error("row {sequence} is missing: {found} stands in its place")]
    Deleted {
        /// Which.
        sequence: u64,
        /// What comes.
        found: u64,
    },
    /// What belongs at one place stands at another.
    #[error("row {sequence} was moved: it stands at {to}")]
    Reordered {
        /// Where it belongs.
        sequence: u64,
        /// Where it is.
        to: u64,
    },
    /// Rows were cut off the end.
    #[error("the log was cut off: it ends at row {found}, and row {known} was written")]
    Truncated {
        /// The last one.
        found: u64,
        /// The last that was there.
        known: u64,
    },
    /// What is kept of the rows that were dropped for room contradicts the rows that are there.
    #[error("the beginning was changed: it ends after row {sequence}, which is there")]
    Beginning {
        /// The first row that is there.
        sequence: u64,
    },
}

impl Damage {
    /// The kind of damage, for programs: the same words as of the audit trail.
    pub const fn kind(&self) -> &'static str {
        match self {
            Self::Edited { .. } | Self::Beginning { .. } => "edited",
            Self::Deleted { .. } => "deleted",
            Self::Reordered { .. } => "reordered",
            Self::Truncated { .. } => "truncated",
        }
    }

    /// The first row that is not as it was.
    pub const fn sequence(&self) -> u64 {
        match self {
            Self::Edited { sequence }
            | Self::Deleted { sequence, .. }
            | Self::Reordered { sequence, .. }
            | Self::Beginning { sequence } => *sequence,
            Self::Truncated { found, .. } => *found + 1,
        }
    }
}

/// Rows of the log in `data_dir` after the row `after`, in their order, at most `limit` of those that fit. The next page is
/// after the last of these; an empty one is the end.
///
/// # Errors
/// When it cannot be opened, is of a newer version, or a row cannot be read: then [`verify`] says which.
pub fn list(data_dir: &Path, after: u64, limit: u32, filter: &DecisionFilter) -> Result<Vec<Row>, OpenError> {
    let Some(reading) = schema::open_to_read(data_dir)? else { return Ok(Vec::new()) };
    let page = || -> rusqlite::Result<Vec<Row>> {
        let sql = format!(
            "SELECT {} FROM decisions WHERE sequence > ?1 AND (?3 IS NULL OR reason = ?3) \
             AND (?4 IS NULL OR credential_id = ?4) AND (?5 IS NULL OR tenant_id = ?5) \
             AND (?6 IS NULL OR at_ms >= ?6) AND (?7 IS NULL OR at_ms < ?7) ORDER BY sequence LIMIT ?2",
            columns(&reading)
        );
        let mut statement = reading.connection.prepare(&sql)?;
        let bound = params![
            i64::try_from(after).unwrap_or(i64::MAX),
            limit,
            filter.reason,
            filter.credential.as_ref().map(CredentialId::as_bytes),
            filter.tenant.as_ref().map(TenantId::as_bytes),
            filter.since_ms,
            filter.until_ms
        ];
        statement.query_map(bound, from_row)?.collect()
    };
    page().map_err(|source| failed(data_dir, source))
}

/// Walks the chain of the log in `data_dir` from its base, in constant memory and one snapshot.
///
/// # Errors
/// When it cannot be opened, is of a newer version, or cannot be read. Damage is not an error.
pub fn verify(data_dir: &Path) -> Result<Result<Verified, Damage>, OpenError> {
    let Some(reading) = schema::open_to_read(data_dir)? else { return Ok(Ok(Verified::default())) };
    // The writer drops rows and moves the base: both are to be of one moment.
    let begin = reading.connection.execute_batch("BEGIN");
    begin.and_then(|()| walk(&reading)).map_err(|source| failed(data_dir, source))
}

fn walk(reading: &Reading) -> rusqlite::Result<Result<Verified, Damage>> {
    let connection = &reading.connection;
    let (base, mut previous) = base(connection)?;
    let mut verified = Verified { first: base + 1, last: base, head: previous, first_form: 0 };
    let mut damage: Option<Damage> = None;
    let mut statement = connection.prepare(&format!("SELECT {} FROM decisions ORDER BY sequence", columns(reading)))?;
    let mut rows = statement.query([])?;
    while let Some(raw) = rows.next()? {
        let row = from_row(raw);
        let next = verified.last + 1;
        if damage.is_some() {
            // What is missed may stand further on: then it was moved.
            if let Ok(row) = &row
                && row.fields().at(next).hash(row.form, &previous) == Some(row.hash)
            {
                return Ok(Err(Damage::Reordered { sequence: next, to: row.sequence }));
            }
            continue;
        }
        let sequence = raw.get::<_, i64>(0).map_or(0, |number| u64::try_from(number).unwrap_or(0));
        if sequence < next {
            return Ok(Err(Damage::Beginning { sequence }));
        }
        match row {
            _ if sequence > next => damage = Some(Damage::Deleted { sequence: next, found: sequence }),
            Ok(row) if row.fields().hash(row.form, &previous) == Some(row.hash) => {
                previous = row.hash;
                verified.last = sequence;
                verified.head = row.hash;
                verified.first_form += u64::from(row.form == 1);
            }
            _ => damage = Some(Damage::Edited { sequence }),
        }
        // The very row that comes out of turn may be the one that was missed.
        if let (Some(Damage::Deleted { found, .. }), Ok(row)) = (damage, from_row(raw))
            && row.fields().at(next).hash(row.form, &previous) == Some(row.hash)
        {
            return Ok(Err(Damage::Reordered { sequence: next, to: found }));
        }
    }
    let known = connection
        .query_row("SELECT seq FROM sqlite_sequence WHERE name = 'decisions'", [], |row| row.get::<_, i64>(0))
        .optional()?;
    let known = known.map_or(0, |known| u64::try_from(known).unwrap_or(0));
    Ok(match damage {
        Some(damage) => Err(damage),
        None if known > verified.last => Err(Damage::Truncated { found: verified.last, known }),
        None => Ok(verified),
    })
}

/// The row before the oldest, and its hash.
fn base(connection: &Connection) -> rusqlite::Result<(u64, Hash)> {
    let of_row = |row: &rusqlite::Row<'_>| {
        let sequence = row.get::<_, i64>(0).map_or(0, |number| u64::try_from(number).unwrap_or(0));
        Ok((sequence, row.get(1).unwrap_or_default()))
    };
    let base = connection.query_row("SELECT sequence, hash FROM decisions_base", [], of_row).optional()?;
    Ok(base.unwrap_or_default())
}

fn columns(reading: &Reading) -> String {
    let (source, form) = if reading.has_sources { ("source", "form") } else { ("''", "1") };
    format!(
        "sequence, at_ms, kind, reason, stage, {source}, credential_id, tenant_id, app_id, user_id, request_id, calls, {form}, hash"
    )
}

fn from_row(row: &rusqlite::Row<'_>) -> rusqlite::Result<Row> {
    let app = host_id(row, 8, AppId::new)?;
    let user = host_id(row, 9, UserId::new)?;
    Ok(Row {
        sequence: number(row, 0)?,
        at_ms: row.get(1)?,
        kind: row.get(2)?,
        reason: row.get(3)?,
        stage: row.get(4)?,
        source: row.get(5)?,
        credential: row.get::<_, Option<[u8; 16]>>(6)?.map(CredentialId::from_bytes),
        tenant: row.get::<_, Option<[u8; 16]>>(7)?.map(TenantId::from_bytes),
        app,
        user,
        request_id: row.get(10)?,
        calls: number(row, 11)?,
        form: row.get(12)?,
        hash: row.get(13)?,
    })
}

fn number(row: &rusqlite::Row<'_>, column: usize) -> rusqlite::Result<u64> {
    let number: i64 = row.get(column)?;
    u64::try_from(number).map_err(|_| rusqlite::Error::IntegralValueOutOfRange(column, number))
}

/// A number that is none of a host is no row of ours, and not the same as no number.
fn host_id<T>(row: &rusqlite::Row<'_>, column: usize, new: impl Fn(u32) -> Option<T>) -> rusqlite::Result<Option<T>> {
    let Some(number) = row.get::<_, Option<u32>>(column)? else { return Ok(None) };
    let out_of_range = || rusqlite::Error::IntegralValueOutOfRange(column, i64::from(number));
    new(number).ok_or_else(out_of_range).map(Some)
}

fn failed(data_dir: &Path, source: rusqlite::Error) -> OpenError {
    OpenError::Sqlite { operation: "read", path: data_dir.join(FILE_NAME), source }
}

#[cfg(test)]
#[path = "read_tests.rs"]
mod tests;

//! The change feed as this process reads it: what anybody committed to the file.

use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

use rusqlite::Connection;

use crate::domain::{Change, Position, Subject};
use crate::store::sqlite::{OpenError, connect_reader, guard};
use crate::store::{Feed, News, StoreError, StoreResult};

/// More news than this is told as [`News::Lost`].
const MOST_NEWS: usize = 10_000;

struct State {
    connection: Connection,
    data_version: Option<i64>,
    epoch: [u8; 16],
}

/// A connection that does nothing but look at the feed. It holds no transaction between looks:
/// `data_version` stands still inside one (rule R8).
pub(super) struct FeedReader {
    path: PathBuf,
    identity: (u64, u64),
    state: Mutex<State>,
}

impl FeedReader {
    pub(super) fn open(path: &Path, identity: (u64, u64), epoch: [u8; 16]) -> Result<Self, OpenError> {
        let connection = connect_reader(path).map_err(|source| OpenError::Sqlite {
            operation: "read",
            path: path.to_owned(),
            source,
        })?;
        let state = Mutex::new(State { connection, data_version: None, epoch });
        Ok(Self { path: path.to_owned(), identity, state })
    }

    pub(super) fn position(&self) -> StoreResult<Position> {
        let state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        position(&state.connection).map_err(failed)
    }
}

fn failed(source: rusqlite::Error) -> StoreError {
    StoreError::Failed { operation: "read the change feed", source: source.into() }
}

/// The number of the last change; kept by SQLite itself, so it survives trimming.
pub(super) fn position(connection: &Connection) -> rusqlite::Result<Position> {
    let mut statement = connection.prepare_cached("SELECT seq FROM sqlite_sequence WHERE name = 'changes'")?;
    let mut rows = statement.query([])?;
    let last = rows.next()?.map_or(Ok(0), |row| row.get::<_, i64>(0))?;
    Ok(Position(u64::try_from(last).unwrap_or(0)))
}

impl Feed for FeedReader {
    fn position(&self) -> StoreResult<Position> {
        Self::position(self)
    }

    fn news(&self, since: Position) -> StoreResult<News> {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        // Another file at our path: our connections are on one that nobody else uses any more. Deny rather
        // than answer from it (rule R9).
        if guard::identity(&self.path).ok() != Some(self.identity) {
            return Err(StoreError::Replaced);
        }
        let version: i64 = {
            let mut statement = state.connection.prepare_cached("PRAGMA data_version").map_err(failed)?;
            statement.query_row([], |row| row.get(0)).map_err(failed)?
        };
        if state.data_version == Some(version) {
            return Ok(News::Nothing);
        }
        let (epoch, news) = read_news(&state.connection, since).map_err(failed)?;
        let replaced = epoch != state.epoch;
        state.epoch = epoch;
        state.data_version = Some(version);
        match news {
            Some(changes) if !replaced && changes.is_empty() => Ok(News::Nothing),
            Some(changes) if !replaced => Ok(News::Changes(changes)),
            _ => Ok(News::Lost { position: position(&state.connection).map_err(failed)? }),
        }
    }
}

/// The epoch, and the changes after `since` unless some are missing or there are too many.
fn read_news(connection: &Connection, since: Position) -> rusqlite::Result<([u8; 16], Option<Vec<Change>>)> {
    super::reader::in_snapshot(connection, |connection| {
        let epoch = connection
            .prepare_cached("SELECT epoch FROM store_meta")?
            .query_row([], |row| row.get::<_, [u8; 16]>(0))?;
        let now = position(connection)?;
        let expected = now.0.checked_sub(since.0).and_then(|count| usize::try_from(count).ok());
        let Some(expected) = expected.filter(|&count| count <= MOST_NEWS) else { return Ok((epoch, None)) };
        let mut statement = connection
            .prepare_cached("SELECT seq, subject_kind, subject_id, at_ms FROM changes WHERE seq > ?1 ORDER BY seq")?;
        let changes = statement.query_map([i64::try_from(since.0).unwrap_or(i64::MAX)], |row| {
            let (kind, id): (String, String) = (row.get(1)?, row.get(2)?);
            Ok(Change {
                position: Position(u64::try_from(row.get::<_, i64>(0)?).unwrap_or(0)),
                // A kind that a newer version wrote: whatever it is about, drop it.
                subject: Subject::parse(&kind, &id).unwrap_or(Subject::Everything),
                at_ms: row.get(3)?,
            })
        })?;
        let changes = changes.collect::<rusqlite::Result<Vec<_>>>()?;
        Ok((epoch, (changes.len() == expected).then_some(changes)))
    })
}

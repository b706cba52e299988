//! Between columns and domain types. What does not parse is corrupt, never a default.

use rusqlite::Row;
use rusqlite::types::Type;

use crate::domain::imported::Prehash;
use crate::domain::{AppId, PepperFingerprint, Tag, UserId, Verifier};

/// A column that holds something it must not.
#[derive(Debug, thiserror::Error)]
#[error("the stored {0} is not one")]
pub(super) struct Unreadable(&'static str);

/// Reads a column and converts it.
pub(super) fn convert<S: rusqlite::types::FromSql, T>(
    row: &Row<'_>,
    index: usize,
    what: &'static str,
    convert: impl FnOnce(S) -> Option<T>,
) -> rusqlite::Result<T> {
    convert(row.get(index)?).ok_or_else(|| unreadable(index, what))
}

/// The same of text, where it lies.
pub(super) fn convert_text<T>(
    row: &Row<'_>,
    index: usize,
    what: &'static str,
    convert: impl FnOnce(&str) -> Option<T>,
) -> rusqlite::Result<T> {
    let text = row.get_ref(index)?.as_str().map_err(|_| unreadable(index, what))?;
    convert(text).ok_or_else(|| unreadable(index, what))
}

pub(super) fn unreadable(index: usize, what: &'static str) -> rusqlite::Error {
    rusqlite::Error::FromSqlConversionFailure(index, Type::Null, Box::new(Unreadable(what)))
}

pub(super) fn app_id(row: &Row<'_>, index: usize) -> rusqlite::Result<AppId> {
    convert(row, index, "App id", |id: u32| AppId::new(id))
}

pub(super) fn user_id(row: &Row<'_>, index: usize) -> rusqlite::Result<UserId> {
    convert(row, index, "User id", |id: u32| UserId::new(id))
}

/// A column of JSON text: a list or a map, most often empty.
pub(super) fn json<T: serde::de::DeserializeOwned + Default>(
    row: &Row<'_>,
    index: usize,
    what: &'static str,
) -> rusqlite::Result<T> {
    let empty = |text: &str| text == "[]" || text == "{}";
    convert_text(
        row,
        index,
        what,
        |text| if empty(text) { Some(T::default()) } else { serde_json::from_str(text).ok() },
    )
}

/// JSON text for a column. Lists and maps of strings always have one.
pub(super) fn to_json(value: &impl serde::Serialize) -> String {
    serde_json::to_string(value).unwrap_or_default()
}

/// `phc`, `tag`, `pepper` from three columns in a row.
pub(super) fn verifier(row: &Row<'_>, first: usize) -> rusqlite::Result<Verifier> {
    Ok(Verifier {
        phc: row.get(first)?,
        tag: row.get::<_, Option<[u8; 32]>>(first + 1)?.map(Tag),
        pepper: PepperFingerprint(row.get(first + 2)?),
        prehash: None,
    })
}

/// How a key of another system is found and proven.
pub(super) fn prehash(row: &Row<'_>, index: usize) -> rusqlite::Result<Option<Prehash>> {
    if matches!(row.get_ref(index)?, rusqlite::types::ValueRef::Null) {
        return Ok(None);
    }
    convert_text(row, index, "way of proving a key", Prehash::parse).map(Some)
}

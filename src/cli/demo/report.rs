//! The demo's table, and the same as JSON.

use std::io::{self, Write};
use std::path::PathBuf;

use comfy_table::{CellAlignment, ContentArrangement, Table};
use serde::Serialize;

use super::story::WARM_CALLS;

/// Fits most terminals; the library's look at the terminal is left out.
const TABLE_WIDTH: u16 = 118;

/// One credential.
#[derive(Debug, Serialize)]
pub(super) struct Row {
    pub(super) credential: &'static str,
    pub(super) authenticate: String,
    pub(super) app: String,
    pub(super) user: String,
    /// The first call, over the socket.
    pub(super) first_us: u64,
    /// The median of many more.
    pub(super) warm_us: u64,
    pub(super) shows: &'static str,
    pub(super) as_expected: bool,
}

/// All that the demo found.
#[derive(Debug, Default, Serialize)]
pub(super) struct Report {
    pub(super) rows: Vec<Row>,
    /// From exec to the handshake line.
    pub(super) handshake_us: u64,
    pub(super) initialize_us: u64,
    /// From the command line's acknowledgement to the first refusal in the plugin.
    pub(super) revoked_after_ms: u64,
    /// The challenge that came with the 401.
    pub(super) pre_auth: String,
    pub(super) shutdown_ms: u64,
    pub(super) total_ms: u64,
    /// What should have held and did not, beside the rows.
    pub(super) failures: Vec<&'static str>,
    /// Where the store is, if it was kept.
    pub(super) kept: Option<PathBuf>,
}

impl Report {
    /// Notes what must hold.
    pub(super) fn expect(&mut self, holds: bool, what: &'static str) {
        if !holds {
            self.failures.push(what);
        }
    }

    /// Whether everything was as it must be.
    pub(super) fn as_expected(&self) -> bool {
        self.failures.is_empty() && !self.rows.is_empty() && self.rows.iter().all(|row| row.as_expected)
    }

    pub(super) fn write_json(&self, out: &mut dyn Write) -> io::Result<()> {
        let mut document = serde_json::to_value(self)?;
        if let Some(fields) = document.as_object_mut() {
            fields.insert("as_expected".to_owned(), self.as_expected().into());
        }
        writeln!(out, "{document}")
    }

    pub(super) fn write_table(&self, out: &mut dyn Write) -> io::Result<()> {
        writeln!(out, "A tenant, an App that may use LLM 3, a User, two keys: in a store of their own.")?;
        writeln!(
            out,
            "The plugin: started as a gateway starts it, {} from exec to handshake, {} to initialise.\n",
            time(self.handshake_us),
            time(self.initialize_us)
        )?;
        let mut table = Table::new();
        table.load_style(comfy_table::presets::UTF8_FULL_CONDENSED).set_width(TABLE_WIDTH);
        table.set_content_arrangement(ContentArrangement::Dynamic);
        table.set_header(["credential", "Authenticate", "App", "User", "first", "again", "what it shows"]);
        for row in &self.rows {
            let (first, warm) = (time(row.first_us), time(row.warm_us));
            let shows = if row.as_expected { row.shows.to_owned() } else { format!("NOT AS EXPECTED: {}", row.shows) };
            table.add_row([row.credential, &row.authenticate, &row.app, &row.user, &first, &warm, &shows]);
        }
        for column in [4, 5] {
            if let Some(column) = table.column_mut(column) {
                column.set_cell_alignment(CellAlignment::Right);
            }
        }
        writeln!(out, "{table}\n")?;
        writeln!(
            out,
            "Authenticate, GetAppByCredential and GetUserByCredential were each asked; the three cannot disagree."
        )?;
        writeln!(
            out,
            "first: from the store (the very first also waits until it is open). again: median of {WARM_CALLS} calls. Both over the gateway's socket."
        )?;
        writeln!(out, "A wrong Bearer key before auth: 401, WWW-Authenticate: {}", self.pre_auth)?;
        writeln!(out, "A key revoked by another process: refused {} ms after that was done.", self.revoked_after_ms)?;
        writeln!(out, "The plugin left by itself in {} ms; all in all {} ms.", self.shutdown_ms, self.total_ms)?;
        for failure in &self.failures {
            writeln!(out, "NOT AS EXPECTED: {failure}")?;
        }
        match &self.kept {
            Some(path) => {
                writeln!(out, "The store is kept: latchkey --data-dir {} key list --tenant acme", path.display())
            }
            None => writeln!(out, "Nothing was left behind. Your own: latchkey init, then latchkey --help"),
        }
    }
}

/// Microseconds for people.
fn time(us: u64) -> String {
    if us < 10_000 { format!("{us} µs") } else { format!("{} ms", us / 1000) }
}

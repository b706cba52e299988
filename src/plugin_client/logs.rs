//! The plugin's stderr, judged line by line as a Go host reads it (go-plugin-wire 7.2): a line that would
//! crash such a host, or that it would file as raw text, is a [`LineProblem`].

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use serde_json::{Map, Value};
use tokio::io::{AsyncBufReadExt as _, AsyncRead, AsyncReadExt as _, BufReader};

/// The host's buffer: longer lines are split and not parsed.
const MAX_LINE: u64 = 64 * 1024;
/// Lines kept; later ones are counted only.
const MAX_KEPT: usize = 200_000;

/// One line as hclog understands it.
#[derive(Clone, PartialEq, Debug)]
pub struct LogEntry {
    /// `trace`, `debug`, `info`, `warn` or `error`.
    pub level: String,
    /// The message.
    pub message: String,
    /// When, as written.
    pub timestamp: String,
    /// All other keys.
    pub fields: Map<String, Value>,
}

/// Why a line is not a good log line.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
pub enum LineProblem {
    /// 64 KiB or more: the host splits it.
    #[error("64 KiB or more")]
    TooLong,
    /// Not a JSON object: raw text at debug level.
    #[error("not a JSON object")]
    NotJson,
    /// A reserved key with a value that is not text: **panics a Go host**.
    #[error("{0} is not a string: a Go host would panic")]
    NotText(&'static str),
    /// A reserved key that is not there.
    #[error("{0} is missing")]
    Missing(&'static str),
    /// A level that hclog does not know.
    #[error("unknown level")]
    Level,
    /// Not `YYYY-MM-DDTHH:MM:SS.ffffff` with `Z` or an offset: the host does not parse the line.
    #[error("not a time with six fractional digits")]
    Timestamp,
    /// An object or a list, which prints with Go's formatting.
    #[error("a nested value")]
    Nested,
}

/// Judges one line without its end.
///
/// # Errors
/// What is wrong with it.
pub fn parse_line(line: &[u8]) -> Result<LogEntry, LineProblem> {
    if line.len() as u64 >= MAX_LINE {
        return Err(LineProblem::TooLong);
    }
    let mut fields: Map<String, Value> = serde_json::from_slice(line).map_err(|_| LineProblem::NotJson)?;
    let mut text = |key: &'static str| match fields.remove(key) {
        Some(Value::String(text)) => Ok(text),
        Some(_) => Err(LineProblem::NotText(key)),
        None => Err(LineProblem::Missing(key)),
    };
    let (message, level, timestamp) = (text("@message"), text("@level"), text("@timestamp"));
    // What panics a host is told before what merely reads badly.
    for value in [&message, &level, &timestamp] {
        if let Err(problem @ LineProblem::NotText(_)) = value {
            return Err(*problem);
        }
    }
    let (message, level, timestamp) = (message?, level?, timestamp?);
    if !["trace", "debug", "info", "warn", "error"].contains(&level.as_str()) {
        return Err(LineProblem::Level);
    }
    if !is_go_time(&timestamp) {
        return Err(LineProblem::Timestamp);
    }
    if fields.values().any(|value| value.is_object() || value.is_array()) {
        return Err(LineProblem::Nested);
    }
    Ok(LogEntry { level, message, timestamp, fields })
}

fn is_go_time(text: &str) -> bool {
    let form = |text: &str, form: &str| {
        text.len() == form.len()
            && text.bytes().zip(form.bytes()).all(|(c, f)| if f == b'0' { c.is_ascii_digit() } else { c == f })
    };
    let Some((head, zone)) = text.split_at_checked("0000-00-00T00:00:00.000000".len()) else { return false };
    form(head, "0000-00-00T00:00:00.000000")
        && (zone == "Z" || form(zone, "+00:00") || form(zone, "-00:00"))
        && text.parse::<jiff::Timestamp>().is_ok()
}

/// The lines of one process so far. Clones see the same lines.
#[derive(Clone, Default)]
pub struct Logs {
    kept: Arc<Mutex<Kept>>,
}

#[derive(Default)]
struct Kept {
    lines: Vec<String>,
    problems: Vec<(LineProblem, String)>,
    beyond: u64,
}

impl Logs {
    /// Every line, as it came; bytes that are not UTF-8 are replaced.
    pub fn lines(&self) -> Vec<String> {
        self.lock().lines.clone()
    }

    /// The lines that are good log lines.
    pub fn entries(&self) -> Vec<LogEntry> {
        self.lock().lines.iter().filter_map(|line| parse_line(line.as_bytes()).ok()).collect()
    }

    /// The bad lines, with what is wrong with each.
    pub fn problems(&self) -> Vec<(LineProblem, String)> {
        self.lock().problems.clone()
    }

    /// Lines that came after there was no room.
    pub fn beyond(&self) -> u64 {
        self.lock().beyond
    }

    fn lock(&self) -> MutexGuard<'_, Kept> {
        self.kept.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn add(&self, line: &[u8]) {
        let text = String::from_utf8_lossy(line).into_owned();
        let mut kept = self.lock();
        if kept.lines.len() >= MAX_KEPT {
            kept.beyond += 1;
            return;
        }
        if let Err(problem) = parse_line(line) {
            kept.problems.push((problem, text.clone()));
        }
        kept.lines.push(text);
    }

    /// Reads until the plugin's last writer of stderr is gone.
    pub(super) async fn read(self, stderr: impl AsyncRead + Unpin) {
        let mut reader = BufReader::new(stderr);
        let mut line = Vec::new();
        loop {
            line.clear();
            match (&mut reader).take(MAX_LINE).read_until(b'\n', &mut line).await {
                Ok(0) | Err(_) => return,
                Ok(_) => self.add(line.strip_suffix(b"\n").unwrap_or(&line)),
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TIME: &str = "2026-01-02T03:04:05.123456Z";

    fn problem(line: &str) -> Option<LineProblem> {
        parse_line(line.as_bytes()).err()
    }

    #[test]
    fn h19_a_line_that_would_panic_a_go_host_is_named() {
        for (key, line) in [
            ("@message", format!(r#"{{"@message":1,"@level":"info","@timestamp":"{TIME}"}}"#)),
            ("@level", format!(r#"{{"@message":"m","@level":null,"@timestamp":"{TIME}"}}"#)),
            ("@timestamp", r#"{"@message":"m","@level":"info","@timestamp":1767323045}"#.to_owned()),
            ("@level", r#"{"@level":{}}"#.to_owned()),
        ] {
            assert_eq!(problem(&line), Some(LineProblem::NotText(key)), "{line}");
        }
    }

    #[test]
    fn only_what_a_go_host_files_by_its_level_is_a_log_line() {
        let good = format!(r#"{{"@message":"m","@level":"warn","@timestamp":"{TIME}","app_id":7}}"#);
        let entry = parse_line(good.as_bytes()).unwrap();
        assert_eq!((entry.level.as_str(), entry.fields["app_id"].as_u64()), ("warn", Some(7)));
        assert_eq!(problem("thread 'main' panicked"), Some(LineProblem::NotJson));
        assert_eq!(problem("null"), Some(LineProblem::NotJson));
        assert_eq!(problem(r#"{"@level":"info"}"#), Some(LineProblem::Missing("@message")));
        assert_eq!(problem(&good.replace("warn", "fatal")), Some(LineProblem::Level));
        assert_eq!(problem(&good.replace("7}", "[7]}")), Some(LineProblem::Nested));
        for time in ["2026-01-02T03:04:05Z", "2026-01-02T03:04:05.123Z", "2026-01-02 03:04:05.123456Z", "now", ""] {
            assert_eq!(problem(&good.replace(TIME, time)), Some(LineProblem::Timestamp), "{time}");
        }
        assert!(parse_line(good.replace(TIME, "2026-01-02T03:04:05.123456+02:00").as_bytes()).is_ok());
        assert_eq!(problem(&" ".repeat(70_000)), Some(LineProblem::TooLong));
    }

    #[tokio::test]
    async fn an_overlong_line_is_split_and_a_problem() {
        let logs = Logs::default();
        let text = format!("{}\nshort\n", "x".repeat(100_000));
        logs.clone().read(text.as_bytes()).await;
        assert_eq!(logs.problems()[0].0, LineProblem::TooLong);
        assert_eq!(logs.lines().last().map(String::as_str), Some("short"));
    }
}

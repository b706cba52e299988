//! Log lines on stderr, one JSON object each, in the form that a go-plugin host parses (go-plugin-wire 7.2).
//!
//! A host crashes over `@message`, `@level` or `@timestamp` that is no string (hazard H19), so those three are written
//! here and cannot be given by a field; everything else is a flat string, number or bool. Lines end below the host's
//! 64 KiB. One thread writes; a reader that is slow costs lines, which are counted, never a request.

use std::fmt::Write as _;
use std::io::Write as _;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{SyncSender, sync_channel};
use std::time::Duration;

use tracing::field::{Field, Visit};
use tracing::{Event, Level, Metadata, Subscriber};
use tracing_subscriber::layer::{Context, Layer, SubscriberExt as _};

/// Lines that may wait for the writer.
const QUEUE: usize = 4_096;
/// The longest line, in bytes; hosts cut at 64 KiB.
const MAX_LINE: usize = 60 * 1024;
/// The longest value of one field, in bytes.
const MAX_VALUE: usize = 4 * 1024;

/// How lines look.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum Format {
    /// For go-plugin hosts and log collectors.
    #[default]
    Json,
    /// For people at a terminal.
    Text,
}

enum Message {
    Line(Vec<u8>),
    Flush(SyncSender<()>),
}

static WRITER: OnceLock<SyncSender<Message>> = OnceLock::new();
static DROPPED: AtomicU64 = AtomicU64::new(0);

/// Starts logging our own events at `level` and above, dependencies' warnings and errors at most (rule R17). The first
/// call of a process counts.
pub fn start(level: Level, format: Format) {
    let (queue, lines) = sync_channel::<Message>(QUEUE);
    if WRITER.set(queue).is_err() {
        return;
    }
    let write = move || {
        for message in lines {
            match message {
                // A host that is gone has closed the pipe; that is not ours to fail on.
                Message::Line(line) => drop(std::io::stderr().write_all(&line)),
                Message::Flush(done) => drop(done.send(())),
            }
        }
    };
    let spawned = std::thread::Builder::new().name("log-writer".to_owned()).spawn(write);
    if spawned.is_ok() {
        let subscriber = tracing_subscriber::registry().with(LineLayer { level, format });
        let _ = tracing::subscriber::set_global_default(subscriber);
    }
}

/// Lines dropped so far because the reader was slow.
pub fn dropped() -> u64 {
    DROPPED.load(Ordering::Relaxed)
}

/// Waits until what was logged is written, for at most `within`.
pub fn flush(within: Duration) {
    let (done, wait) = sync_channel(1);
    if WRITER.get().is_some_and(|queue| queue.try_send(Message::Flush(done)).is_ok()) {
        let _ = wait.recv_timeout(within);
    }
}

struct LineLayer {
    level: Level,
    format: Format,
}

impl LineLayer {
    fn wants(&self, metadata: &Metadata<'_>) -> bool {
        let target = metadata.target();
        let ours = target == "latchkey" || target.starts_with("latchkey::");
        let limit = if ours { self.level } else { self.level.min(Level::WARN) };
        *metadata.level() <= limit
    }
}

impl<S: Subscriber> Layer<S> for LineLayer {
    fn enabled(&self, metadata: &Metadata<'_>, _: Context<'_, S>) -> bool {
        self.wants(metadata)
    }

    fn max_level_hint(&self) -> Option<tracing::level_filters::LevelFilter> {
        Some(tracing::level_filters::LevelFilter::from_level(self.level.max(Level::WARN)))
    }

    fn on_event(&self, event: &Event<'_>, _: Context<'_, S>) {
        let mut fields = Fields::default();
        event.record(&mut fields);
        let now = timestamp();
        let metadata = event.metadata();
        let mut line = match self.format {
            Format::Json => json_line(&now, *metadata.level(), metadata.target(), &fields),
            Format::Text => text_line(&now, *metadata.level(), &fields),
        };
        line.push('\n');
        send(line.into_bytes());
    }
}

fn send(line: Vec<u8>) {
    if let Some(queue) = WRITER.get()
        && queue.try_send(Message::Line(line)).is_err()
    {
        DROPPED.fetch_add(1, Ordering::Relaxed);
    }
}

/// RFC 3339 in UTC with exactly six digits of a second: with any other number the host takes the line for no JSON.
fn timestamp() -> String {
    use crate::clock::Clock as _;
    let now = rustix::time::clock_gettime(rustix::time::ClockId::Realtime);
    let time = jiff::Timestamp::new(now.tv_sec, i32::try_from(now.tv_nsec).unwrap_or(0));
    let time = time.or_else(|_| jiff::Timestamp::from_millisecond(crate::clock::SystemClock.wall_ms()));
    time.map_or_else(|_| "1970-01-01T00:00:00.000000Z".to_owned(), |time| format!("{time:.6}"))
}

/// One line of JSON.
fn json_line(timestamp: &str, level: Level, module: &str, fields: &Fields) -> String {
    let mut line = String::with_capacity(256);
    line.push_str("{\"@level\":");
    push_json(&mut line, level_name(level));
    line.push_str(",\"@message\":");
    push_json(&mut line, &fields.message);
    line.push_str(",\"@module\":");
    push_json(&mut line, module);
    line.push_str(",\"@timestamp\":");
    push_json(&mut line, timestamp);
    for (name, value) in &fields.others {
        let before = line.len();
        line.push(',');
        // A field of ours may not pass for one of the host's.
        push_json(&mut line, &name.replace('@', "_"));
        line.push(':');
        match value {
            Value::Text(text) => push_json(&mut line, text),
            Value::Plain(plain) => line.push_str(plain),
        }
        if line.len() > MAX_LINE {
            line.truncate(before);
            break;
        }
    }
    line.push('}');
    line
}

fn text_line(timestamp: &str, level: Level, fields: &Fields) -> String {
    let mut line = format!("{timestamp} {:<5} {}", level_name(level), plain(&fields.message));
    for (name, value) in &fields.others {
        let (Value::Text(value) | Value::Plain(value)) = value;
        let _ = write!(line, " {name}={}", plain(value));
    }
    line
}

const fn level_name(level: Level) -> &'static str {
    match level {
        Level::TRACE => "trace",
        Level::DEBUG => "debug",
        Level::INFO => "info",
        Level::WARN => "warn",
        Level::ERROR => "error",
    }
}

/// Text as JSON, cut to [`MAX_VALUE`]. What could steer a terminal or mislead a reader (control and
/// formatting characters, right-to-left marks) is escaped.
fn push_json(line: &mut String, text: &str) {
    line.push('"');
    let end = line.len() + MAX_VALUE;
    for character in text.chars() {
        if line.len() >= end {
            line.push('…');
            break;
        }
        match character {
            '"' => line.push_str("\\\""),
            '\\' => line.push_str("\\\\"),
            c if misleads(c) => {
                let mut units = [0; 2];
                for unit in c.encode_utf16(&mut units) {
                    let _ = write!(line, "\\u{unit:04x}");
                }
            }
            c => line.push(c),
        }
    }
    line.push('"');
}

fn plain(text: &str) -> String {
    text.chars().take(MAX_VALUE).map(|c| if misleads(c) { '\u{fffd}' } else { c }).collect()
}

fn misleads(c: char) -> bool {
    c.is_control()
        || matches!(c, '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{feff}' | '\u{e0000}'..='\u{e007f}')
}

enum Value {
    /// To be quoted.
    Text(String),
    /// A number or bool, as JSON writes it.
    Plain(String),
}

#[derive(Default)]
struct Fields {
    message: String,
    others: Vec<(&'static str, Value)>,
}

impl Fields {
    fn put(&mut self, field: &Field, value: Value) {
        match (field.name(), value) {
            ("message", Value::Text(text) | Value::Plain(text)) => self.message = text,
            (name, value) => self.others.push((name, value)),
        }
    }
}

impl Visit for Fields {
    fn record_debug(&mut self, field: &Field, value: &dyn std::fmt::Debug) {
        self.put(field, Value::Text(format!("{value:?}")));
    }
    fn record_str(&mut self, field: &Field, value: &str) {
        self.put(field, Value::Text(value.to_owned()));
    }
    fn record_i64(&mut self, field: &Field, value: i64) {
        self.put(field, Value::Plain(value.to_string()));
    }
    fn record_u64(&mut self, field: &Field, value: u64) {
        self.put(field, Value::Plain(value.to_string()));
    }
    fn record_bool(&mut self, field: &Field, value: bool) {
        self.put(field, Value::Plain(value.to_string()));
    }
    fn record_f64(&mut self, field: &Field, value: f64) {
        // JSON has no infinities.
        let value = if value.is_finite() { Value::Plain(value.to_string()) } else { Value::Text(value.to_string()) };
        self.put(field, value);
    }
    fn record_error(&mut self, field: &Field, value: &(dyn std::error::Error + 'static)) {
        let mut text = value.to_string();
        let mut cause = value.source();
        while let Some(source) = cause {
            let _ = write!(text, ": {source}");
            cause = source.source();
        }
        self.put(field, Value::Text(text));
    }
}

/// One line about a panic: where and in which thread, never what it said (rule R20).
pub fn panic_line(location: &str, thread: &str) -> String {
    let fields = Fields {
        message: "a handler panicked".to_owned(),
        others: vec![("location", Value::Text(location.to_owned())), ("thread", Value::Text(thread.to_owned()))],
    };
    json_line(&timestamp(), Level::ERROR, "latchkey", &fields)
}

/// Logs a panic, through the writer where there is one.
pub fn panicked(location: &str, thread: &str) {
    let mut line = panic_line(location, thread);
    line.push('\n');
    if WRITER.get().is_some() {
        send(line.into_bytes());
    } else {
        let _ = std::io::stderr().write_all(line.as_bytes());
    }
}

#[cfg(test)]
#[path = "log_tests.rs"]
mod tests;

//! What every command has: the global options, the configuration, the store, a way to print.

use std::io::Write as _;
use std::path::{Path, PathBuf};

use clap::ArgAction;

use crate::admin::{Admin, AdminError};
use crate::app::{self, OpenFailure};
use crate::cli::Outcome;
use crate::cli::client::Client;
use crate::cli::remote::Connection;
use crate::config::{self, Config, ConfigError, Values, env, table};
use crate::store::sqlite::ProcessKind;
use crate::telemetry::log::{self, Format};

/// Where the data is when nobody says.
const DEFAULT_DATA_DIR: &str = "latchkey-data";

/// How results look.
#[derive(Clone, Copy, PartialEq, Eq, Debug, clap::ValueEnum)]
pub(super) enum Output {
    /// For people
    Table,
    /// For scripts: one JSON document, one per line for lists
    Json,
}

#[derive(clap::Args)]
pub(super) struct Globals {
    /// Directory of the store [default: ./latchkey-data] [env: `LATCHKEY_DATA_DIR`]
    #[arg(
        long,
        global = true,
        value_name = "DIR",
        help = "Directory of the store [default: ./latchkey-data] [env: LATCHKEY_DATA_DIR]"
    )]
    data_dir: Option<PathBuf>,
    /// Configuration file [env: `LATCHKEY_CONFIG`]
    #[arg(long, global = true, value_name = "FILE", help = "Configuration file [env: LATCHKEY_CONFIG]")]
    config: Option<PathBuf>,
    /// Do it over the admin RPC of a server: unix:PATH or https://HOST:PORT [env: `LATCHKEY_SERVER`]
    #[arg(
        long,
        global = true,
        value_name = "URL",
        help = "Do it over the admin RPC of a server: unix:PATH or https://HOST:PORT, with the operator token in \
                LATCHKEY_TOKEN [env: LATCHKEY_SERVER]"
    )]
    server: Option<String>,
    /// Certificates that vouch for the server (PEM); the system's without [env: `LATCHKEY_SERVER_CA`]
    #[arg(
        long,
        global = true,
        value_name = "FILE",
        help = "Certificates that vouch for the server (PEM); the system's without [env: LATCHKEY_SERVER_CA]"
    )]
    server_ca: Option<PathBuf>,
    /// A client certificate (PEM), in the place of a token
    #[arg(long, global = true, value_name = "FILE", requires = "client_key")]
    client_cert: Option<PathBuf>,
    /// Its private key (PEM)
    #[arg(long, global = true, value_name = "FILE", requires = "client_cert")]
    client_key: Option<PathBuf>,
    /// Ties what is done to a request in the audit trail; what makes something then happens once, however often it is typed
    #[arg(long, global = true, value_name = "ID", default_value = "", hide_default_value = true)]
    request_id: String,
    /// How results are printed
    #[arg(long, global = true, value_enum, default_value = "table")]
    output: Output,
    /// Only results and errors, no other messages
    #[arg(short, long, global = true)]
    quiet: bool,
    /// Log more; twice for everything
    #[arg(short, long, global = true, action = ArgAction::Count)]
    verbose: u8,
    /// No colours; there are none, the option is there for scripts that give it
    #[arg(long, global = true)]
    no_color: bool,
}

/// Why a command did not do what it should, and the status to exit with.
pub(super) struct Failure {
    pub(super) code: u8,
    pub(super) error: anyhow::Error,
}

const FAILED: u8 = 1;
const USAGE: u8 = 2;
const CONFIGURATION: u8 = 64;

impl Failure {
    pub(super) fn usage(text: impl std::fmt::Display) -> Self {
        Self { code: USAGE, error: anyhow::anyhow!("{text}") }
    }

    pub(super) fn with_code(configuration: bool, error: impl Into<anyhow::Error>) -> Self {
        Self { code: if configuration { CONFIGURATION } else { FAILED }, error: error.into() }
    }
}

impl From<anyhow::Error> for Failure {
    fn from(error: anyhow::Error) -> Self {
        Self { code: FAILED, error }
    }
}

impl From<std::io::Error> for Failure {
    fn from(error: std::io::Error) -> Self {
        Self { code: FAILED, error: error.into() }
    }
}

impl From<ConfigError> for Failure {
    fn from(error: ConfigError) -> Self {
        Self::with_code(true, error)
    }
}

impl From<OpenFailure> for Failure {
    fn from(error: OpenFailure) -> Self {
        Self::with_code(error.is_configuration(), error)
    }
}

impl From<crate::app::init::InitFailure> for Failure {
    fn from(error: crate::app::init::InitFailure) -> Self {
        match error {
            crate::app::init::InitFailure::Open(failure) => failure.into(),
            other => Self::with_code(false, other),
        }
    }
}

impl From<AdminError> for Failure {
    fn from(error: AdminError) -> Self {
        let code = if matches!(error, AdminError::Invalid { .. }) { USAGE } else { FAILED };
        Self { code, error: error.into() }
    }
}

pub(super) struct Context {
    globals: Globals,
}

impl Context {
    pub(super) fn new(globals: Globals) -> Self {
        Self { globals }
    }

    pub(super) fn json(&self) -> bool {
        self.globals.output == Output::Json
    }

    /// Whether more was asked for.
    pub(super) fn verbose(&self) -> bool {
        self.globals.verbose > 0
    }

    /// What this machine says, with the data directory of the command line.
    pub(super) fn values(&self) -> Result<Values, Failure> {
        let base = std::env::current_dir()?;
        let mut values = config::load_local(self.globals.config.as_deref(), Some(&base))?;
        if let Some(dir) = &self.globals.data_dir {
            set_data_dir(&mut values, "--data-dir", &base.join(dir))?;
        } else if !values.is_set("data_dir") || values.get("data_dir").is_empty() {
            set_data_dir(&mut values, "the default", &base.join(DEFAULT_DATA_DIR))?;
        }
        Ok(values)
    }

    /// The settings of a command that ends by itself. It logs warnings only, unless asked for more.
    pub(super) fn settings(&self) -> Result<Config, Failure> {
        let values = self.values()?;
        let mut config = Config::new(&values);
        if !values.is_set("log.level") {
            config.log.level = tracing::Level::WARN;
        }
        self.start_log(&config, Format::Text);
        Ok(config)
    }

    /// Logs as configured; `-v` and `-vv` ask for more.
    pub(super) fn start_log(&self, config: &Config, default: Format) {
        let level = match self.globals.verbose {
            0 => config.log.level,
            1 => config.log.level.max(tracing::Level::DEBUG),
            _ => tracing::Level::TRACE,
        };
        log::start(level, config.log.format.unwrap_or(default));
    }

    /// The server that is to be asked; none where the files are at hand.
    pub(super) fn server(&self) -> Option<String> {
        self.globals.server.clone().or_else(|| env::text("LATCHKEY_SERVER"))
    }

    /// What ties what is done to this request; empty for nothing.
    pub(super) fn request_id(&self) -> String {
        self.globals.request_id.clone()
    }

    /// How to prove to a server who calls, and whom to believe.
    pub(super) fn connection(&self) -> Connection {
        let Globals { server_ca, client_cert, client_key, .. } = &self.globals;
        Connection {
            token: env::secret_text("LATCHKEY_TOKEN"),
            ca: server_ca.clone().or_else(|| env::text("LATCHKEY_SERVER_CA").map(PathBuf::from)),
            client: client_cert.clone().zip(client_key.clone()),
        }
    }

    /// What administers: the service, in this process or over a wire.
    pub(super) fn client(&self) -> Result<Client, Failure> {
        Client::new(self, false)
    }

    /// The same, which can be asked what a gateway would be told.
    pub(super) fn deciding_client(&self) -> Result<Client, Failure> {
        Client::new(self, true)
    }

    /// For what is done on the machine of the store alone.
    pub(super) fn local(&self, what: &str) -> Result<(), Failure> {
        match self.server() {
            None => Ok(()),
            Some(_) => Err(Failure::usage(format_args!(
                "{what} works on the machine that the store is on: run it there, without --server and LATCHKEY_SERVER"
            ))),
        }
    }

    /// The use cases over the store, for what has no place in the admin RPC.
    pub(super) fn admin(&self) -> Result<Admin, Failure> {
        let config = self.settings()?;
        let opened = app::open(&config.app, ProcessKind::Command)?;
        Ok(app::init::local_admin(&opened))
    }

    /// Prints to stdout. A reader that has gone away is no failure.
    #[expect(clippy::unused_self, reason = "only who has a context prints")]
    pub(super) fn write(&self, bytes: &[u8]) -> Outcome {
        let mut stdout = std::io::stdout().lock();
        match stdout.write_all(bytes).and_then(|()| stdout.flush()) {
            Err(error) if error.kind() != std::io::ErrorKind::BrokenPipe => Err(error.into()),
            _ => Ok(true),
        }
    }

    /// Prints a line to stdout.
    pub(super) fn line(&self, text: &str) -> Outcome {
        self.write(format!("{text}\n").as_bytes())
    }

    /// Tells a person how far it is, on one line of stderr.
    pub(super) fn progress(&self, text: &str) {
        if !self.globals.quiet {
            let _ = write!(std::io::stderr(), "\r{text}");
        }
    }

    /// Says where a request was carried out before.
    pub(super) fn tell_replayed(&self, replayed: bool) {
        if replayed {
            self.tell("this request was carried out before; nothing was made now, and its secret was shown then");
        }
    }

    /// Tells a person something, on stderr.
    pub(super) fn tell(&self, text: &str) {
        if !self.globals.quiet {
            let _ = writeln!(std::io::stderr(), "{text}");
        }
    }
}

fn set_data_dir(values: &mut Values, source_name: &str, dir: &Path) -> Result<(), Failure> {
    let Some(setting) = table::find("data_dir") else { return Ok(()) };
    let text = dir.to_str().ok_or_else(|| Failure::usage("the data directory's path is not UTF-8"))?;
    Ok(values.set(source_name, setting, text)?)
}

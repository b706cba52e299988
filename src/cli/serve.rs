//! `latchkey serve`

use std::io::{IsTerminal as _, Write as _};
use std::path::PathBuf;

use serde_json::json;

use crate::app;
use crate::app::serve::Listening;
use crate::cli::Outcome;
use crate::cli::context::{Context, Failure};
use crate::config::Config;
use crate::telemetry::log::Format;

#[derive(clap::Args)]
pub(super) struct ServeArgs {
    /// Where to listen: host:port or unix:PATH; repeat for more [default: 127.0.0.1:7443]
    #[arg(long, value_name = "ADDRESS")]
    listen: Vec<String>,
    /// Certificate chain for TCP (PEM)
    #[arg(long, value_name = "FILE", requires = "tls_key")]
    tls_cert: Option<PathBuf>,
    /// Its private key (PEM)
    #[arg(long, value_name = "FILE", requires = "tls_cert")]
    tls_key: Option<PathBuf>,
    /// An address beyond this machine that may be plaintext, as in --listen: all who can read that network read every
    /// credential
    #[arg(long, value_name = "ADDRESS")]
    allow_plaintext: Vec<String>,
    /// Where to listen for admins: unix:PATH, or host:port with TLS; repeat for more
    #[arg(long, value_name = "ADDRESS")]
    admin: Vec<String>,
    /// Authorities (PEM) of the client certificates that operators may come with over TCP
    #[arg(long, value_name = "FILE")]
    client_ca: Option<PathBuf>,
    /// Where to answer /metrics, /healthz, /readyz and the OAuth endpoints over HTTP: host:port; repeat for more
    #[arg(long, value_name = "ADDRESS")]
    http: Vec<String>,
    /// Serve a throw-away store with a tenant and a key, and print what to try
    #[arg(long)]
    dev: bool,
}

pub(super) fn run(context: &Context, args: ServeArgs) -> Outcome {
    let mut config = Config::new(&context.values()?);
    if !args.listen.is_empty() {
        config.serve.listen = args.listen;
    }
    if !args.admin.is_empty() {
        config.serve.admin = args.admin;
    }
    if !args.http.is_empty() {
        config.serve.http = args.http;
    }
    config.serve.client_ca = args.client_ca.or(config.serve.client_ca);
    config.serve.tls_cert = args.tls_cert.or(config.serve.tls_cert);
    config.serve.tls_key = args.tls_key.or(config.serve.tls_key);
    config.serve.allow_plaintext.extend(args.allow_plaintext);
    let format = if std::io::stderr().is_terminal() { Format::Text } else { Format::Json };
    context.start_log(&config, format);
    let dev = if args.dev { Some(app::dev::store(&mut config.app)?) } else { None };
    let listening = |addresses: &Listening| announce(context, addresses, dev.as_ref());
    let remove = dev.as_ref().map(app::dev::DevStore::remover);
    let at_end = move || remove.iter().for_each(|remove| remove());
    app::serve::run(&config, listening, at_end)
        .map(|()| true)
        .map_err(|failure| Failure::with_code(failure.is_configuration(), failure))
}

#[expect(clippy::disallowed_methods, reason = "the key of a throw-away store is shown, this once")]
fn announce(context: &Context, at: &Listening, dev: Option<&app::dev::DevStore>) {
    let mut stdout = std::io::stdout().lock();
    // Whoever started us may not be reading; that is no reason not to serve.
    let _ = if context.json() {
        let told = json!({
            "listening": at.plugin.first(), "addresses": at.plugin, "admin": at.admin, "http": at.http
        });
        writeln!(stdout, "{told}")
    } else {
        let all = [("listening on", &at.plugin), ("for admins on", &at.admin), ("HTTP on", &at.http)];
        let told = all.into_iter().filter(|(_, addresses)| !addresses.is_empty());
        let mut lines = told.map(|(what, addresses)| format!("{what} {}", addresses.join(", ")));
        lines.try_for_each(|line| writeln!(stdout, "{line}"))
    };
    if let Some(dev) = dev {
        context.tell(&format!(
            "A throw-away store in {}, gone when this ends. Its key, for LLM 3, is on stdout. To try it:\n  printf %s KEY | \
             LATCHKEY_STORE__DEV=true latchkey --data-dir {} authenticate --llm-id 3",
            dev.data_dir().display(),
            dev.data_dir().display()
        ));
        let _ = stdout.write_all(dev.key().expose()).and_then(|()| stdout.write_all(b"\n"));
    }
    let _ = stdout.flush();
}

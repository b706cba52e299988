//! The command line: what people and scripts type. Each command reads its arguments, calls one use case, prints.
//!
//! Results go to stdout, everything for people to stderr. Exit status: 0 done, 1 refused or failed, 2 wrong usage, 64
//! bad configuration.

mod apps;
mod audit;
mod authenticate;
mod checklist;
mod client;
mod config;
mod context;
pub mod demo;
mod doctor;
mod explain;
mod import;
mod init;
mod issuers;
mod jwt;
mod keys;
mod lifecycle;
mod links;
mod man;
mod mask;
mod operators;
mod output;
mod parse;
mod pepper;
mod remote;
mod scan;
mod serve;
mod store;
mod tenants;
mod tokens;
mod users;

use std::io::Write as _;
use std::process::ExitCode;

use clap::{CommandFactory as _, Parser, Subcommand};

use crate::transport::go_plugin::Environment;
use context::{Context, Failure, Globals};

/// Multi-tenant authentication plugin for API and AI gateways.
///
/// A gateway starts this program by itself, as a plugin. People use the commands below.
#[derive(Parser)]
#[command(name = "latchkey", version, max_term_width = 100, arg_required_else_help = false)]
struct Cli {
    #[command(flatten, next_help_heading = "Global options")]
    globals: Globals,
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// The whole story on an embedded store in seconds; nothing to install, nothing left behind
    Demo(demo::DemoArgs),
    /// Make the data directory, the store, the pepper and the first operator token
    Init(init::InitArgs),
    /// Serve hosts that attach by grpc://
    Serve(serve::ServeArgs),
    /// Tenants: who owns Apps, Users and keys
    #[command(subcommand)]
    Tenant(tenants::TenantCommand),
    /// Apps of the host, and the LLMs that they may use
    #[command(subcommand)]
    App(apps::AppCommand),
    /// Users of the host
    #[command(subcommand)]
    User(users::UserCommand),
    /// Links: for which App and User an identity of an outside issuer stands
    #[command(subcommand)]
    Link(links::LinkCommand),
    /// Issuers of JWTs that a tenant trusts: add, list, show, set, remove, check
    #[command(subcommand)]
    Issuer(issuers::IssuerCommand),
    /// API keys: issue, list, show, revoke
    #[command(subcommand)]
    Key(keys::KeyCommand),
    /// JWTs: look at one on stdin, check by check
    #[command(subcommand)]
    Jwt(jwt::JwtCommand),
    /// Short-lived tokens of a key: issue, inspect, revoke; the keys that sign them
    #[command(subcommand)]
    Token(tokens::TokenCommand),
    /// Ask about a credential on stdin what a gateway would ask
    Authenticate(authenticate::QuestionArgs),
    /// Operators: who may administer the store
    #[command(subcommand)]
    Operator(operators::OperatorCommand),
    /// Peppers: what tags and seals are made with
    #[command(subcommand)]
    Pepper(pepper::PepperCommand),
    /// Find keys in files, directories or stdin; exits with 1 if there are any
    Scan(scan::ScanArgs),
    /// Copy the live store to a file, and check the copy
    Backup(store::BackupArgs),
    /// The audit trail: list, verify, export, sign
    #[command(subcommand)]
    Audit(audit::AuditCommand),
    /// The five claims that an auditor asks for, judged for every key in force; exits with 1 unless all hold
    Checklist(checklist::ChecklistArgs),
    /// Put a backup in the store's place; refuses while anything uses the store
    Restore(store::RestoreArgs),
    /// The schema of the store
    #[command(subcommand)]
    Migrate(store::MigrateCommand),
    /// What is wrong with the store, this machine and its host, and what to do about it
    Doctor(doctor::DoctorArgs),
    /// The configuration: a commented file, a check
    #[command(subcommand)]
    Config(config::ConfigCommand),
    /// Print a shell's completion script
    Completions {
        /// For which shell
        shell: clap_complete::Shell,
    },
    /// Print the manual page, or write one for each command into a directory
    Man(man::ManArgs),
    /// Print the version
    Version,
}

/// What was done: whether the answer is a yes.
type Outcome = Result<bool, Failure>;

/// Runs what the process was started for.
pub fn run() -> ExitCode {
    let environment = Environment::read();
    let arguments = std::env::args_os().count();
    if arguments <= 1 && environment.cookie {
        return crate::app::plugin::run(environment, crate::config::load_local(None, None));
    }
    if arguments <= 1 {
        return explain_itself();
    }
    let cli = match Cli::try_parse() {
        Ok(cli) => cli,
        Err(error) => {
            // clap's own: 0 for help and version, 2 for wrong usage.
            let code = u8::try_from(error.exit_code()).unwrap_or(2);
            let _ = if code == 0 { error.print() } else { warn(&error.render().to_string()) };
            return ExitCode::from(code);
        }
    };
    let code = match dispatch(cli) {
        Ok(true) => 0,
        Ok(false) => 1,
        Err(failure) => {
            let _ = warn(&format!("error: {:#}\n", failure.error));
            failure.code
        }
    };
    crate::telemetry::log::flush(std::time::Duration::from_secs(1));
    ExitCode::from(code)
}

/// Prints a message on stderr, without what may be a credential that somebody put where none belongs.
fn warn(text: &str) -> std::io::Result<()> {
    std::io::stderr().write_all(parse::without_credentials(text).as_bytes())
}

fn dispatch(cli: Cli) -> Outcome {
    let context = Context::new(cli.globals);
    match cli.command {
        Command::Demo(args) => demo::run(args, context.json(), &mut std::io::stdout()).map_err(Failure::from),
        Command::Init(args) => {
            context.local("init")?;
            init::run(&context, &args)
        }
        Command::Serve(args) => serve::run(&context, args),
        Command::Tenant(command) => tenants::run(&context, command),
        Command::App(command) => apps::run(&context, command),
        Command::User(command) => users::run(&context, command),
        Command::Link(command) => links::run(&context, command),
        Command::Issuer(command) => issuers::run(&context, command),
        Command::Key(command) => keys::run(&context, command),
        Command::Jwt(command) => jwt::run(&context, command),
        Command::Token(command) => tokens::run(&context, command),
        Command::Authenticate(args) => authenticate::run(&context, args),
        Command::Operator(command) => operators::run(&context, command),
        Command::Pepper(command) => {
            context.local("pepper")?;
            pepper::run(&context, &command)
        }
        Command::Scan(args) => scan::run(&context, &args),
        Command::Backup(args) => {
            context.local("backup")?;
            store::back_up(&context, &args)
        }
        Command::Audit(command) => audit::run(&context, command),
        Command::Checklist(args) => checklist::run(&context, args),
        Command::Restore(args) => {
            context.local("restore")?;
            store::put_back(&context, &args)
        }
        Command::Migrate(command) => {
            context.local("migrate")?;
            store::migrate(&context, &command)
        }
        Command::Doctor(args) => {
            context.local("doctor")?;
            doctor::run(&context, &args)
        }
        Command::Config(command) => config::run(&context, &command),
        Command::Completions { shell } => {
            let mut script = Vec::new();
            clap_complete::generate(shell, &mut Cli::command(), "latchkey", &mut script);
            context.write(&script)
        }
        Command::Man(args) => man::run(&context, Cli::command(), &args),
        Command::Version => {
            let version = env!("CARGO_PKG_VERSION");
            if context.json() {
                context.line(&serde_json::json!({ "version": version, "plugin_protocol": 1 }).to_string())
            } else {
                context.line(&format!("latchkey {version}"))
            }
        }
    }
}

/// Started without arguments and by no gateway: go-plugin's convention is a text on stderr and status 1.
fn explain_itself() -> ExitCode {
    let help = Cli::command().render_help();
    let _ = writeln!(
        std::io::stderr(),
        "{help}\nThis program is also a plugin: a gateway (Tyk AI Studio, its microgateway) starts it by itself, without\n\
         arguments. To see it at work: latchkey demo. To begin: latchkey init."
    );
    ExitCode::FAILURE
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_command_line_is_consistent() {
        Cli::command().debug_assert();
    }

    #[test]
    fn settled_spellings_are_understood() {
        for line in [
            "tenant create acme --name Acme",
            "app add --tenant acme --id 7 --name Shop --owner-email ops@acme.example --llm 3 --llm 4",
            "app set --tenant acme --id 7 --active false",
            "app set --tenant acme --id 7 --llm 3",
            "user add --tenant acme --id 9 --email ann@acme.example --name Ann",
            "link add --tenant acme --issuer https://id.example --subject ann --app 7 --user 9",
            "link list --tenant acme --issuer https://id.example",
            "link remove 0000000000000000000001 --tenant acme",
            "key issue --tenant acme --app 7 --user 9 --label ci --expires-in 90d --output json",
            "key rotate 0000000000000000000001 --grace 24h --output json",
            "key explain 0000000000000000000001",
            "key explain --llm-id 3",
            "key set 0000000000000000000001 --label new --no-scopes --no-expiry",
            "key revoke 0000000000000000000001 --reason key_compromise",
            "token issue --credential 0000000000000000000001 --scope chat --llm 3 --expires-in 15m --output json",
            "token issue --tenant acme --credential 0000000000000000000001",
            "token list --credential 0000000000000000000001",
            "token revoke --id 0000000000000000000001",
            "token revoke --credential 0000000000000000000001",
            "token revoke",
            "token inspect --output json",
            "token keys",
            "token rotate-key --alg ES256 --now",
            "checklist --sample 5 --output json",
            "jwt verify --jwks keys.json --alg ES256,EdDSA --iss https://id.example --aud us --leeway 30s --output json",
            "jwt verify --pem key.pem --alg RS256 --raw",
            "jwt verify --secret-file f --alg HS256 --max-age 1h --typ at+jwt,none",
            "authenticate --llm-id 3 --output json",
            "authenticate --llm-id 3 --llm-slug s --remote-addr 192.0.2.1 --namespace ns",
            "serve --listen 127.0.0.1:7443",
            "--data-dir d --config c -q -v --no-color config check",
            "tenant suspend acme",
            "completions bash",
        ] {
            let words = std::iter::once("latchkey").chain(line.split(' '));
            assert!(Cli::try_parse_from(words).is_ok(), "{line}");
        }
    }
}

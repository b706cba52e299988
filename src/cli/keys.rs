//! `latchkey key …`

use clap::Subcommand;
use clap::builder::PossibleValuesParser;
use clap::builder::TypedValueParser as _;
use ipnet::IpNet;
use serde::Serialize;
use zeroize::Zeroizing;

use crate::admin::{Admin, IssueRequest, Issued};
use crate::cli::Outcome;
use crate::cli::context::Context;
use crate::cli::output::{self, Listing};
use crate::cli::parse::{self, moment_text};
use crate::cli::views::KeyView;
use crate::cli::{explain, import, lifecycle};
use crate::domain::credential::RevocationReason;
use crate::domain::{AppId, CredentialId, Environment, UserId};
use crate::verify::argon::Cost;

#[derive(Clone, Copy, clap::ValueEnum)]
pub(super) enum Env {
    /// Production
    Live,
    /// Anything else
    Test,
}

#[derive(clap::Args)]
pub(super) struct IssueArgs {
    /// The tenant
    #[arg(long)]
    tenant: String,
    /// The App that it acts as, by the host's id
    #[arg(long)]
    app: AppId,
    /// The User that it acts for, by the host's id
    #[arg(long)]
    user: UserId,
    /// A name for people
    #[arg(long, default_value = "")]
    label: String,
    /// What it is for
    #[arg(long, value_enum, default_value = "live")]
    env: Env,
    /// A scope that the gateway is told; repeat for more
    #[arg(long = "scope", value_name = "SCOPE")]
    scopes: Vec<String>,
    /// A range of addresses that it may be used from; repeat for more, none means any
    #[arg(long = "cidr", value_name = "CIDR")]
    cidrs: Vec<IpNet>,
    /// The first moment at which it is valid, as in RFC 3339
    #[arg(long, value_name = "MOMENT", value_parser = parse::moment_ms)]
    not_before: Option<i64>,
    /// How long it is valid, such as 90d; without it, until revoked
    #[arg(long, value_name = "TIME", value_parser = parse::duration_ms)]
    expires_in: Option<i64>,
    /// The first moment at which it is no longer valid, as in RFC 3339
    #[arg(long, value_name = "MOMENT", value_parser = parse::moment_ms, conflicts_with = "expires_in")]
    expires_at: Option<i64>,
    /// A honey key: lay it where no one should look; it is refused, and an alarm when it is used
    #[arg(long)]
    decoy: bool,
    /// Cost of its stored hash: memory in KiB, passes, lanes
    #[arg(long, value_name = "m=KIB,t=N,p=N", value_parser = parse::cost, default_value = "m=19456,t=2,p=1")]
    argon2: Cost,
}

#[derive(Subcommand)]
pub(super) enum KeyCommand {
    /// Issue a key; it is printed once, on stdout
    Issue(Box<IssueArgs>),
    /// List a tenant's keys, oldest first
    List {
        /// The tenant
        #[arg(long)]
        tenant: String,
        /// Only those in force that cost a slow hash at first use: of low entropy, or kept as another system did
        #[arg(long)]
        weak: bool,
    },
    /// Show one
    Show {
        /// Its id
        credential_id: CredentialId,
    },
    /// Change what one is bound to, at once; the key itself stays
    Set(Box<lifecycle::SetArgs>),
    /// Put a new key in the place of one, which stays good for a while; the new key is printed once, on stdout
    Rotate(lifecycle::RotateArgs),
    /// Every condition that a request with a key is judged by, and which one fails
    Explain(explain::ExplainArgs),
    /// Take over keys that another system made, from a file
    Import(Box<import::ImportArgs>),
    /// Print a tenant's keys for another store of ours: hashes, no secrets
    Export(import::ExportArgs),
    /// Take one back, at once and for good
    Revoke {
        /// Its id
        credential_id: CredentialId,
        /// Why, for people and audit
        #[arg(long, default_value = "unspecified", value_parser = reason_parser())]
        reason: RevocationReason,
    },
}

fn reason_parser() -> impl clap::builder::TypedValueParser<Value = RevocationReason> {
    let names = RevocationReason::ALL.iter().map(|reason| reason.as_str());
    PossibleValuesParser::new(names).map(|name| RevocationReason::parse(&name).unwrap_or_default())
}

pub(super) fn run(context: &Context, command: KeyCommand) -> Outcome {
    let command = match command {
        KeyCommand::Explain(args) => return explain::run(context, args),
        KeyCommand::Import(args) => return import::import(context, *args),
        KeyCommand::Export(args) => return import::export(context, &args),
        other => other,
    };
    let admin = context.admin()?;
    match command {
        KeyCommand::Explain(_) | KeyCommand::Import(_) | KeyCommand::Export(_) => Ok(true),
        KeyCommand::Set(args) => lifecycle::set(context, &admin, *args),
        KeyCommand::Rotate(args) => lifecycle::rotate(context, &admin, &args),
        KeyCommand::Issue(args) => issue(context, &admin, *args),
        KeyCommand::List { tenant, weak } => {
            let columns = if weak {
                &["credential_id", "app_id", "user_id", "label", "proof", "created_at", "last_used_at"]
            } else {
                &["credential_id", "app_id", "user_id", "label", "environment", "status", "expires_at"]
            };
            let (mut listing, now_ms) = (Listing::new(context, columns), admin.now_ms());
            admin.each_key(&tenant, |key| {
                if !weak || (key.verifier.tag.is_none() && key.check_validity(now_ms).is_ok()) {
                    listing.add(&KeyView::new(&tenant, key, now_ms));
                }
            })?;
            listing.finish("keys")
        }
        KeyCommand::Show { credential_id } => {
            let credential = admin.key(credential_id)?;
            let tenant = admin.tenant_of(&credential)?;
            output::one(context, &KeyView::new(&tenant, credential, admin.now_ms()))
        }
        KeyCommand::Revoke { credential_id, reason } => {
            let revoked = admin.revoke_key(credential_id, reason)?;
            if revoked.already {
                context.tell("it was revoked before; nothing was changed");
            }
            let tenant = admin.tenant_of(&revoked.credential)?;
            output::one(context, &KeyView::new(&tenant, revoked.credential, admin.now_ms()))
        }
    }
}

/// What `key issue` answers in JSON.
#[derive(Serialize)]
struct IssuedView<'a> {
    credential_id: String,
    key: &'a str,
    expires_at: Option<String>,
    not_before: Option<String>,
    tenant: &'a str,
    app_id: u32,
    user_id: u32,
    label: &'a str,
    environment: &'static str,
    scopes: &'a [String],
}

fn issue(context: &Context, admin: &Admin, args: IssueArgs) -> Outcome {
    let expires_at_ms = lifecycle::end_ms(admin, args.expires_in, args.expires_at)?;
    let request = IssueRequest {
        app: args.app,
        user: args.user,
        label: args.label,
        environment: match args.env {
            Env::Live => Environment::Live,
            Env::Test => Environment::Test,
        },
        scopes: args.scopes,
        cidrs: args.cidrs,
        not_before_ms: args.not_before,
        expires_at_ms,
        decoy: args.decoy,
        cost: args.argon2,
    };
    if !request.cidrs.is_empty() {
        context.tell(
            "note: a key bound to addresses works only through gateways whose machine says how the client's address is known: \
             auth.trusted_proxies, or auth.trust_remote_addr where there is no proxy",
        );
    }
    let issued = admin.issue_key(&args.tenant, request)?;
    print(context, &args.tenant, &issued)
}

#[expect(clippy::disallowed_methods, reason = "the key is shown, this once")]
pub(super) fn print(context: &Context, tenant: &str, issued: &Issued) -> Outcome {
    let credential = &issued.credential;
    let key = std::str::from_utf8(issued.key.expose()).map_err(anyhow::Error::from)?;
    let expires_at = credential.expires_at_ms.map(moment_text);
    // Large enough that it never grows, which would leave a copy behind.
    let mut text = Zeroizing::new(Vec::with_capacity(64 * 1024));
    if context.json() {
        let view = IssuedView {
            credential_id: credential.id.to_string(),
            key,
            expires_at,
            not_before: credential.not_before_ms.map(moment_text),
            tenant,
            app_id: credential.app.get(),
            user_id: credential.user.get(),
            label: &credential.label,
            environment: credential.environment.as_str(),
            scopes: &credential.scopes,
        };
        serde_json::to_writer(&mut *text, &view).map_err(anyhow::Error::from)?;
    } else {
        text.extend_from_slice(key.as_bytes());
        let expires = expires_at.map_or_else(|| "until it is revoked".to_owned(), |end| format!("until {end}"));
        context.tell(&format!(
            "credential {} of tenant {tenant}: App {}, User {}, valid {expires}\nThe key is shown this once:",
            credential.id, credential.app, credential.user
        ));
    }
    text.push(b'\n');
    context.write(&text)
}

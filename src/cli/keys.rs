//! `latchkey key …`

use clap::Subcommand;
use clap::builder::PossibleValuesParser;
use clap::builder::TypedValueParser as _;
use ipnet::IpNet;
use zeroize::Zeroizing;

use crate::cli::Outcome;
use crate::cli::client::Client;
use crate::cli::context::Context;
use crate::cli::output::{self, Listing, PAGE};
use crate::cli::parse::{self, timestamp};
use crate::cli::{explain, import, lifecycle};
use crate::domain::credential::RevocationReason;
use crate::domain::{AppId, CredentialId, UserId};
use crate::pb::admin::v1 as pb;
use crate::transport::admin::views::{IssuedView, KeyView};
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
    #[arg(long, value_name = "TIME", value_parser = parse::seconds)]
    expires_in: Option<u64>,
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
        /// Only those of this App
        #[arg(long)]
        app: Option<AppId>,
        /// Only those of this User
        #[arg(long)]
        user: Option<UserId>,
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
    let mut client = context.client()?;
    match command {
        KeyCommand::Explain(_) | KeyCommand::Import(_) | KeyCommand::Export(_) => Ok(true),
        KeyCommand::Set(args) => lifecycle::set(context, &mut client, *args),
        KeyCommand::Rotate(args) => lifecycle::rotate(context, &mut client, &args),
        KeyCommand::Issue(args) => issue(context, &mut client, *args),
        KeyCommand::List { tenant, weak, app, user } => {
            let columns = if weak {
                &["credential_id", "app_id", "user_id", "label", "proof", "created_at", "last_used_at"]
            } else {
                &["credential_id", "app_id", "user_id", "label", "environment", "status", "expires_at"]
            };
            let mut listing = Listing::new(context, columns);
            let (app_id, user_id) = (app.map_or(0, AppId::get), user.map_or(0, UserId::get));
            client.pages(
                async |rpc, page_token| {
                    let (tenant, page_size) = (tenant.clone(), PAGE);
                    let request = pb::ListCredentialsRequest { tenant, page_size, page_token, app_id, user_id, weak };
                    rpc.list_credentials(request).await
                },
                |page| (page.credentials, page.next_page_token),
                |key| listing.add(&KeyView::from(key)),
            )?;
            listing.finish("keys")
        }
        KeyCommand::Show { credential_id } => {
            let request = pb::GetCredentialRequest { credential_id: credential_id.to_string() };
            output::one(context, &KeyView::from(client.ask(async |rpc| rpc.get_credential(request).await)?))
        }
        KeyCommand::Revoke { credential_id, reason } => {
            let (credential_id, request_id) = (credential_id.to_string(), client.request_id());
            let request = pb::RevokeCredentialRequest { credential_id, reason: wire_reason(reason).into(), request_id };
            let revoked = client.ask(async |rpc| rpc.revoke_credential(request).await)?;
            if revoked.already {
                context.tell("it was revoked before; nothing was changed");
            }
            output::one(context, &KeyView::from(revoked.credential.unwrap_or_default()))
        }
    }
}

fn wire_reason(reason: RevocationReason) -> pb::RevocationReason {
    let name = format!("REVOCATION_REASON_{}", reason.as_str().to_ascii_uppercase());
    pb::RevocationReason::from_str_name(&name).unwrap_or_default()
}

/// As the wire has it.
pub(super) fn wire_cost(cost: Cost) -> pb::Argon2Cost {
    pb::Argon2Cost { memory_kib: cost.memory_kib, passes: cost.passes, lanes: cost.lanes }
}

fn issue(context: &Context, client: &mut Client, args: IssueArgs) -> Outcome {
    if !args.cidrs.is_empty() {
        context.tell(
            "note: a key bound to addresses works only through gateways whose machine says how the client's address is known: \
             auth.trusted_proxies, or auth.trust_remote_addr where there is no proxy",
        );
    }
    let environment = match args.env {
        Env::Live => pb::Environment::Live,
        Env::Test => pb::Environment::Test,
    };
    let credential = pb::Credential {
        tenant: args.tenant,
        app_id: args.app.get(),
        user_id: args.user.get(),
        label: args.label,
        environment: environment.into(),
        scopes: args.scopes,
        cidrs: args.cidrs.iter().map(ToString::to_string).collect(),
        not_before: args.not_before.map(timestamp),
        expires_at: args.expires_at.map(timestamp),
        decoy: args.decoy,
        ..pb::Credential::default()
    };
    let request = pb::IssueCredentialRequest {
        credential: Some(credential),
        expires_in_seconds: args.expires_in.unwrap_or(0),
        argon2: Some(wire_cost(args.argon2)),
        request_id: client.request_id(),
    };
    let issued = client.ask(async |rpc| rpc.issue_credential(request).await)?;
    context.tell_replayed(issued.replayed);
    print(context, &issued.credential.unwrap_or_default(), &Zeroizing::new(issued.key), issued.replayed)
}

/// Shows a key, this once; of one that was shown before, what it stands for.
pub(super) fn print(context: &Context, c: &pb::Credential, key: &Zeroizing<String>, replayed: bool) -> Outcome {
    if replayed && !context.json() {
        return output::one(context, &KeyView::from(c.clone()));
    }
    // Large enough that it never grows, which would leave a copy behind.
    let mut text = Zeroizing::new(Vec::with_capacity(64 * 1024));
    if context.json() {
        serde_json::to_writer(&mut *text, &IssuedView::new(c, key, replayed)).map_err(anyhow::Error::from)?;
    } else {
        text.extend_from_slice(key.as_bytes());
        let end = c.expires_at.as_ref().map(parse::timestamp_text);
        let expires = end.map_or_else(|| "until it is revoked".to_owned(), |end| format!("until {end}"));
        context.tell(&format!(
            "credential {} of tenant {}: App {}, User {}, valid {expires}\nThe key is shown this once:",
            c.credential_id, c.tenant, c.app_id, c.user_id
        ));
    }
    text.push(b'\n');
    context.write(&text)
}

//! `latchkey issuer …`

mod args;

use clap::Subcommand;

use crate::app;
use crate::app::init::local_admin;
use crate::cli::Outcome;
use crate::cli::context::Context;
use crate::cli::mask::Mask;
use crate::cli::output::{self, Listing, PAGE};
use crate::domain::IssuerId;
use crate::pb::admin::v1 as pb;
use crate::store::sqlite::ProcessKind;
use crate::transport::admin::issuers;
use crate::transport::admin::views::{IssuerCheckView, IssuerView};

use args::{Identity, Keys, Waivers};

#[derive(clap::Args)]
pub(super) struct Which {
    /// Its id, as in `issuer list`
    issuer_id: IssuerId,
    /// The tenant
    #[arg(long)]
    tenant: String,
}

#[derive(clap::Args)]
pub(super) struct AddArgs {
    /// The tenant
    #[arg(long)]
    tenant: String,
    /// The issuer, exactly as in `iss` of its tokens
    #[arg(long)]
    iss: String,
    /// An audience that its tokens are taken for, exactly as in `aud`; repeat for more, or a list with commas
    #[arg(long = "aud", value_name = "AUD", value_delimiter = ',', required = true)]
    audiences: Vec<String>,
    /// An algorithm that it signs with, such as ES256; repeat for more, or a list with commas
    #[arg(long = "alg", value_name = "ALG", value_delimiter = ',', required = true)]
    algorithms: Vec<String>,
    #[command(flatten)]
    keys: Keys,
    /// A file with a secret that the issuer signs with (HS256 and its like), - for stdin; a line end after it does not count.
    /// Offline only; kept beside the store, in no backup
    #[arg(long, value_name = "FILE", group = "source", conflicts_with_all = ["check", "kid"])]
    secret_file: Option<std::path::PathBuf>,
    #[command(flatten)]
    identity: Identity,
    /// A value of the header `typ` that is taken; `none` for tokens without one; repeat for more, or a list with commas
    /// [default: at+jwt, jwt, none]
    #[arg(long = "typ", value_name = "TYPE", value_delimiter = ',')]
    types: Vec<String>,
    /// Seconds that the clocks may differ, at most 60
    #[arg(long, value_name = "SECONDS", default_value_t = 30)]
    leeway: u32,
    /// The oldest that a token may be by its `iat`; without it, any age until its end
    #[arg(long, value_name = "SECONDS")]
    max_age: Option<u32>,
    /// A claim that must be there beside iss, aud and exp; repeat for more
    #[arg(long = "require", value_name = "CLAIM")]
    required: Vec<String>,
    /// The claim that scopes are taken from
    #[arg(long, value_name = "CLAIM", default_value = "scope")]
    scope_claim: String,
    /// Refuse keys below 128 bits of security: RSA below 3072 bits
    #[arg(long)]
    strict: bool,
    #[command(flatten)]
    waivers: Waivers,
    /// Refuse it where its keys cannot be fetched now. Without this it is added and that is said, for its provider may be down
    #[arg(long)]
    check: bool,
}

#[derive(clap::Args)]
pub(super) struct SetArgs {
    #[command(flatten)]
    which: Which,
    /// The audiences from now on; replaces all
    #[arg(long = "aud", value_name = "AUD", value_delimiter = ',')]
    audiences: Option<Vec<String>>,
    /// The algorithms from now on; replaces all
    #[arg(long = "alg", value_name = "ALG", value_delimiter = ',')]
    algorithms: Option<Vec<String>>,
    #[command(flatten)]
    keys: Keys,
    #[command(flatten)]
    identity: Identity,
    /// The values of `typ` from now on; replaces all
    #[arg(long = "typ", value_name = "TYPE", value_delimiter = ',')]
    types: Option<Vec<String>>,
    /// Seconds that the clocks may differ, at most 60
    #[arg(long, value_name = "SECONDS")]
    leeway: Option<u32>,
    /// The oldest that a token may be by its `iat`; 0 is any age
    #[arg(long, value_name = "SECONDS")]
    max_age: Option<u32>,
    /// The claims that must be there; replaces all
    #[arg(long = "require", value_name = "CLAIM")]
    required: Option<Vec<String>>,
    /// No claim must be there beside iss, aud and exp
    #[arg(long, conflicts_with = "required")]
    no_require: bool,
    /// The claim that scopes are taken from
    #[arg(long, value_name = "CLAIM")]
    scope_claim: Option<String>,
    /// Whether keys below 128 bits of security are refused
    #[arg(long)]
    strict: Option<bool>,
    #[command(flatten)]
    waivers: Waivers,
    /// No rule of the linter is waived any more
    #[arg(long, conflicts_with = "rules")]
    no_waivers: bool,
    /// Whether its tokens are taken
    #[arg(long)]
    active: Option<bool>,
    /// Refuse the change where its keys cannot be fetched now
    #[arg(long)]
    check: bool,
    /// Only if it is still as it was read: the etag of that
    #[arg(long, default_value = "", hide_default_value = true)]
    etag: String,
}

#[derive(Subcommand)]
pub(super) enum IssuerCommand {
    /// Trust an issuer of JWTs: take its tokens for a tenant from now on, after the linter has looked at what is taken
    Add(Box<AddArgs>),
    /// List a tenant's issuers
    List {
        /// The tenant
        #[arg(long)]
        tenant: String,
    },
    /// Show one, with what the linter says of it
    Show(Which),
    /// Change one; effective for the next request
    Set(Box<SetArgs>),
    /// Remove one; its tokens are refused from then on
    Remove(Which),
    /// Fetch its keys, lint it with them and show what each is worth; exits with 1 where its tokens are or would be refused
    Check(Which),
}

/// Says what the linter says, and shows the rest.
fn show(context: &Context, issuer: pb::Issuer) -> Outcome {
    tell_findings(context, &issuer);
    output::one(context, &brief(context, &IssuerView::from(issuer), "")?)
}

fn tell_findings(context: &Context, issuer: &pb::Issuer) {
    for pb::Finding { rule, clause, severity, text } in &issuer.findings {
        context.tell(&output::plain(&format!("{severity}: {rule}: {text} ({clause})")));
    }
}

/// For people without what is told beside it.
fn brief(context: &Context, view: &impl serde::Serialize, told: &str) -> Result<serde_json::Value, anyhow::Error> {
    let mut value = serde_json::to_value(view)?;
    if let (false, Some(fields)) = (context.json(), value.as_object_mut()) {
        fields.remove("findings");
        fields.remove(told);
        fields.retain(|_, value| !value.is_null());
    }
    Ok(value)
}

fn add(context: &Context, args: AddArgs) -> Outcome {
    let (discover, jwks_url, jwks) = args.keys.read()?;
    let issuer = pb::Issuer {
        tenant: args.tenant,
        iss: args.iss,
        audiences: args.audiences,
        algorithms: args.algorithms,
        types: args.types,
        leeway_seconds: Some(args.leeway),
        max_age_seconds: args.max_age.unwrap_or(0),
        required_claims: args.required,
        jwks_url: jwks_url.unwrap_or_default(),
        jwks: jwks.unwrap_or_default(),
        identity: args.identity.message()?,
        scope_claim: args.scope_claim,
        strict: args.strict,
        waivers: args.waivers.messages()?.unwrap_or_default(),
        active: true,
        ..pb::Issuer::default()
    };
    if let Some(file) = &args.secret_file {
        context.local("--secret-file")?;
        let secret = args::secret(file)?;
        let tenant = issuer.tenant.clone();
        let new = issuers::with_secret(issuer, secret)?;
        let opened = app::open(&context.settings()?.app, ProcessKind::Command)?;
        let added = local_admin(&opened).add_issuer(&tenant, &new)?;
        context.tell("The secret lies beside the store, and is in no backup of it: keep it apart.");
        return show(context, issuers::message(&tenant, added));
    }
    let mut client = context.client()?;
    let (require_keys, request_id) = (args.check, client.request_id());
    let request = pb::CreateIssuerRequest { issuer: Some(issuer), discover, require_keys, request_id };
    let made = client.ask(async |rpc| rpc.create_issuer(request).await)?;
    if made.replayed {
        context.tell("this request was carried out before; nothing was made now");
    }
    show(context, made.issuer.unwrap_or_default())
}

fn set(context: &Context, args: SetArgs) -> Outcome {
    let (discover, jwks_url, jwks) = args.keys.read()?;
    let identity = if args.identity.is_given() { Some(args.identity.message()?.unwrap_or_default()) } else { None };
    let waivers = if args.no_waivers { Some(Vec::new()) } else { args.waivers.messages()? };
    let required = if args.no_require { Some(Vec::new()) } else { args.required };
    let mut mask = Mask::default();
    let issuer = pb::Issuer {
        tenant: args.which.tenant,
        issuer_id: args.which.issuer_id.to_string(),
        audiences: mask.take("audiences", args.audiences),
        algorithms: mask.take("algorithms", args.algorithms),
        types: mask.take("types", args.types),
        leeway_seconds: mask.take("leeway_seconds", args.leeway.map(Some)),
        max_age_seconds: mask.take("max_age_seconds", args.max_age),
        required_claims: mask.take("required_claims", required),
        jwks_url: mask.take("jwks_url", jwks_url),
        jwks: mask.take("jwks", jwks),
        identity: mask.take("identity", identity.map(Some)),
        scope_claim: mask.take("scope_claim", args.scope_claim),
        strict: mask.take("strict", args.strict),
        waivers: mask.take("waivers", waivers),
        active: mask.take("active", args.active),
        etag: args.etag,
        ..pb::Issuer::default()
    };
    // The discovery document is no field of it.
    let update_mask = if discover && mask.is_empty() { None } else { mask.done()? };
    let mut client = context.client()?;
    let (issuer, require_keys, request_id) = (Some(issuer), args.check, client.request_id());
    let request = pb::UpdateIssuerRequest { issuer, update_mask, discover, require_keys, request_id };
    let issuer = client.ask(async |rpc| rpc.update_issuer(request).await)?;
    show(context, issuer)
}

fn check(context: &Context, Which { issuer_id, tenant }: Which) -> Outcome {
    let request = pb::CheckIssuerRequest { tenant, issuer_id: issuer_id.to_string() };
    let checked = context.client()?.ask(async |rpc| rpc.check_issuer(request).await)?;
    let passed = checked.passed;
    if context.json() {
        return output::one(context, &IssuerCheckView::from(checked)).map(|_| passed);
    }
    let issuer = checked.issuer.clone().unwrap_or_default();
    let mut listing = Listing::new(context, &["kid", "kind", "algorithm", "thumbprint", "usable", "note"]);
    let keys = checked.keys.iter().cloned().map(crate::transport::admin::views::IssuerKeyView::from);
    keys.for_each(|key| listing.add(&key));
    listing.finish("keys")?;
    if !checked.keys_error.is_empty() {
        context.tell(&format!("no keys: {}", output::plain(&checked.keys_error)));
    }
    tell_findings(context, &issuer);
    let worth = if passed { "its tokens can be taken" } else { "its tokens are refused" };
    context.line(&format!("{}: {}: {worth}", output::plain(&issuer.iss), issuer.status))?;
    Ok(passed)
}

pub(super) fn run(context: &Context, command: IssuerCommand) -> Outcome {
    match command {
        IssuerCommand::Add(args) => add(context, *args),
        IssuerCommand::Set(args) => set(context, *args),
        IssuerCommand::Check(which) => check(context, which),
        IssuerCommand::List { tenant } => {
            let columns = &["issuer_id", "iss", "audiences", "algorithms", "key_source", "status", "created_at"];
            let mut listing = Listing::new(context, columns);
            let mut over = Vec::new();
            context.client()?.pages(
                async |rpc, page_token| {
                    let request = pb::ListIssuersRequest { tenant: tenant.clone(), page_size: PAGE, page_token };
                    rpc.list_issuers(request).await
                },
                |page| (page.issuers, page.next_page_token),
                |issuer| {
                    let refused =
                        issuer.findings.iter().filter(|f| f.severity == "refused" || f.severity == "waivable");
                    over.extend(
                        refused.map(|f| format!("{}: {}: {} ({})", issuer.issuer_id, f.rule, f.text, f.clause)),
                    );
                    listing.add(&IssuerView::from(issuer));
                },
            )?;
            let done = listing.finish("issuers");
            for text in over {
                context.tell(&output::plain(&text));
            }
            done
        }
        IssuerCommand::Show(Which { issuer_id, tenant }) => {
            let request = pb::GetIssuerRequest { tenant, issuer_id: issuer_id.to_string() };
            let issuer = context.client()?.ask(async |rpc| rpc.get_issuer(request).await)?;
            show(context, issuer)
        }
        IssuerCommand::Remove(Which { issuer_id, tenant }) => {
            let mut client = context.client()?;
            let request_id = client.request_id();
            let request =
                pb::DeleteIssuerRequest { tenant: tenant.clone(), issuer_id: issuer_id.to_string(), request_id };
            client.ask(async |rpc| rpc.delete_issuer(request).await)?;
            context.tell(&format!("issuer {issuer_id} was removed from tenant {tenant}"));
            Ok(true)
        }
    }
}

//! `latchkey token …`

use clap::Subcommand;
use clap::builder::PossibleValuesParser;
use zeroize::Zeroizing;

use crate::cli::Outcome;
use crate::cli::authenticate;
use crate::cli::client::Client;
use crate::cli::context::Context;
use crate::cli::output::{self, Listing, PAGE};
use crate::cli::parse;
use crate::domain::{CredentialId, LlmId, SigningKeyRow, TokenId};
use crate::pb::admin::v1 as pb;
use crate::transport::admin::token_views::{InspectionView, MintedView, SigningKeyView, TokenView};

#[derive(clap::Args)]
pub(super) struct IssueArgs {
    /// The credential that it is of, by its id
    #[arg(long, value_name = "ID")]
    credential: CredentialId,
    /// The credential's tenant; whichever has it without
    #[arg(long, default_value = "", hide_default_value = true)]
    tenant: String,
    /// A scope that it is for, one of the credential's; repeat for more, all of them without
    #[arg(long = "scope", value_name = "SCOPE")]
    scopes: Vec<String>,
    /// It is for no scope at all
    #[arg(long, conflicts_with = "scopes")]
    no_scopes: bool,
    /// An LLM that it is for, one of the App's, by the host's id; repeat for more, all of them without
    #[arg(long = "llm", value_name = "LLM_ID")]
    llms: Vec<LlmId>,
    /// How long it lives, such as 15m; never beyond its credential
    #[arg(long, value_name = "TIME", value_parser = parse::seconds)]
    expires_in: Option<u64>,
}

#[derive(Subcommand)]
pub(super) enum TokenCommand {
    /// Issue a short-lived token of a credential; it is printed once, on stdout
    Issue(IssueArgs),
    /// List a credential's tokens, oldest first
    List {
        /// The credential, by its id
        #[arg(long, value_name = "ID")]
        credential: CredentialId,
        /// Its tenant; whichever has it without
        #[arg(long, default_value = "", hide_default_value = true)]
        tenant: String,
    },
    /// Take one back, at once and for good, or all of a credential; without an id, the token is read from stdin
    Revoke {
        /// Which, by its id as in `token list`, or by its `jti`
        #[arg(long, value_name = "ID", conflicts_with = "credential")]
        id: Option<TokenId>,
        /// All of this credential, which stays good
        #[arg(long, value_name = "ID")]
        credential: Option<CredentialId>,
        /// The tenant; whichever has it without
        #[arg(long, default_value = "", hide_default_value = true)]
        tenant: String,
    },
    /// Judge a token on stdin, check by check; exits with 1 if one fails
    Inspect,
    /// The keys that sign tokens or did
    Keys,
    /// Make another key that signs tokens; what the one before it signed stays good until it has ended
    RotateKey {
        /// What it signs with
        #[arg(long, value_name = "ALG", default_value = "EdDSA", value_parser = algorithms())]
        alg: String,
        /// A key leaked: what those before it signed is refused from now on
        #[arg(long)]
        now: bool,
    },
}

fn algorithms() -> PossibleValuesParser {
    PossibleValuesParser::new(SigningKeyRow::ALGORITHMS.iter().map(|algorithm| algorithm.as_str()))
}

pub(super) fn run(context: &Context, command: TokenCommand) -> Outcome {
    let mut client = context.client()?;
    match command {
        TokenCommand::Issue(args) => issue(context, &mut client, args),
        TokenCommand::List { credential, tenant } => {
            let columns = &["token_id", "status", "issued_at", "expires_at", "revoked_at"];
            let mut listing = Listing::new(context, columns);
            let credential_id = credential.to_string();
            client.pages(
                async |rpc, page_token| {
                    let (tenant, credential_id, page_size) = (tenant.clone(), credential_id.clone(), PAGE);
                    rpc.list_tokens(pb::ListTokensRequest { tenant, credential_id, page_size, page_token }).await
                },
                |page| (page.tokens, page.next_page_token),
                |token| listing.add(&TokenView::from(token)),
            )?;
            listing.finish("tokens")
        }
        TokenCommand::Revoke { credential: Some(credential), tenant, .. } => {
            let (credential_id, request_id) = (credential.to_string(), client.request_id());
            let request = pb::RevokeCredentialTokensRequest { tenant, credential_id, request_id };
            client.ask(async |rpc| rpc.revoke_credential_tokens(request).await)?;
            context
                .tell(&format!("all tokens of credential {credential} are refused from now on; the key itself is not"));
            Ok(true)
        }
        TokenCommand::Revoke { id, tenant, .. } => {
            use pb::revoke_token_request::Which;
            let which = Some(match id {
                Some(id) => Which::TokenId(id.to_string()),
                None => Which::Token(authenticate::text(&authenticate::read(context)?)),
            });
            let request = pb::RevokeTokenRequest { tenant, which, request_id: client.request_id() };
            let revoked = client.ask(async |rpc| rpc.revoke_token(request).await)?;
            if revoked.already {
                context.tell("it was revoked before; nothing was changed");
            }
            output::one(context, &TokenView::from(revoked.token.unwrap_or_default()))
        }
        TokenCommand::Inspect => inspect(context, &mut client),
        TokenCommand::Keys => {
            let keys = client.ask(async |rpc| rpc.list_signing_keys(pb::ListSigningKeysRequest {}).await)?.keys;
            let columns = &["kid", "algorithm", "status", "created_at", "retires_at"];
            let mut listing = Listing::new(context, columns);
            for key in keys {
                listing.add(&SigningKeyView::from(key));
            }
            listing.finish("keys")
        }
        TokenCommand::RotateKey { alg: algorithm, now: at_once } => {
            let request = pb::RotateSigningKeyRequest { algorithm, at_once, request_id: client.request_id() };
            let rotated = client.ask(async |rpc| rpc.rotate_signing_key(request).await)?;
            for old in rotated.retired {
                let until = old.retires_at.as_ref().map(parse::timestamp_text).unwrap_or_default();
                let end = if at_once { "refused from now on".to_owned() } else { format!("believed until {until}") };
                context.tell(&format!("what key {} signed is {end}", old.kid));
            }
            output::one(context, &SigningKeyView::from(rotated.key.unwrap_or_default()))
        }
    }
}

fn issue(context: &Context, client: &mut Client, args: IssueArgs) -> Outcome {
    let request = pb::IssueTokenRequest {
        tenant: args.tenant,
        credential_id: args.credential.to_string(),
        scopes: args.scopes,
        no_scopes: args.no_scopes,
        llm_ids: args.llms.iter().map(|llm| llm.get()).collect(),
        expires_in_seconds: args.expires_in.unwrap_or(0),
        request_id: client.request_id(),
    };
    let minted = client.ask(async |rpc| rpc.issue_token(request).await)?;
    context.tell_replayed(minted.replayed);
    let (token, issued) = (Zeroizing::new(minted.token), minted.issued.unwrap_or_default());
    if minted.replayed && !context.json() {
        return output::one(context, &TokenView::from(issued));
    }
    // Large enough that it never grows, which would leave a copy behind.
    let mut text = Zeroizing::new(Vec::with_capacity(64 * 1024));
    if context.json() {
        let view = MintedView::new(&issued, &token, &minted.scopes, &minted.llm_ids, minted.replayed);
        serde_json::to_writer(&mut *text, &view).map_err(anyhow::Error::from)?;
    } else {
        text.extend_from_slice(token.as_bytes());
        let end = issued.expires_at.as_ref().map(parse::timestamp_text).unwrap_or_default();
        let scope = if minted.scopes.is_empty() { "none".to_owned() } else { minted.scopes.join(" ") };
        context.tell(&format!(
            "token {} of credential {}, valid until {end}, scopes: {scope}\nThe token is shown this once:",
            issued.token_id, issued.credential_id
        ));
    }
    text.push(b'\n');
    context.write(&text)
}

fn inspect(context: &Context, client: &mut Client) -> Outcome {
    let request = pb::InspectTokenRequest { token: authenticate::text(&authenticate::read(context)?) };
    let view = InspectionView::from(client.ask(async |rpc| rpc.inspect_token(request).await)?);
    if context.json() {
        context.line(&serde_json::to_string(&view).map_err(anyhow::Error::from)?)?;
        return Ok(view.valid);
    }
    let mut listing = Listing::new(context, &["check", "outcome", "reason"]);
    view.checks.iter().for_each(|check| listing.add(check));
    listing.finish("checks")?;
    if let Some(claims) = &view.claims {
        let warning = if view.valid { "" } else { " (anybody may have written this)" };
        context.line(&format!("claims{warning}: {}", output::plain(&claims.to_string())))?;
    }
    context.tell(&match (&view.failed, &view.text) {
        (Some(check), Some(text)) => format!("refused at {check}: {text}"),
        _ => "every check holds; what depends on a request is not judged".to_owned(),
    });
    Ok(view.valid)
}

//! `latchkey key set` and `latchkey key rotate`.

use ipnet::IpNet;

use zeroize::Zeroizing;

use crate::cli::Outcome;
use crate::cli::client::Client;
use crate::cli::context::Context;
use crate::cli::mask::Mask;
use crate::cli::parse::{self, timestamp, timestamp_text};
use crate::cli::{keys, output};
use crate::domain::CredentialId;
use crate::pb::admin::v1 as pb;
use crate::transport::admin::views::KeyView;
use crate::verify::argon::Cost;

#[derive(clap::Args)]
pub(super) struct RotateArgs {
    /// Its id
    credential_id: CredentialId,
    /// How long the old key stays good beside the new one, such as 24h; 0 ends it at once. Never beyond its own expiry
    #[arg(long, value_name = "TIME", value_parser = parse::grace, default_value = "24h")]
    grace: u64,
    /// How long the new key is valid, such as 90d; without it, as long as the old one was made for
    #[arg(long, value_name = "TIME", value_parser = parse::seconds)]
    expires_in: Option<u64>,
    /// The first moment at which the new key is no longer valid, as in RFC 3339
    #[arg(long, value_name = "MOMENT", value_parser = parse::moment_ms, conflicts_with = "expires_in")]
    expires_at: Option<i64>,
    /// Cost of the new key's stored hash: memory in KiB, passes, lanes
    #[arg(long, value_name = "m=KIB,t=N,p=N", value_parser = parse::cost, default_value = "m=19456,t=2,p=1")]
    argon2: Cost,
    /// Only if the old key is still as it was read: the etag of that
    #[arg(long, default_value = "", hide_default_value = true)]
    etag: String,
}

#[derive(clap::Args)]
#[expect(clippy::struct_excessive_bools, reason = "each is an option of the command line")]
pub(super) struct SetArgs {
    /// Its id
    credential_id: CredentialId,
    /// A name for people
    #[arg(long)]
    label: Option<String>,
    /// The scopes that the gateway is told; repeat for more, those before are replaced
    #[arg(long = "scope", value_name = "SCOPE")]
    scopes: Vec<String>,
    /// No scopes
    #[arg(long, conflicts_with = "scopes")]
    no_scopes: bool,
    /// The ranges of addresses that it may be used from; repeat for more, those before are replaced
    #[arg(long = "cidr", value_name = "CIDR")]
    cidrs: Vec<IpNet>,
    /// Any address
    #[arg(long, conflicts_with = "cidrs")]
    any_address: bool,
    /// The first moment at which it is valid, as in RFC 3339
    #[arg(long, value_name = "MOMENT", value_parser = parse::moment_ms)]
    not_before: Option<i64>,
    /// Valid from the beginning
    #[arg(long, conflicts_with = "not_before")]
    no_not_before: bool,
    /// How long it is valid from now, such as 90d
    #[arg(long, value_name = "TIME", value_parser = parse::seconds)]
    expires_in: Option<u64>,
    /// The first moment at which it is no longer valid, as in RFC 3339
    #[arg(long, value_name = "MOMENT", value_parser = parse::moment_ms, conflicts_with = "expires_in")]
    expires_at: Option<i64>,
    /// Valid until revoked
    #[arg(long, conflicts_with_all = ["expires_in", "expires_at"])]
    no_expiry: bool,
    /// Only if it is still as it was read: the etag of that
    #[arg(long, default_value = "", hide_default_value = true)]
    etag: String,
}

pub(super) fn rotate(context: &Context, client: &mut Client, args: &RotateArgs) -> Outcome {
    let request = pb::RotateCredentialRequest {
        credential_id: args.credential_id.to_string(),
        grace_seconds: args.grace,
        expires_at: args.expires_at.map(timestamp),
        expires_in_seconds: args.expires_in.unwrap_or(0),
        argon2: Some(keys::wire_cost(args.argon2)),
        etag: args.etag.clone(),
        request_id: client.request_id(),
    };
    let rotated = client.ask(async |rpc| rpc.rotate_credential(request).await)?;
    context.tell_replayed(rotated.replayed);
    let old = rotated.replaced.unwrap_or_default();
    // Of one without grace the end is the moment of the rotation.
    match old.grace_until.filter(|_| old.status == "active") {
        Some(end) => context.tell(&format!("the old key {} is good until {}", old.credential_id, timestamp_text(&end))),
        None => context.tell(&format!("the old key {} is refused from now on", old.credential_id)),
    }
    keys::print(context, &rotated.credential.unwrap_or_default(), &Zeroizing::new(rotated.key), rotated.replayed)
}

pub(super) fn set(context: &Context, client: &mut Client, args: SetArgs) -> Outcome {
    let mut mask = Mask::default();
    let given = |values: Vec<String>, none: bool| (none || !values.is_empty()).then_some(values);
    let cidrs = args.cidrs.iter().map(ToString::to_string).collect();
    let credential = pb::Credential {
        credential_id: args.credential_id.to_string(),
        label: mask.take("label", args.label),
        scopes: mask.take("scopes", given(args.scopes, args.no_scopes)),
        cidrs: mask.take("cidrs", given(cidrs, args.any_address)),
        not_before: args.not_before.map(timestamp),
        expires_at: args.expires_at.map(timestamp),
        etag: args.etag,
        ..pb::Credential::default()
    };
    if args.not_before.is_some() || args.no_not_before {
        mask.name("not_before");
    }
    if args.expires_at.is_some() || args.expires_in.is_some() || args.no_expiry {
        mask.name("expires_at");
    }
    let request = pb::UpdateCredentialRequest {
        credential: Some(credential),
        update_mask: mask.done()?,
        expires_in_seconds: args.expires_in.unwrap_or(0),
        request_id: client.request_id(),
    };
    output::one(context, &KeyView::from(client.ask(async |rpc| rpc.update_credential(request).await)?))
}

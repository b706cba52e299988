//! `latchkey key set` and `latchkey key rotate`.

use ipnet::IpNet;

use crate::admin::{Admin, KeyChanges, RotateRequest};
use crate::cli::Outcome;
use crate::cli::context::{Context, Failure};
use crate::cli::parse::{self, moment_text};
use crate::cli::views::KeyView;
use crate::cli::{keys, output};
use crate::domain::CredentialId;
use crate::verify::argon::Cost;

#[derive(clap::Args)]
pub(super) struct RotateArgs {
    /// Its id
    credential_id: CredentialId,
    /// How long the old key stays good beside the new one, such as 24h; 0 ends it at once. Never beyond its own expiry
    #[arg(long, value_name = "TIME", value_parser = parse::grace_ms, default_value = "24h")]
    grace: i64,
    /// How long the new key is valid, such as 90d; without it, as long as the old one was made for
    #[arg(long, value_name = "TIME", value_parser = parse::duration_ms)]
    expires_in: Option<i64>,
    /// The first moment at which the new key is no longer valid, as in RFC 3339
    #[arg(long, value_name = "MOMENT", value_parser = parse::moment_ms, conflicts_with = "expires_in")]
    expires_at: Option<i64>,
    /// Cost of the new key's stored hash: memory in KiB, passes, lanes
    #[arg(long, value_name = "m=KIB,t=N,p=N", value_parser = parse::cost, default_value = "m=19456,t=2,p=1")]
    argon2: Cost,
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
    #[arg(long, value_name = "TIME", value_parser = parse::duration_ms)]
    expires_in: Option<i64>,
    /// The first moment at which it is no longer valid, as in RFC 3339
    #[arg(long, value_name = "MOMENT", value_parser = parse::moment_ms, conflicts_with = "expires_in")]
    expires_at: Option<i64>,
    /// Valid until revoked
    #[arg(long, conflicts_with_all = ["expires_in", "expires_at"])]
    no_expiry: bool,
}

/// The expiry that was asked for, as a moment or as a length of time from now.
pub(super) fn end_ms(admin: &Admin, expires_in: Option<i64>, expires_at: Option<i64>) -> Result<Option<i64>, Failure> {
    let Some(length) = expires_in else { return Ok(expires_at) };
    let end = admin.now_ms().checked_add(length);
    end.map(Some).ok_or_else(|| Failure::usage("--expires-in lies too far in the future"))
}

pub(super) fn rotate(context: &Context, admin: &Admin, args: &RotateArgs) -> Outcome {
    let request = RotateRequest {
        grace_ms: args.grace,
        expires_at_ms: end_ms(admin, args.expires_in, args.expires_at)?,
        cost: args.argon2,
    };
    let rotated = admin.rotate_key(args.credential_id, request)?;
    let tenant = admin.tenant_of(&rotated.old)?;
    match rotated.old.end_ms().filter(|end| *end > admin.now_ms()) {
        Some(end) => context.tell(&format!("the old key {} is good until {}", rotated.old.id, moment_text(end))),
        None => context.tell(&format!("the old key {} is refused from now on", rotated.old.id)),
    }
    keys::print(context, &tenant, &rotated.new)
}

pub(super) fn set(context: &Context, admin: &Admin, args: SetArgs) -> Outcome {
    let given = |values: Vec<String>, none: bool| (none || !values.is_empty()).then_some(values);
    let end = end_ms(admin, args.expires_in, args.expires_at)?;
    let changes = KeyChanges {
        label: args.label,
        scopes: given(args.scopes, args.no_scopes),
        cidrs: (args.any_address || !args.cidrs.is_empty()).then_some(args.cidrs),
        not_before_ms: (args.no_not_before || args.not_before.is_some()).then_some(args.not_before),
        expires_at_ms: (args.no_expiry || end.is_some()).then_some(end),
    };
    let credential = admin.change_key(args.credential_id, &changes)?;
    let tenant = admin.tenant_of(&credential)?;
    output::one(context, &KeyView::new(&tenant, credential, admin.now_ms()))
}

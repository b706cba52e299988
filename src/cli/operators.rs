//! `latchkey operator …`

use clap::Subcommand;
use serde::Serialize;
use zeroize::Zeroizing;

use crate::admin::IssuedToken;
use crate::cli::Outcome;
use crate::cli::context::Context;
use crate::cli::output::{self, Listing};
use crate::cli::parse::moment_text;
use crate::domain::{Operator, Role};

#[derive(Clone, Copy, clap::ValueEnum)]
pub(super) enum RoleArg {
    /// Everything
    Owner,
    /// Issue, rotate, revoke and read
    Issuer,
    /// Read, and verify the audit trail
    Auditor,
}

impl From<RoleArg> for Role {
    fn from(role: RoleArg) -> Self {
        match role {
            RoleArg::Owner => Self::Owner,
            RoleArg::Issuer => Self::Issuer,
            RoleArg::Auditor => Self::Auditor,
        }
    }
}

#[derive(Subcommand)]
pub(super) enum OperatorCommand {
    /// Add one; the token is printed once, on stdout
    Add {
        /// A name, for people and audit
        name: String,
        /// What it may do
        #[arg(long, value_enum, default_value = "auditor")]
        role: RoleArg,
        /// The only tenants that it may do it for; all without
        #[arg(long)]
        tenant: Vec<String>,
    },
    /// List them, revoked ones included
    List,
    /// Take a token back, at once and for good
    Revoke {
        /// Its name or id
        operator: String,
    },
}

#[derive(Serialize)]
struct OperatorView {
    operator_id: String,
    name: String,
    role: &'static str,
    tenants: Vec<String>,
    status: &'static str,
    created_at: String,
    revoked_at: Option<String>,
}

impl OperatorView {
    /// With the slugs of its tenants; by id where one is gone.
    fn new(operator: Operator, slug: impl Fn(&crate::domain::TenantId) -> String) -> Self {
        Self {
            operator_id: operator.id.to_string(),
            role: operator.role.as_str(),
            tenants: operator.tenants.iter().map(slug).collect(),
            status: if operator.revoked_at_ms.is_some() { "revoked" } else { "active" },
            created_at: moment_text(operator.created_at_ms),
            revoked_at: operator.revoked_at_ms.map(moment_text),
            name: operator.name,
        }
    }
}

pub(super) fn run(context: &Context, command: OperatorCommand) -> Outcome {
    let admin = context.admin()?;
    let mut slugs = std::collections::HashMap::new();
    admin.each_tenant(|tenant| drop(slugs.insert(tenant.id, tenant.slug)))?;
    let slug = |id: &crate::domain::TenantId| slugs.get(id).cloned().unwrap_or_else(|| id.to_string());
    match command {
        OperatorCommand::Add { name, role, tenant } => {
            let issued = admin.add_operator(&name, role.into(), &tenant)?;
            print(context, &issued, tenant)
        }
        OperatorCommand::List => {
            let columns = &["operator_id", "name", "role", "tenants", "status", "created_at"];
            let mut listing = Listing::new(context, columns);
            for operator in admin.operators()? {
                listing.add(&OperatorView::new(operator, slug));
            }
            listing.finish("operators")
        }
        OperatorCommand::Revoke { operator } => {
            let (operator, already) = admin.revoke_operator(&operator)?;
            if already {
                context.tell("it was revoked before; nothing was changed");
            }
            output::one(context, &OperatorView::new(operator, slug))
        }
    }
}

/// What `operator add` answers in JSON.
#[derive(Serialize)]
struct IssuedView<'a> {
    operator_id: String,
    token: &'a str,
    name: &'a str,
    role: &'static str,
    tenants: Vec<String>,
}

#[expect(clippy::disallowed_methods, reason = "the operator's token is shown, this once")]
fn print(context: &Context, issued: &IssuedToken, tenants: Vec<String>) -> Outcome {
    let token = std::str::from_utf8(issued.token.expose()).map_err(anyhow::Error::from)?;
    // Large enough that it never grows, which would leave a copy behind.
    let mut text = Zeroizing::new(Vec::with_capacity(16 * 1024));
    if context.json() {
        let view = IssuedView {
            operator_id: issued.operator.id.to_string(),
            token,
            name: &issued.operator.name,
            role: issued.operator.role.as_str(),
            tenants,
        };
        serde_json::to_writer(&mut *text, &view).map_err(anyhow::Error::from)?;
    } else {
        text.extend_from_slice(token.as_bytes());
        context.tell(&format!("Operator {}; the token is shown this once:", issued.operator.id));
    }
    text.push(b'\n');
    context.write(&text)
}

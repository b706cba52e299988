//! `latchkey tenant …`

use clap::Subcommand;

use crate::admin::{NewTenant, TenantChanges};
use crate::cli::Outcome;
use crate::cli::context::Context;
use crate::cli::output::{self, Listing};
use crate::cli::views::TenantView;
use crate::domain::key_format::DEFAULT_PREFIX;
use crate::domain::{LlmGrants, TenantStatus};

/// What holds for an App without a grant for the requested LLM.
#[derive(Clone, Copy, clap::ValueEnum)]
pub(super) enum Grants {
    /// No grant, no access
    Required,
    /// Not looked at, where this machine's `auth.llm_grants` is `tenant`
    Unchecked,
}

impl From<Grants> for LlmGrants {
    fn from(grants: Grants) -> Self {
        match grants {
            Grants::Required => Self::Required,
            Grants::Unchecked => Self::Unchecked,
        }
    }
}

#[derive(Subcommand)]
pub(super) enum TenantCommand {
    /// Make a tenant
    Create {
        /// Its name in commands, claims and logs: a-z, 0-9 and -
        tenant: String,
        /// Its name for people
        #[arg(long, default_value = "")]
        name: String,
        /// The prefix of its keys
        #[arg(long, default_value = DEFAULT_PREFIX)]
        key_prefix: String,
        /// What holds for Apps without a grant
        #[arg(long, value_enum, default_value = "required")]
        llm_grants: Grants,
        /// A gateway namespace it may be used from; repeat for more, none means any
        #[arg(long = "namespace", value_name = "NAME")]
        namespaces: Vec<String>,
    },
    /// List all tenants
    List,
    /// Show one
    Show {
        /// Which
        tenant: String,
    },
    /// Refuse all of a tenant's credentials, at once
    Suspend {
        /// Which
        tenant: String,
    },
    /// End a suspension
    Resume {
        /// Which
        tenant: String,
    },
    /// Change a tenant
    Set {
        /// Which
        tenant: String,
        /// Its name for people
        #[arg(long)]
        name: Option<String>,
        /// The prefix of keys made from now on
        #[arg(long)]
        key_prefix: Option<String>,
        /// What holds for Apps without a grant
        #[arg(long, value_enum)]
        llm_grants: Option<Grants>,
        /// The gateway namespaces it may be used from; replaces all
        #[arg(long = "namespace", value_name = "NAME")]
        namespaces: Option<Vec<String>>,
        /// May be used from any namespace
        #[arg(long, conflicts_with = "namespaces")]
        any_namespace: bool,
    },
}

pub(super) fn run(context: &Context, command: TenantCommand) -> Outcome {
    let admin = context.admin()?;
    let tenant = match command {
        TenantCommand::Create { tenant, name, key_prefix, llm_grants, namespaces } => {
            let new = NewTenant { slug: tenant, name, key_prefix, llm_grants: llm_grants.into(), namespaces };
            admin.create_tenant(new)?
        }
        TenantCommand::List => {
            let mut listing = Listing::new(context, &["tenant", "name", "status", "namespaces", "created_at"]);
            admin.each_tenant(|tenant| listing.add(&TenantView::from(tenant)))?;
            return listing.finish("tenants");
        }
        TenantCommand::Show { tenant } => admin.tenant(&tenant)?,
        TenantCommand::Suspend { tenant } => admin.set_tenant_status(&tenant, TenantStatus::Suspended)?,
        TenantCommand::Resume { tenant } => admin.set_tenant_status(&tenant, TenantStatus::Active)?,
        TenantCommand::Set { tenant, name, key_prefix, llm_grants, namespaces, any_namespace } => {
            let namespaces = if any_namespace { Some(Vec::new()) } else { namespaces };
            let changes = TenantChanges { name, key_prefix, llm_grants: llm_grants.map(Into::into), namespaces };
            admin.set_tenant(&tenant, &changes)?
        }
    };
    output::one(context, &TenantView::from(tenant))
}

//! `latchkey tenant …`

use clap::Subcommand;

use crate::cli::Outcome;
use crate::cli::context::Context;
use crate::cli::mask::Mask;
use crate::cli::output::{self, Listing, PAGE};
use crate::domain::key_format::DEFAULT_PREFIX;
use crate::pb::admin::v1 as pb;
use crate::transport::admin::views::TenantView;

/// What holds for an App without a grant for the requested LLM.
#[derive(Clone, Copy, clap::ValueEnum)]
pub(super) enum Grants {
    /// No grant, no access
    Required,
    /// Not looked at, where this machine's `auth.llm_grants` is `tenant`
    Unchecked,
}

impl From<Grants> for pb::LlmGrants {
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
        /// Only if it is still as it was read: the etag of that
        #[arg(long, default_value = "", hide_default_value = true)]
        etag: String,
    },
}

pub(super) fn run(context: &Context, command: TenantCommand) -> Outcome {
    let mut client = context.client()?;
    let request_id = client.request_id();
    let tenant = match command {
        TenantCommand::Create { tenant, name, key_prefix, llm_grants, namespaces } => {
            let llm_grants = pb::LlmGrants::from(llm_grants).into();
            let new = pb::Tenant { tenant, name, key_prefix, llm_grants, namespaces, ..pb::Tenant::default() };
            let request = pb::CreateTenantRequest { tenant: Some(new), request_id };
            let made = client.ask(async |rpc| rpc.create_tenant(request).await)?;
            context.tell_replayed(made.replayed);
            made.tenant.unwrap_or_default()
        }
        TenantCommand::List => {
            let mut listing = Listing::new(context, &["tenant", "name", "status", "namespaces", "created_at"]);
            client.pages(
                async |rpc, page_token| rpc.list_tenants(pb::ListTenantsRequest { page_size: PAGE, page_token }).await,
                |page| (page.tenants, page.next_page_token),
                |tenant| listing.add(&TenantView::from(tenant)),
            )?;
            return listing.finish("tenants");
        }
        TenantCommand::Show { tenant } => {
            client.ask(async |rpc| rpc.get_tenant(pb::GetTenantRequest { tenant }).await)?
        }
        TenantCommand::Suspend { tenant } => {
            client.ask(async |rpc| rpc.suspend_tenant(pb::SuspendTenantRequest { tenant, request_id }).await)?
        }
        TenantCommand::Resume { tenant } => {
            client.ask(async |rpc| rpc.resume_tenant(pb::ResumeTenantRequest { tenant, request_id }).await)?
        }
        TenantCommand::Set { tenant, name, key_prefix, llm_grants, namespaces, any_namespace, etag } => {
            let mut mask = Mask::default();
            let new = pb::Tenant {
                tenant,
                name: mask.take("name", name),
                key_prefix: mask.take("key_prefix", key_prefix),
                llm_grants: mask.take("llm_grants", llm_grants.map(|grants| pb::LlmGrants::from(grants).into())),
                namespaces: mask.take("namespaces", if any_namespace { Some(Vec::new()) } else { namespaces }),
                etag,
                ..pb::Tenant::default()
            };
            let request = pb::UpdateTenantRequest { tenant: Some(new), update_mask: mask.done()?, request_id };
            client.ask(async |rpc| rpc.update_tenant(request).await)?
        }
    };
    output::one(context, &TenantView::from(tenant))
}

//! `latchkey app …`

use clap::Subcommand;

use crate::cli::Outcome;
use crate::cli::client::Client;
use crate::cli::context::Context;
use crate::cli::mask::Mask;
use crate::cli::output::{self, Listing, PAGE};
use crate::cli::parse;
use crate::domain::{AppId, LlmGrant, UserId};
use crate::pb::admin::v1 as pb;
use crate::transport::admin::views::{AppView, UnclaimedView};

#[derive(clap::Args)]
pub(super) struct Which {
    /// The tenant
    #[arg(long)]
    tenant: String,
    /// The host's id of the App
    #[arg(long)]
    id: AppId,
}

#[derive(Subcommand)]
pub(super) enum AppCommand {
    /// Claim an App of the host for a tenant
    Add {
        #[command(flatten)]
        which: Which,
        /// The host's name for it
        #[arg(long)]
        name: String,
        /// Free text
        #[arg(long, default_value = "")]
        description: String,
        /// Who answers for it
        #[arg(long, default_value = "")]
        owner_email: String,
        /// The host's User who may manage its keys in the portal
        #[arg(long, value_name = "USER")]
        owner: Option<UserId>,
        /// An LLM that it may use, by the host's id; ID=SLUG to bind the slug too. Repeat for more; none means none
        #[arg(long = "llm", value_name = "ID[=SLUG]", value_parser = parse::llm)]
        llms: Vec<LlmGrant>,
        /// Monthly budget in the host's currency; 0 is none
        #[arg(long, default_value_t = 0.0)]
        monthly_budget: f64,
        /// Requests a minute; 0 is no limit
        #[arg(long, default_value_t = 0)]
        rate_limit: i32,
        /// A further field that the host has; repeat for more
        #[arg(long, value_name = "KEY=VALUE", value_parser = parse::pair)]
        metadata: Vec<(String, String)>,
        /// Whether it may be used
        #[arg(long, default_value_t = true, action = clap::ArgAction::Set)]
        active: bool,
    },
    /// List a tenant's Apps, or those of the host that no tenant has
    List {
        /// The tenant
        #[arg(long, required_unless_present = "unclaimed")]
        tenant: Option<String>,
        /// Apps of the host that no tenant has, as Studio's plugin found them
        #[arg(long, conflicts_with = "tenant")]
        unclaimed: bool,
    },
    /// Show one
    Show {
        #[command(flatten)]
        which: Which,
    },
    /// Change one; effective for the next request
    Set {
        #[command(flatten)]
        which: Which,
        /// The host's name for it
        #[arg(long)]
        name: Option<String>,
        /// Free text
        #[arg(long)]
        description: Option<String>,
        /// Who answers for it
        #[arg(long)]
        owner_email: Option<String>,
        /// The host's User who may manage its keys in the portal
        #[arg(long, value_name = "USER")]
        owner: Option<UserId>,
        /// Nobody manages its keys in the portal
        #[arg(long, conflicts_with = "owner")]
        no_owner: bool,
        /// Whether it may be used
        #[arg(long)]
        active: Option<bool>,
        /// The LLMs that it may use from now on; replaces all
        #[arg(long = "llm", value_name = "ID[=SLUG]", value_parser = parse::llm)]
        llms: Option<Vec<LlmGrant>>,
        /// It may use no LLM
        #[arg(long, conflicts_with = "llms")]
        no_llms: bool,
        /// Monthly budget in the host's currency; 0 is none
        #[arg(long)]
        monthly_budget: Option<f64>,
        /// Requests a minute; 0 is no limit
        #[arg(long)]
        rate_limit: Option<i32>,
        /// The further fields; replaces all
        #[arg(long, value_name = "KEY=VALUE", value_parser = parse::pair)]
        metadata: Option<Vec<(String, String)>>,
        /// Only if it is still as it was read: the etag of that
        #[arg(long, default_value = "", hide_default_value = true)]
        etag: String,
    },
    /// Let one go; its keys are refused from then on
    Remove {
        #[command(flatten)]
        which: Which,
    },
}

fn grants(llms: Vec<LlmGrant>) -> Vec<pb::LlmGrant> {
    llms.into_iter().map(|llm| pb::LlmGrant { id: llm.id.get(), slug: llm.slug }).collect()
}

pub(super) fn run(context: &Context, command: AppCommand) -> Outcome {
    let mut client = context.client()?;
    let request_id = client.request_id();
    let app = match command {
        AppCommand::Add {
            which,
            name,
            description,
            owner_email,
            owner,
            llms,
            monthly_budget,
            rate_limit,
            metadata,
            active,
        } => {
            let new = pb::App {
                tenant: which.tenant,
                app_id: which.id.get(),
                name,
                description,
                owner_email,
                owner_user_id: owner.map_or(0, UserId::get),
                active,
                llms: grants(llms),
                monthly_budget,
                rate_limit,
                metadata: metadata.into_iter().collect(),
                ..pb::App::default()
            };
            let request = pb::CreateAppRequest { app: Some(new), request_id };
            let made = client.ask(async |rpc| rpc.create_app(request).await)?;
            context.tell_replayed(made.replayed);
            made.app.unwrap_or_default()
        }
        AppCommand::List { tenant: None, .. } => return unclaimed(context, &mut client),
        AppCommand::List { tenant: Some(tenant), .. } => {
            let mut listing =
                Listing::new(context, &["app_id", "name", "owner_email", "active", "host_active", "llms"]);
            client.pages(
                async |rpc, page_token| {
                    let tenant = tenant.clone();
                    rpc.list_apps(pb::ListAppsRequest { tenant, page_size: PAGE, page_token }).await
                },
                |page| (page.apps, page.next_page_token),
                |app| listing.add(&AppView::from(app)),
            )?;
            return listing.finish("Apps");
        }
        AppCommand::Show { which } => {
            let request = pb::GetAppRequest { tenant: which.tenant, app_id: which.id.get() };
            client.ask(async |rpc| rpc.get_app(request).await)?
        }
        AppCommand::Set {
            which,
            name,
            description,
            owner_email,
            owner,
            no_owner,
            active,
            llms,
            no_llms,
            monthly_budget,
            rate_limit,
            metadata,
            etag,
        } => {
            let mut mask = Mask::default();
            let owner = if no_owner { Some(0) } else { owner.map(UserId::get) };
            let new = pb::App {
                tenant: which.tenant,
                app_id: which.id.get(),
                name: mask.take("name", name),
                description: mask.take("description", description),
                owner_email: mask.take("owner_email", owner_email),
                owner_user_id: mask.take("owner_user_id", owner),
                active: mask.take("active", active),
                llms: mask.take("llms", if no_llms { Some(Vec::new()) } else { llms.map(grants) }),
                monthly_budget: mask.take("monthly_budget", monthly_budget),
                rate_limit: mask.take("rate_limit", rate_limit),
                metadata: mask.take("metadata", metadata.map(|pairs| pairs.into_iter().collect())),
                etag,
                ..pb::App::default()
            };
            let request = pb::UpdateAppRequest { app: Some(new), update_mask: mask.done()?, request_id };
            client.ask(async |rpc| rpc.update_app(request).await)?
        }
        AppCommand::Remove { which } => {
            let Which { tenant, id } = which;
            let request = pb::DeleteAppRequest { tenant: tenant.clone(), app_id: id.get(), request_id };
            client.ask(async |rpc| rpc.delete_app(request).await)?;
            context.tell(&format!("App {id} was removed from tenant {tenant}"));
            return Ok(true);
        }
    };
    output::one(context, &AppView::from(app))
}

/// Apps of the host that no tenant has.
fn unclaimed(context: &Context, client: &mut Client) -> Outcome {
    let mut listing = Listing::new(context, &["app_id", "name", "namespace", "owner_user_id", "active"]);
    client.pages(
        async |rpc, page_token| {
            rpc.list_unclaimed_apps(pb::ListUnclaimedAppsRequest { page_size: PAGE, page_token }).await
        },
        |page| (page.apps, page.next_page_token),
        |app| listing.add(&UnclaimedView::from(app)),
    )?;
    listing.finish("unclaimed Apps")
}

//! `latchkey app …`

use clap::Subcommand;

use crate::admin::{AppChanges, NewApp};
use crate::cli::Outcome;
use crate::cli::context::Context;
use crate::cli::output::{self, Listing};
use crate::cli::parse;
use crate::cli::views::AppView;
use crate::domain::{AppId, LlmGrant};

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
    /// List a tenant's Apps
    List {
        /// The tenant
        #[arg(long)]
        tenant: String,
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
    },
    /// Let one go; its keys are refused from then on
    Remove {
        #[command(flatten)]
        which: Which,
    },
}

pub(super) fn run(context: &Context, command: AppCommand) -> Outcome {
    let admin = context.admin()?;
    let (tenant, app) = match command {
        AppCommand::Add {
            which,
            name,
            description,
            owner_email,
            llms,
            monthly_budget,
            rate_limit,
            metadata,
            active,
        } => {
            let metadata = metadata.into_iter().collect();
            let id = which.id;
            let new = NewApp { id, name, description, owner_email, active, monthly_budget, rate_limit, metadata, llms };
            let app = admin.add_app(&which.tenant, new)?;
            (which.tenant, app)
        }
        AppCommand::List { tenant } => {
            let mut listing = Listing::new(context, &["app_id", "name", "owner_email", "active", "llms"]);
            admin.each_app(&tenant, |app| listing.add(&AppView::new(&tenant, app)))?;
            return listing.finish("Apps");
        }
        AppCommand::Show { which } => {
            let app = admin.app(&which.tenant, which.id)?;
            (which.tenant, app)
        }
        AppCommand::Set {
            which,
            name,
            description,
            owner_email,
            active,
            llms,
            no_llms,
            monthly_budget,
            rate_limit,
            metadata,
        } => {
            let llms = if no_llms { Some(Vec::new()) } else { llms };
            let metadata = metadata.map(|pairs| pairs.into_iter().collect());
            let changes =
                AppChanges { name, description, owner_email, active, monthly_budget, rate_limit, metadata, llms };
            let app = admin.set_app(&which.tenant, which.id, &changes)?;
            (which.tenant, app)
        }
        AppCommand::Remove { which } => {
            admin.remove_app(&which.tenant, which.id)?;
            context.tell(&format!("App {} was removed from tenant {}", which.id, which.tenant));
            return Ok(true);
        }
    };
    output::one(context, &AppView::new(&tenant, app))
}

//! `latchkey user …`

use clap::Subcommand;

use crate::admin::{NewUser, UserChanges};
use crate::cli::Outcome;
use crate::cli::context::Context;
use crate::cli::output::{self, Listing};
use crate::cli::parse;
use crate::cli::views::UserView;
use crate::domain::UserId;

#[derive(clap::Args)]
pub(super) struct Which {
    /// The tenant
    #[arg(long)]
    tenant: String,
    /// The host's id of the User
    #[arg(long)]
    id: UserId,
}

#[derive(Subcommand)]
pub(super) enum UserCommand {
    /// Claim a User of the host for a tenant
    Add {
        #[command(flatten)]
        which: Which,
        /// Mail address
        #[arg(long)]
        email: String,
        /// Name
        #[arg(long, default_value = "")]
        name: String,
        /// A further field that the host has; repeat for more
        #[arg(long, value_name = "KEY=VALUE", value_parser = parse::pair)]
        metadata: Vec<(String, String)>,
        /// Whether credentials of this User work
        #[arg(long, default_value_t = true, action = clap::ArgAction::Set)]
        active: bool,
    },
    /// List a tenant's Users
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
        /// Mail address
        #[arg(long)]
        email: Option<String>,
        /// Name
        #[arg(long)]
        name: Option<String>,
        /// Whether credentials of this User work
        #[arg(long)]
        active: Option<bool>,
        /// The further fields; replaces all
        #[arg(long, value_name = "KEY=VALUE", value_parser = parse::pair)]
        metadata: Option<Vec<(String, String)>>,
    },
    /// Let one go; their keys are refused from then on
    Remove {
        #[command(flatten)]
        which: Which,
    },
}

pub(super) fn run(context: &Context, command: UserCommand) -> Outcome {
    let admin = context.admin()?;
    let (tenant, user) = match command {
        UserCommand::Add { which, email, name, metadata, active } => {
            let new = NewUser { id: which.id, email, name, active, metadata: metadata.into_iter().collect() };
            let user = admin.add_user(&which.tenant, new)?;
            (which.tenant, user)
        }
        UserCommand::List { tenant } => {
            let mut listing = Listing::new(context, &["user_id", "email", "name", "active"]);
            admin.each_user(&tenant, |user| listing.add(&UserView::new(&tenant, user)))?;
            return listing.finish("Users");
        }
        UserCommand::Show { which } => {
            let user = admin.user(&which.tenant, which.id)?;
            (which.tenant, user)
        }
        UserCommand::Set { which, email, name, active, metadata } => {
            let metadata = metadata.map(|pairs| pairs.into_iter().collect());
            let user = admin.set_user(&which.tenant, which.id, &UserChanges { email, name, active, metadata })?;
            (which.tenant, user)
        }
        UserCommand::Remove { which } => {
            admin.remove_user(&which.tenant, which.id)?;
            context.tell(&format!("User {} was removed from tenant {}", which.id, which.tenant));
            return Ok(true);
        }
    };
    output::one(context, &UserView::new(&tenant, user))
}

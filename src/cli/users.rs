//! `latchkey user …`

use clap::Subcommand;

use crate::cli::Outcome;
use crate::cli::context::Context;
use crate::cli::mask::Mask;
use crate::cli::output::{self, Listing, PAGE};
use crate::cli::parse;
use crate::domain::UserId;
use crate::pb::admin::v1 as pb;
use crate::transport::admin::views::UserView;

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
        /// Only if it is still as it was read: the etag of that
        #[arg(long, default_value = "", hide_default_value = true)]
        etag: String,
    },
    /// Let one go; their keys are refused from then on
    Remove {
        #[command(flatten)]
        which: Which,
    },
}

pub(super) fn run(context: &Context, command: UserCommand) -> Outcome {
    let mut client = context.client()?;
    let request_id = client.request_id();
    let user = match command {
        UserCommand::Add { which, email, name, metadata, active } => {
            let (tenant, user_id, metadata) = (which.tenant, which.id.get(), metadata.into_iter().collect());
            let new = pb::User { tenant, user_id, email, name, active, metadata, ..pb::User::default() };
            let request = pb::CreateUserRequest { user: Some(new), request_id };
            let made = client.ask(async |rpc| rpc.create_user(request).await)?;
            context.tell_replayed(made.replayed);
            made.user.unwrap_or_default()
        }
        UserCommand::List { tenant } => {
            let mut listing = Listing::new(context, &["user_id", "email", "name", "active"]);
            client.pages(
                async |rpc, page_token| {
                    let tenant = tenant.clone();
                    rpc.list_users(pb::ListUsersRequest { tenant, page_size: PAGE, page_token }).await
                },
                |page| (page.users, page.next_page_token),
                |user| listing.add(&UserView::from(user)),
            )?;
            return listing.finish("Users");
        }
        UserCommand::Show { which } => {
            let request = pb::GetUserRequest { tenant: which.tenant, user_id: which.id.get() };
            client.ask(async |rpc| rpc.get_user(request).await)?
        }
        UserCommand::Set { which, email, name, active, metadata, etag } => {
            let mut mask = Mask::default();
            let new = pb::User {
                tenant: which.tenant,
                user_id: which.id.get(),
                email: mask.take("email", email),
                name: mask.take("name", name),
                active: mask.take("active", active),
                metadata: mask.take("metadata", metadata.map(|pairs| pairs.into_iter().collect())),
                etag,
                ..pb::User::default()
            };
            let request = pb::UpdateUserRequest { user: Some(new), update_mask: mask.done()?, request_id };
            client.ask(async |rpc| rpc.update_user(request).await)?
        }
        UserCommand::Remove { which } => {
            let Which { tenant, id } = which;
            let request = pb::DeleteUserRequest { tenant: tenant.clone(), user_id: id.get(), request_id };
            client.ask(async |rpc| rpc.delete_user(request).await)?;
            context.tell(&format!("User {id} was removed from tenant {tenant}"));
            return Ok(true);
        }
    };
    output::one(context, &UserView::from(user))
}

//! `latchkey link …`

use clap::Subcommand;

use crate::cli::Outcome;
use crate::cli::context::Context;
use crate::cli::output::{self, Listing, PAGE};
use crate::domain::{AppId, LinkId, UserId};
use crate::pb::admin::v1 as pb;
use crate::transport::admin::views::LinkView;

#[derive(Subcommand)]
pub(super) enum LinkCommand {
    /// Say for which App and User an identity of an outside issuer stands
    Add {
        /// The tenant
        #[arg(long)]
        tenant: String,
        /// The issuer, exactly as in `iss` of its tokens
        #[arg(long, value_name = "ISS")]
        issuer: String,
        /// Who there, exactly as in `sub`; kept as a keyed hash, and never shown again
        #[arg(long, value_name = "SUB")]
        subject: String,
        /// The host's id of the App it acts as
        #[arg(long)]
        app: AppId,
        /// The host's id of the User it acts for
        #[arg(long)]
        user: UserId,
    },
    /// List a tenant's links
    List {
        /// The tenant
        #[arg(long)]
        tenant: String,
        /// Only those of this issuer
        #[arg(long, value_name = "ISS", default_value = "", hide_default_value = true)]
        issuer: String,
        /// Only the one of this subject of the issuer
        #[arg(long, value_name = "SUB", default_value = "", hide_default_value = true, requires = "issuer")]
        subject: String,
    },
    /// Remove one; what it stood for is refused from then on
    Remove {
        /// Its id, as in `link list`
        link_id: LinkId,
        /// The tenant
        #[arg(long)]
        tenant: String,
    },
}

pub(super) fn run(context: &Context, command: LinkCommand) -> Outcome {
    let mut client = context.client()?;
    let request_id = client.request_id();
    match command {
        LinkCommand::Add { tenant, issuer, subject, app, user } => {
            let (app_id, user_id) = (app.get(), user.get());
            let link = Some(pb::Link { tenant, issuer, app_id, user_id, ..pb::Link::default() });
            let request = pb::CreateLinkRequest { link, subject, request_id };
            let made = client.ask(async |rpc| rpc.create_link(request).await)?;
            if made.replayed {
                context.tell("this request was carried out before; nothing was made now");
            }
            output::one(context, &LinkView::from(made.link.unwrap_or_default()))
        }
        LinkCommand::List { tenant, issuer, subject } => {
            let columns = &["link_id", "issuer", "app_id", "user_id", "status", "created_at"];
            let mut listing = Listing::new(context, columns);
            client.pages(
                async |rpc, page_token| {
                    let (tenant, issuer, subject) = (tenant.clone(), issuer.clone(), subject.clone());
                    let request = pb::ListLinksRequest { tenant, page_size: PAGE, page_token, issuer, subject };
                    rpc.list_links(request).await
                },
                |page| (page.links, page.next_page_token),
                |link| listing.add(&LinkView::from(link)),
            )?;
            listing.finish("links")
        }
        LinkCommand::Remove { link_id, tenant } => {
            let request = pb::DeleteLinkRequest { tenant: tenant.clone(), link_id: link_id.to_string(), request_id };
            client.ask(async |rpc| rpc.delete_link(request).await)?;
            context.tell(&format!("link {link_id} was removed from tenant {tenant}"));
            Ok(true)
        }
    }
}

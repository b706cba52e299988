//! `latchkey operator …`

use std::path::{Path, PathBuf};

use clap::Subcommand;
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject as _;
use serde::Serialize;
use zeroize::Zeroizing;

use crate::cli::Outcome;
use crate::cli::context::{Context, Failure};
use crate::cli::output::{self, Listing, PAGE};
use crate::domain::hex;
use crate::pb::admin::v1 as pb;
use crate::transport::admin::views::OperatorView;
use crate::transport::tls_files::public_key_of;

#[derive(Clone, Copy, clap::ValueEnum)]
pub(super) enum RoleArg {
    /// Everything
    Owner,
    /// Issue, rotate, revoke and read
    Issuer,
    /// Read, and verify the audit trail
    Auditor,
}

impl From<RoleArg> for pb::Role {
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
        /// The client certificate (PEM) that it may come with in the place of the token
        #[arg(long, value_name = "FILE")]
        certificate: Option<PathBuf>,
    },
    /// List them, revoked ones included
    List,
    /// Show one
    Show {
        /// Its name or id
        operator: String,
    },
    /// Take a token back, at once and for good
    Revoke {
        /// Its name or id
        operator: String,
    },
}

pub(super) fn run(context: &Context, command: OperatorCommand) -> Outcome {
    let mut client = context.client()?;
    match command {
        OperatorCommand::Add { name, role, tenant, certificate } => {
            let certificate = certificate.map(|path| public_key_hash(&path)).transpose()?;
            let new = pb::Operator {
                name,
                role: pb::Role::from(role).into(),
                tenants: tenant,
                certificate_sha256: certificate.unwrap_or_default(),
                ..pb::Operator::default()
            };
            let request = pb::CreateOperatorRequest { operator: Some(new), request_id: client.request_id() };
            let made = client.ask(async |rpc| rpc.create_operator(request).await)?;
            context.tell_replayed(made.replayed);
            print(context, made.operator.unwrap_or_default(), &Zeroizing::new(made.token))
        }
        OperatorCommand::List => {
            let columns = &["operator_id", "name", "role", "tenants", "status", "created_at"];
            let mut listing = Listing::new(context, columns);
            client.pages(
                async |rpc, page_token| {
                    rpc.list_operators(pb::ListOperatorsRequest { page_size: PAGE, page_token }).await
                },
                |page| (page.operators, page.next_page_token),
                |operator| listing.add(&OperatorView::from(operator)),
            )?;
            listing.finish("operators")
        }
        OperatorCommand::Show { operator } => {
            let found = client.ask(async |rpc| rpc.get_operator(pb::GetOperatorRequest { operator }).await)?;
            output::one(context, &OperatorView::from(found))
        }
        OperatorCommand::Revoke { operator } => {
            let request = pb::RevokeOperatorRequest { operator, request_id: client.request_id() };
            let revoked = client.ask(async |rpc| rpc.revoke_operator(request).await)?;
            if revoked.already {
                context.tell("it was revoked before; nothing was changed");
            }
            output::one(context, &OperatorView::from(revoked.operator.unwrap_or_default()))
        }
    }
}

/// SHA-256 of a certificate's public key, as the server computes it of what a client comes with.
fn public_key_hash(path: &Path) -> Result<String, Failure> {
    let read = CertificateDer::from_pem_file(path).map_err(|error| error.to_string());
    let hash = read.and_then(|der| public_key_of(&der).ok_or_else(|| "not a certificate".to_owned()));
    match hash {
        Ok(hash) => Ok(hex::encode(&hash)),
        Err(error) => Err(Failure::usage(format_args!("--certificate {}: {error}", path.display()))),
    }
}

/// What `operator add` answers in JSON.
#[derive(Serialize)]
struct IssuedView<'a> {
    operator_id: &'a str,
    token: Option<&'a str>,
    name: &'a str,
    role: &'static str,
    tenants: &'a [String],
}

fn print(context: &Context, operator: pb::Operator, token: &Zeroizing<String>) -> Outcome {
    if token.is_empty() {
        return output::one(context, &OperatorView::from(operator));
    }
    // Large enough that it never grows, which would leave a copy behind.
    let mut text = Zeroizing::new(Vec::with_capacity(16 * 1024));
    if context.json() {
        let role = match operator.role() {
            pb::Role::Owner => "owner",
            pb::Role::Issuer => "issuer",
            pb::Role::Auditor | pb::Role::Unspecified => "auditor",
        };
        let view = IssuedView {
            operator_id: &operator.operator_id,
            token: Some(token.as_str()),
            name: &operator.name,
            role,
            tenants: &operator.tenants,
        };
        serde_json::to_writer(&mut *text, &view).map_err(anyhow::Error::from)?;
    } else {
        text.extend_from_slice(token.as_bytes());
        context.tell(&format!("Operator {}; the token is shown this once:", operator.operator_id));
    }
    text.push(b'\n');
    context.write(&text)
}

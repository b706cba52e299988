//! Where keys come from, whom tokens stand for and what is waived, as typed.

use std::fs::File;
use std::io::Read;
use std::path::{Path, PathBuf};

use zeroize::Zeroizing;

use crate::cli::context::Failure;
use crate::cli::parse;
use crate::domain::{AppId, UserId};
use crate::jwt::{MAX_JWKS_LEN, pem};
use crate::pb::admin::v1 as pb;
use crate::secret::{IssuerSecret, Secret};
use crate::verify::issuer_secret;

/// Where keys come from: one of these.
#[derive(clap::Args)]
pub(super) struct Keys {
    /// Where its keys (a JWK set) are fetched: an https URL. It need not answer now
    #[arg(long, value_name = "URL", group = "source")]
    jwks_url: Option<String>,
    /// Take that URL from its discovery document now, and once: ISS/.well-known/openid-configuration
    #[arg(long, group = "source")]
    discover: bool,
    /// A file with its keys, a JWK set of public keys; - for stdin
    #[arg(long, value_name = "FILE", group = "source")]
    jwks_file: Option<PathBuf>,
    /// A file with its one public key, PEM; - for stdin
    #[arg(long, value_name = "FILE", group = "source")]
    pem_file: Option<PathBuf>,
    /// What its tokens call that key, as in `kid`
    #[arg(long)]
    kid: Option<String>,
}

/// Reads a file, or stdin for `-`, and not more than so much of it.
fn read(file: &Path, most: usize) -> Result<Zeroizing<Vec<u8>>, Failure> {
    let from: Box<dyn Read> = if file.as_os_str() == "-" {
        Box::new(std::io::stdin())
    } else {
        let failed = |error| Failure::usage(format_args!("cannot read {}: {error}", file.display()));
        Box::new(File::open(file).map_err(failed)?)
    };
    let mut bytes = Zeroizing::new(Vec::with_capacity(most + 1));
    from.take(most as u64 + 1).read_to_end(&mut bytes)?;
    if bytes.len() > most {
        return Err(Failure::usage(format_args!("{} is longer than {most} bytes", file.display())));
    }
    Ok(bytes)
}

impl Keys {
    /// Whether to discover, a URL, and a set.
    pub(super) fn read(&self) -> Result<(bool, Option<String>, Option<String>), Failure> {
        if self.kid.is_some() && self.pem_file.is_none() {
            return Err(Failure::usage("--kid goes with --pem-file: the keys of a set have theirs in it"));
        }
        let text = |file: &PathBuf| {
            let bytes = read(file, MAX_JWKS_LEN)?;
            String::from_utf8(bytes.to_vec()).map_err(|_| Failure::usage(format_args!("{} is no text", file.display())))
        };
        let jwks = match (&self.jwks_file, &self.pem_file) {
            (Some(file), _) => Some(text(file)?),
            (None, Some(file)) => Some(pem::to_jwks(&text(file)?, self.kid.as_deref()).map_err(Failure::usage)?),
            (None, None) => None,
        };
        Ok((self.discover, self.jwks_url.clone(), jwks))
    }
}

/// Reads a secret, less the line end that an editor adds.
pub(super) fn secret(file: &Path) -> Result<Secret<IssuerSecret>, Failure> {
    // Room for the line end.
    let mut bytes = read(file, issuer_secret::MAX_LEN + 2)?;
    for end in [b'\n', b'\r'] {
        if bytes.last() == Some(&end) {
            bytes.pop();
        }
    }
    if bytes.len() > issuer_secret::MAX_LEN {
        return Err(Failure::usage(format_args!("a secret of at most {} bytes", issuer_secret::MAX_LEN)));
    }
    Ok(Secret::new(std::mem::take(&mut *bytes)))
}

/// Whom tokens stand for. Nothing given: for whom links say.
#[derive(clap::Args)]
pub(super) struct Identity {
    /// Its tokens act as this App, by the host's id
    #[arg(long, value_name = "APP", conflicts_with = "app_claim")]
    app: Option<AppId>,
    /// The claim that holds the App's id: a name, or names between dots
    #[arg(long, value_name = "CLAIM")]
    app_claim: Option<String>,
    /// Its tokens act for this User, by the host's id
    #[arg(long, value_name = "USER", conflicts_with = "user_claim")]
    user: Option<UserId>,
    /// The claim that holds the User's id
    #[arg(long, value_name = "CLAIM")]
    user_claim: Option<String>,
    /// The links of its subjects say for whom a token stands, and without one it is refused: what holds where neither App
    /// nor User is given
    #[arg(long, conflicts_with_all = ["app", "app_claim", "user", "user_claim"])]
    links: bool,
    /// Link a subject without a link to this App when its first token comes
    #[arg(
        long,
        value_name = "APP",
        conflicts_with_all = ["app", "app_claim", "user", "user_claim"],
        requires_all = ["first_use_user", "first_use_allow", "first_use_cap", "first_use_until"]
    )]
    first_use_app: Option<AppId>,
    /// … and for this User
    #[arg(long, value_name = "USER", requires = "first_use_app")]
    first_use_user: Option<UserId>,
    /// … where this claim is, or has in its list, exactly this value; never about mail addresses and names, which people
    /// choose; repeat for more, all must be so
    #[arg(long, value_name = "CLAIM=VALUE", value_parser = parse::pair, requires = "first_use_app")]
    first_use_allow: Vec<(String, String)>,
    /// … so many at most
    #[arg(long, value_name = "COUNT", requires = "first_use_app")]
    first_use_cap: Option<u32>,
    /// … until then, at most a year ahead: 2027-01-31, or a moment such as 2027-01-31T12:00:00Z
    #[arg(long, value_name = "WHEN", value_parser = parse::day_or_moment_ms, requires = "first_use_app")]
    first_use_until: Option<i64>,
}

impl Identity {
    /// Whether anything was typed.
    pub(super) fn is_given(&self) -> bool {
        let mapped = self.app.is_some() || self.app_claim.is_some() || self.user.is_some() || self.user_claim.is_some();
        mapped || self.links || self.first_use_app.is_some()
    }

    /// For the wire; none where links say.
    pub(super) fn message(&self) -> Result<Option<pb::Identity>, Failure> {
        if !self.is_given() || self.links && self.first_use_app.is_none() {
            return Ok(None);
        }
        let allow = |(claim, value): &(String, String)| pb::AllowedClaim { claim: claim.clone(), value: value.clone() };
        let first_use = match (self.first_use_app, self.first_use_user, self.first_use_cap, self.first_use_until) {
            (Some(app), Some(user), Some(cap), Some(until_ms)) => Some(pb::FirstUse {
                app_id: app.get(),
                user_id: user.get(),
                allow: self.first_use_allow.iter().map(allow).collect(),
                cap,
                until: Some(parse::timestamp(until_ms)),
            }),
            (None, None, None, None) => None,
            _ => return Err(Failure::usage("--first-use-app needs the other four beside it")),
        };
        Ok(Some(pb::Identity {
            app_id: self.app.map_or(0, AppId::get),
            app_claim: self.app_claim.clone().unwrap_or_default(),
            user_id: self.user.map_or(0, UserId::get),
            user_claim: self.user_claim.clone().unwrap_or_default(),
            first_use,
        }))
    }
}

/// What need not be kept, all with one owner and one end.
#[derive(clap::Args)]
pub(super) struct Waivers {
    /// A rule of the linter that it need not keep for a time; it shows in the audit trail; repeat for more
    #[arg(long = "waive", id = "rules", value_name = "RULE", requires_all = ["waive_owner", "waive_until"])]
    rules: Vec<String>,
    /// Who answers for that
    #[arg(long, value_name = "WHO", requires = "rules")]
    waive_owner: Option<String>,
    /// Until when, at most a year ahead: 2027-01-31, or a moment such as 2027-01-31T12:00:00Z; from then on its tokens are
    /// refused
    #[arg(long, value_name = "WHEN", value_parser = parse::day_or_moment_ms, requires = "rules")]
    waive_until: Option<i64>,
}

impl Waivers {
    /// For the wire; none where nothing was typed.
    pub(super) fn messages(&self) -> Result<Option<Vec<pb::Waiver>>, Failure> {
        match (self.rules.as_slice(), &self.waive_owner, self.waive_until) {
            ([], None, None) => Ok(None),
            (rules, Some(owner), Some(until_ms)) => {
                let waiver = |rule: &String| pb::Waiver {
                    rule: rule.clone(),
                    owner: owner.clone(),
                    until: Some(parse::timestamp(until_ms)),
                };
                Ok(Some(rules.iter().map(waiver).collect()))
            }
            _ => Err(Failure::usage("--waive, --waive-owner and --waive-until go together")),
        }
    }
}

//! `latchkey jwt verify`: one token on stdin, looked at without a store, check by check.

mod answer;
mod input;

use std::path::PathBuf;

use clap::Subcommand;

use crate::cli::context::Context;
use crate::cli::{Outcome, parse};
use crate::clock::{Clock as _, SystemClock};
use crate::domain::algorithm::Algorithm;
use crate::domain::issuer::{ClaimPath, MAX_LEEWAY_S};
use crate::jwt::claims::Rules;
use crate::jwt::token::Unverified;
use crate::jwt::{Check, Fault, raw};
use answer::Answer;

#[derive(Subcommand)]
pub(super) enum JwtCommand {
    /// Say whether a token on stdin holds, and which check failed; exits with 1 unless it holds
    Verify(VerifyArgs),
}

#[derive(clap::Args)]
pub(super) struct VerifyArgs {
    #[command(flatten)]
    keys: KeyArgs,
    /// The algorithms that are allowed, such as ES256,RS256; HS256 and its siblings only among themselves
    #[arg(long, value_name = "LIST", value_delimiter = ',', required = true, value_parser = algorithm)]
    alg: Vec<Algorithm>,
    /// The exact issuer; without it, any
    #[arg(long, value_name = "ISS", conflicts_with = "raw")]
    iss: Option<String>,
    /// The audience that it must be for, exactly; several for any of them; without it, any
    #[arg(long, value_name = "AUD", conflicts_with = "raw")]
    aud: Vec<String>,
    /// How far the clocks may differ: seconds, 60 at most [default: 0]
    #[arg(long, value_name = "TIME", value_parser = leeway, default_value = "0", hide_default_value = true, conflicts_with = "raw")]
    leeway: u32,
    /// The greatest age by `iat`: seconds, or a time such as 1h
    #[arg(long, value_name = "TIME", value_parser = seconds, conflicts_with = "raw")]
    max_age: Option<u32>,
    /// The values of the header `typ` that are taken, `none` for a token without; with it, ID and logout tokens are refused
    #[arg(long, value_name = "LIST", value_delimiter = ',', value_parser = typ, conflicts_with = "raw")]
    typ: Vec<String>,
    /// Claims that must be there, by their dotted paths
    #[arg(long, value_name = "CLAIM", value_parser = path, conflicts_with = "raw")]
    require: Vec<ClaimPath>,
    /// Stop after the signature, whatever the payload is, and print the payload
    #[arg(long)]
    raw: bool,
}

#[derive(clap::Args)]
#[group(required = true, multiple = false)]
struct KeyArgs {
    /// The keys: a JWK set, or one JWK
    #[arg(long, value_name = "FILE")]
    jwks: Option<PathBuf>,
    /// The key: a PEM block `PUBLIC KEY`
    #[arg(long, value_name = "FILE")]
    pem: Option<PathBuf>,
    /// The secret of HS256 and its siblings: the bytes of the file, less one line end
    #[arg(long, value_name = "FILE")]
    secret_file: Option<PathBuf>,
}

fn algorithm(text: &str) -> Result<Algorithm, String> {
    Algorithm::parse(text).ok_or_else(|| {
        let known = Algorithm::ALL.iter().map(|algorithm| algorithm.as_str()).collect::<Vec<_>>().join(", ");
        format!("expected some of {known}")
    })
}

/// Plain digits are seconds.
fn seconds(text: &str) -> Result<u32, String> {
    let seconds = match text.parse::<u64>() {
        Ok(seconds) => seconds,
        Err(_) => parse::seconds(text)?,
    };
    u32::try_from(seconds).map_err(|_| "too long".to_owned())
}

fn leeway(text: &str) -> Result<u32, String> {
    let seconds = seconds(text)?;
    if seconds > MAX_LEEWAY_S { Err(format!("{MAX_LEEWAY_S} seconds at most")) } else { Ok(seconds) }
}

/// As rules have it: lower case, without `application/`, empty for none.
fn typ(text: &str) -> Result<String, String> {
    let text = text.to_ascii_lowercase();
    match text.strip_prefix("application/").unwrap_or(&text) {
        "" => Err("expected a media type such as at+jwt, or none".to_owned()),
        "none" => Ok(String::new()),
        name => Ok(name.to_owned()),
    }
}

fn path(text: &str) -> Result<ClaimPath, String> {
    ClaimPath::parse(text).ok_or_else(|| "expected a claim, or names with dots between them".to_owned())
}

pub(super) fn run(context: &Context, command: JwtCommand) -> Outcome {
    let JwtCommand::Verify(args) = command;
    input::together(&args.alg)?;
    let keys = input::keys(context, &args.keys, &args.alg, args.raw)?;
    let token = input::token(context)?;
    let token = input::text(&token);
    let mut answer = Answer::of(token, args.raw);
    if args.raw {
        match keys.and_then(|keys| raw::verify(token, &keys, &args.alg)) {
            Ok(signed) => answer.payload = Some(signed.payload),
            Err(fault) => answer.fault = Some(fault),
        }
        return answer.print(context);
    }
    answer.skipped = skipped(&args);
    answer.fault = keys.and_then(|keys| judge(token, &keys, &args)).err();
    answer.print(context)
}

fn judge(token: &[u8], keys: &crate::jwt::keys::KeySet, args: &VerifyArgs) -> Result<(), Fault> {
    let rules = Rules {
        issuer: args.iss.as_deref(),
        audiences: Some(args.aud.as_slice()).filter(|aud| !aud.is_empty()),
        types: Some(args.typ.as_slice()).filter(|typ| !typ.is_empty()),
        leeway_s: args.leeway,
        max_age_s: args.max_age,
        required: &args.require,
    };
    Unverified::parse(token)?.examine(keys, &args.alg, &rules, SystemClock.wall_ms())
}

/// The checks that were not asked for, and the option that asks for each.
fn skipped(args: &VerifyArgs) -> Vec<(Check, &'static str)> {
    [
        (args.typ.is_empty(), Check::Type, "--typ"),
        (args.iss.is_none(), Check::Issuer, "--iss"),
        (args.aud.is_empty(), Check::Audience, "--aud"),
        (args.require.is_empty(), Check::Required, "--require"),
    ]
    .into_iter()
    .filter_map(|(is_skipped, check, option)| is_skipped.then_some((check, option)))
    .collect()
}

//! What is given to look at a token with: the keys, and the token itself.

use std::fs::File;
use std::io::{IsTerminal as _, Read};
use std::path::Path;

use crate::cli::context::{Context, Failure};
use crate::cli::jwt::KeyArgs;
use crate::domain::algorithm::Algorithm;
use crate::jwt::jwk::Allowed;
use crate::jwt::keys::KeySet;
use crate::jwt::{Fault, MAX_JWKS_LEN, pem, raw};
use crate::secret::{CredentialText, Secret};

/// Bytes of a secret's file at most.
const MAX_SECRET_LEN: usize = 64 * 1024;

/// HMAC and signatures never stand in one list: a public key would do as the secret.
pub(super) fn together(algorithms: &[Algorithm]) -> Result<(), Failure> {
    let mut kinds = algorithms.iter().map(|algorithm| algorithm.is_symmetric());
    match kinds.next() {
        Some(first) if kinds.any(|other| other != first) => {
            Err(Failure::usage("--alg: HMAC is never allowed beside other algorithms (RFC 8725 sections 2.1 and 3.1)"))
        }
        _ => Ok(()),
    }
}

/// The keys. Ones that cannot be used are a verdict; a file that cannot be read is wrong usage.
pub(super) fn keys(
    context: &Context,
    args: &KeyArgs,
    algorithms: &[Algorithm],
    raw: bool,
) -> Result<Result<KeySet, Fault>, Failure> {
    let read = if let Some(path) = &args.jwks {
        let secrets = algorithms.iter().all(|algorithm| algorithm.is_symmetric());
        KeySet::from_file(&file(path, MAX_JWKS_LEN)?, Allowed { secrets, private: raw })
    } else if let Some(path) = &args.pem {
        let text = file(path, pem::MAX_LEN)?;
        std::str::from_utf8(&text)
            .map_err(|_| Fault::PemForm)
            .and_then(|text| pem::to_jwks(text, None))
            .and_then(|jwks| KeySet::from_jwks(jwks.as_bytes()))
    } else {
        let path = args.secret_file.as_deref().ok_or_else(|| Failure::usage("no key was given"))?;
        let mut bytes = file(path, MAX_SECRET_LEN)?;
        let len = without_line_end(&bytes).len();
        bytes.truncate(len);
        let secret = Secret::new(bytes);
        if raw { KeySet::from_any_secret(&secret) } else { KeySet::from_secret(&secret) }
    };
    for skipped in read.iter().flat_map(KeySet::skipped) {
        let name = skipped.kid.as_deref().unwrap_or("without kid");
        context.tell(&format!("a key is left out ({name}): {}", skipped.why));
    }
    Ok(read)
}

fn file(path: &Path, limit: usize) -> Result<Vec<u8>, Failure> {
    let failed = |error: std::io::Error| Failure::usage(format_args!("cannot read {}: {error}", path.display()));
    // One byte more than allowed, so that what is over the limit is seen to be.
    bounded(&mut File::open(path).map_err(failed)?, limit + 1).map_err(failed)
}

fn bounded(source: &mut dyn Read, limit: usize) -> std::io::Result<Vec<u8>> {
    // As large as most, so that it seldom grows and leaves copies behind.
    let mut bytes = Vec::with_capacity(limit.min(64 * 1024));
    source.take(u64::try_from(limit).unwrap_or(u64::MAX)).read_to_end(&mut bytes)?;
    Ok(bytes)
}

/// Reads stdin, as far as a token may go.
pub(super) fn token(context: &Context) -> Result<Secret<CredentialText>, Failure> {
    let stdin = std::io::stdin();
    if stdin.is_terminal() {
        context.tell("Paste the token, then Enter and Ctrl-D:");
    }
    // A line end, and one byte more than allowed.
    Ok(Secret::new(bounded(&mut stdin.lock(), raw::MAX_LEN + 3)?))
}

/// The token, less the line end that a shell's `echo` adds.
#[expect(clippy::disallowed_methods, reason = "the token is looked at, which is what was asked for")]
pub(super) fn text(token: &Secret<CredentialText>) -> &[u8] {
    without_line_end(token.expose())
}

fn without_line_end(bytes: &[u8]) -> &[u8] {
    let bytes = bytes.strip_suffix(b"\n").unwrap_or(bytes);
    bytes.strip_suffix(b"\r").unwrap_or(bytes)
}

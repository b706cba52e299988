//! The keys that sign our tokens: Ed25519 (RFC 8037) or P-256 (RFC 7518 section 3.4), each a file that is named by the
//! key's thumbprint (RFC 7638), PKCS#8 in PEM, mode 0600, made once and never overwritten.
//!
//! A file counts only where the store has a sealed row with the public half: one without, from a run that was cut off, is
//! ignored. Read when something is to be signed and dropped after it.

use std::fs::{File, OpenOptions};
use std::io::{Read as _, Write as _};
use std::os::unix::fs::{MetadataExt as _, OpenOptionsExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};

use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::signature::{ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, Ed25519KeyPair, KeyPair as _};
use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use sha2::{Digest as _, Sha256};
use zeroize::Zeroizing;

use crate::domain::{Algorithm, SigningKeyRow};
use crate::secret::{Secret, SigningKey};

/// What a key's file begins and ends with.
const PREFIX: &str = "token-";
const SUFFIX: &str = ".key";
const BEGIN: &str = "-----BEGIN PRIVATE KEY-----\n";
const END: &str = "-----END PRIVATE KEY-----\n";
/// Characters of a line of PEM (RFC 7468 section 2).
const LINE: usize = 64;
/// Most bytes of a file: that of a P-256 key has some 250.
const FILE_MOST: u64 = 4 * 1024;
/// Characters of a thumbprint: 32 bytes in base64url.
const KID_LEN: usize = 43;

/// Why there is no key to sign with. The texts say what to do.
#[derive(Debug, thiserror::Error)]
pub enum TokenKeyError {
    /// It is not where it should be.
    #[error(
        "no key that signs tokens at {}: put it back from where it was kept, or make another with `latchkey token rotate-key`",
        path.display()
    )]
    Missing {
        /// Where it should be.
        path: PathBuf,
    },
    /// Somebody else may read or change it.
    #[error(
        "{} must be a file of ours with mode 0600 (it is {mode:04o}, owner {owner}): if somebody may have read it, \
         `latchkey token rotate-key --now`; else chmod 600 it", path.display()
    )]
    Exposed {
        /// Which file.
        path: PathBuf,
        /// Its permission bits.
        mode: u32,
        /// Its owner.
        owner: u32,
    },
    /// Not a private key in PEM, of that algorithm.
    #[error("{} holds no {algorithm} private key in PEM (PKCS#8)", path.display())]
    Malformed {
        /// Which file.
        path: PathBuf,
        /// Of what it should be.
        algorithm: Algorithm,
    },
    /// Another key than the file's name says.
    #[error("{} holds another key than its name says: put the right one back", path.display())]
    Wrong {
        /// Which file.
        path: PathBuf,
    },
    /// A name that is no thumbprint: it is never made a path of.
    #[error("the name of the key that signs tokens is not one of ours")]
    Name,
    /// The file could not be read or written.
    #[error("cannot {operation} {}: {source}", path.display())]
    Io {
        /// What was tried.
        operation: &'static str,
        /// Which file.
        path: PathBuf,
        /// Why it failed.
        #[source]
        source: std::io::Error,
    },
    /// The library could not make a key, or sign with one.
    #[error("the cryptographic library could not {0}")]
    Library(&'static str),
}

/// What everybody may know of a key.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct PublicHalf {
    /// Its name: the thumbprint of `jwk`.
    pub kid: String,
    /// What it signs with.
    pub algorithm: Algorithm,
    /// The public half: the very text that the thumbprint is over (RFC 7638 section 3), which is a JWK too.
    pub jwk: String,
}

/// The thumbprint of a public half that is written as RFC 7638 section 3 says.
pub fn thumbprint(jwk: &str) -> String {
    URL_SAFE_NO_PAD.encode(Sha256::digest(jwk.as_bytes()))
}

/// Whether a row's name is that of its key.
pub fn is_named_right(row: &SigningKeyRow) -> bool {
    thumbprint(&row.public_jwk) == row.kid
}

/// Where the key of that name is.
///
/// # Errors
/// When it is no name of a key.
pub fn path(dir: &Path, kid: &str) -> Result<PathBuf, TokenKeyError> {
    let is_name = kid.len() == KID_LEN && kid.bytes().all(|c| c.is_ascii_alphanumeric() || c == b'-' || c == b'_');
    if is_name { Ok(dir.join(format!("{PREFIX}{kid}{SUFFIX}"))) } else { Err(TokenKeyError::Name) }
}

/// The names of the keys whose files are there, in their order.
///
/// # Errors
/// When the directory cannot be read.
pub fn found(dir: &Path) -> std::io::Result<Vec<String>> {
    let mut kids = Vec::new();
    for entry in std::fs::read_dir(dir)? {
        let name = entry?.file_name();
        let kid = name.to_str().and_then(|name| name.strip_prefix(PREFIX)?.strip_suffix(SUFFIX));
        kids.extend(kid.map(str::to_owned));
    }
    kids.sort_unstable();
    Ok(kids)
}

enum Pair {
    Ed25519(Ed25519KeyPair),
    P256(EcdsaKeyPair),
}

/// A key that signs.
pub struct Signer {
    pair: Pair,
    public: PublicHalf,
}

impl Signer {
    fn new(pair: Pair) -> Option<Self> {
        let text = |bytes: &[u8]| URL_SAFE_NO_PAD.encode(bytes);
        // The members that a key must have, in the order of their names, without white space.
        let (algorithm, jwk) = match &pair {
            Pair::Ed25519(pair) => {
                let x = text(pair.public_key().as_ref());
                (Algorithm::EdDSA, format!(r#"{{"crv":"Ed25519","kty":"OKP","x":"{x}"}}"#))
            }
            Pair::P256(pair) => {
                // A point that is not compressed: 4, then both coordinates.
                let (x, y) = pair.public_key().as_ref().strip_prefix(&[4])?.split_at_checked(32)?;
                let (x, y) = (text(x), text(y));
                (Algorithm::ES256, format!(r#"{{"crv":"P-256","kty":"EC","x":"{x}","y":"{y}"}}"#))
            }
        };
        Some(Self { pair, public: PublicHalf { kid: thumbprint(&jwk), algorithm, jwk } })
    }

    fn generate(algorithm: Algorithm) -> Result<Self, TokenKeyError> {
        let failed = |_| TokenKeyError::Library("make a key");
        let pair = match algorithm {
            Algorithm::EdDSA => Pair::Ed25519(Ed25519KeyPair::generate().map_err(failed)?),
            Algorithm::ES256 => Pair::P256(EcdsaKeyPair::generate(&ECDSA_P256_SHA256_FIXED_SIGNING).map_err(failed)?),
            _ => return Err(TokenKeyError::Library("make a key of that algorithm: EdDSA or ES256")),
        };
        Self::new(pair).ok_or(TokenKeyError::Library("make a key"))
    }

    /// The private half as its file has it.
    #[expect(clippy::disallowed_methods, reason = "the key is put into PEM, for its file")]
    fn to_pem(&self) -> Result<Zeroizing<String>, TokenKeyError> {
        let document = match &self.pair {
            Pair::Ed25519(pair) => pair.to_pkcs8v1(),
            Pair::P256(pair) => pair.to_pkcs8v1(),
        };
        let document = document.map_err(|_| TokenKeyError::Library("write a key down"))?;
        let der: Secret<SigningKey> = Secret::new(document.as_ref().to_vec());
        let encoded = Zeroizing::new(STANDARD.encode(der.expose()));
        let mut pem = Zeroizing::new(String::with_capacity(2 * encoded.len() + BEGIN.len() + END.len()));
        pem.push_str(BEGIN);
        let mut rest = encoded.as_str();
        while !rest.is_empty() {
            let (line, after) = rest.split_at(rest.len().min(LINE));
            pem.push_str(line);
            pem.push('\n');
            rest = after;
        }
        pem.push_str(END);
        Ok(pem)
    }

    fn from_pem(pem: &[u8], algorithm: Algorithm) -> Option<Self> {
        let body = pem.strip_prefix(BEGIN.as_bytes())?.strip_suffix(END.as_bytes())?;
        let mut encoded = Zeroizing::new(Vec::with_capacity(body.len()));
        encoded.extend(body.iter().filter(|&&c| c != b'\n'));
        let der = Zeroizing::new(STANDARD.decode(&*encoded).ok()?);
        Self::new(match algorithm {
            Algorithm::EdDSA => Pair::Ed25519(Ed25519KeyPair::from_pkcs8(&der).ok()?),
            Algorithm::ES256 => Pair::P256(EcdsaKeyPair::from_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, &der).ok()?),
            _ => return None,
        })
    }

    /// What everybody may know of it.
    pub fn public(&self) -> &PublicHalf {
        &self.public
    }

    /// Signs: 64 bytes, as RFC 8037 section 3.1 and RFC 7518 section 3.4 have them.
    ///
    /// # Errors
    /// When the library fails.
    pub fn sign(&self, message: &[u8]) -> Result<[u8; 64], TokenKeyError> {
        let failed = || TokenKeyError::Library("sign a token");
        let signature = match &self.pair {
            Pair::Ed25519(pair) => pair.try_sign(message),
            Pair::P256(pair) => pair.sign(&SystemRandom::new(), message),
        };
        signature.map_err(|_| failed())?.as_ref().try_into().map_err(|_| failed())
    }
}

/// Makes a key and its file in `dir`, mode 0600; refuses to overwrite one. Durable when it returns.
///
/// # Errors
/// When the file cannot be written.
pub fn create(dir: &Path, algorithm: Algorithm) -> Result<PublicHalf, TokenKeyError> {
    let signer = Signer::generate(algorithm)?;
    let (pem, path) = (signer.to_pem()?, path(dir, &signer.public.kid)?);
    let io = |operation: &'static str| {
        let path = path.clone();
        move |source| TokenKeyError::Io { operation, path, source }
    };
    let mut file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(&path).map_err(io("create"))?;
    file.write_all(pem.as_bytes()).and_then(|()| file.sync_all()).map_err(io("write"))?;
    File::open(dir).and_then(|dir| dir.sync_all()).map_err(io("sync the directory of"))?;
    Ok(signer.public)
}

/// Removes the file of a key that nothing will be signed with again. One that stays does no harm: it is ignored.
pub fn remove(dir: &Path, kid: &str) {
    let removed = path(dir, kid).ok().and_then(|path| std::fs::remove_file(path).ok());
    if removed.is_some() {
        let _ = File::open(dir).and_then(|dir| dir.sync_all());
    }
}

/// Reads the key of that name.
///
/// # Errors
/// When it is missing, exposed, malformed or another one.
pub fn load(dir: &Path, kid: &str, algorithm: Algorithm) -> Result<Signer, TokenKeyError> {
    let path = path(dir, kid)?;
    let io = |source: std::io::Error| match source.kind() {
        std::io::ErrorKind::NotFound => TokenKeyError::Missing { path: path.clone() },
        _ => TokenKeyError::Io { operation: "read", path: path.clone(), source },
    };
    let file = File::open(&path).map_err(io)?;
    let metadata = file.metadata().map_err(io)?;
    let (mode, owner) = (metadata.permissions().mode() & 0o7777, metadata.uid());
    if !metadata.is_file() || mode & 0o077 != 0 || owner != rustix::process::geteuid().as_raw() {
        return Err(TokenKeyError::Exposed { path, mode, owner });
    }
    let mut pem = Zeroizing::new(Vec::with_capacity(usize::try_from(FILE_MOST).unwrap_or_default()));
    file.take(FILE_MOST).read_to_end(&mut pem).map_err(io)?;
    let signer = Signer::from_pem(&pem, algorithm);
    let signer = signer.ok_or_else(|| TokenKeyError::Malformed { path: path.clone(), algorithm })?;
    if signer.public.kid == kid { Ok(signer) } else { Err(TokenKeyError::Wrong { path }) }
}

#[cfg(test)]
#[path = "keys_tests.rs"]
mod tests;

//! JWTs, strictly: what a token says, and whether a key of its issuer signed it.
//!
//! The map, in reading order:
//!
//! - [`token`]: the one way from bytes to claims that may be believed; start there.
//! - [`compact`], [`json`], [`header`], [`claims`]: the form of a token, each with its limits before its work.
//! - [`keys`], [`jwk`], [`rsa`], [`pem`]: an issuer's keys, and which of them are none.
//! - [`signature`]: the cryptography, which is `jsonwebtoken`'s on aws-lc.
//! - [`raw`]: the signature alone, over any payload.
//! - [`Fault`]: everything that can be wrong, each with the clause that says so.
//!
//! Nothing here reads a clock, a file or the network: an outcome follows from the token, the keys, the rules and the moment.

pub mod claims;
pub mod compact;
mod fault;
pub mod header;
pub mod json;
pub mod jwk;
pub mod keys;
pub mod lint;
pub mod pem;
pub mod raw;
pub mod rsa;
pub mod signature;
pub mod token;

pub use fault::{Check, Fault};

/// Bytes of a token at most: as of any credential.
pub const MAX_TOKEN_LEN: usize = crate::domain::presented::MAX_CREDENTIAL_LEN;
/// Bytes of a decoded header at most: it holds some names, and what could be long in it is refused.
pub const MAX_HEADER_LEN: usize = 4 * 1024;
/// Objects and lists within one another at most; claims of providers are three or four deep.
pub const MAX_DEPTH: usize = 16;
/// Members of one object at most, since each is compared with those before it.
pub const MAX_MEMBERS: usize = 256;
/// Elements of one list at most: the groups of a person, of which there may be hundreds.
pub const MAX_ELEMENTS: usize = 1024;
/// Characters of a number at most; a double has 25.
pub const MAX_NUMBER_LEN: usize = 64;
/// Bytes of a `kid` at most; thumbprints and UUIDs are far shorter.
pub const MAX_KID_LEN: usize = 256;
/// Values of `aud` at most.
pub const MAX_AUDIENCES: usize = 32;
/// Bytes of a set of keys at most: a hundred RSA keys with their certificates.
pub const MAX_JWKS_LEN: usize = 256 * 1024;
/// Keys of a set at most; the sets of large providers have ten.
pub const MAX_KEYS: usize = 100;

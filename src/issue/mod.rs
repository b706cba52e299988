//! Short-lived tokens of our own (RFC 9068): the keys that sign them, and what they say.
//!
//! - [`keys`]: a key's private half is a file of its own, never in the database; its public half names it.
//! - [`token`]: what is signed.
//! - [`jwks`]: what is published, and what tokens are verified with.
//!
//! Whether one may be issued is decided in `admin::tokens`; whether one is taken, in `verify`.

pub mod jwks;
pub mod keys;
pub mod token;

pub use keys::{PublicHalf, Signer, TokenKeyError};
pub use token::{Claims, Minted};

//! The public keys of outside issuers: fetched from where they are published, and kept.
//!
//! [`outbound`] is the only place that asks anything of the internet. Who names the URL is not trusted: [`target`] says which
//! URLs there are, [`resolve`] and [`address`] where they may lead, [`fault`] what may be told of a failure.
//! [`fetch`] makes keys of what came, [`keys`] keeps them at hand for whoever verifies a token, and asks anew beside the answers;
//! [`last_good`] keeps them beyond the process. [`discovery`] finds out where an issuer publishes them.

pub mod address;
pub mod discovery;
pub mod fault;
pub mod fetch;
pub mod keys;
pub mod last_good;
mod line;
pub mod outbound;
mod report;
pub mod resolve;
mod settings;
pub mod target;
mod tls;

pub use discovery::{Discovered, DiscoveryError, discover};
pub use fault::{FetchError, Outside};
pub use fetch::{Fetch, Published, published};
pub use keys::{Jwks, KeysUnavailable, Status};
pub use last_good::{Kept, LastGood, Nowhere};
pub use line::{KeysHandle, KeysMark, Source};
pub use outbound::{Fetched, Outbound};
pub use resolve::{Resolve, SystemResolver};
pub use settings::Settings;
pub use target::{Target, UrlFault};
pub use tls::TlsError;

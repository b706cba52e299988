//! Facts and their rules: pure, synchronous, no input or output, no wire or row types.
//!
//! Read [`presented`] and [`key_format`] for what a client may send, [`credential`] for what is
//! stored about it, [`denial`] for every way to say no.

pub mod algorithm;
pub mod app;
pub mod credential;
pub mod denial;
pub mod event;
pub mod hex;
pub mod host;
pub mod ids;
pub mod imported;
pub mod issuer;
pub mod key_format;
pub mod key_scan;
pub mod link;
pub mod operator;
pub mod presented;
pub mod tenant;
pub mod token;
pub mod user;
pub mod verifier;

pub use algorithm::{Algorithm, KeyFamily};
pub use app::{App, LlmGrant};
pub use credential::{Credential, CredentialKind, Environment, Status};
pub use denial::{Denial, Reason};
pub use event::{Action, AuditEvent, Change, Subject};
pub use host::{HostState, HostSync, UnclaimedApp};
pub use ids::{
    AppId, CredentialId, Generation, IssuerId, LinkId, LlmId, OperatorId, Position, TenantId, TokenId, UserId,
};
pub use issuer::Issuer;
pub use link::{Link, SubjectHash, SubjectKeyFingerprint};
pub use operator::{Operator, Role};
pub use presented::Presented;
pub use tenant::{LlmGrants, Tenant, TenantStatus};
pub use token::{IssuedToken, JtiHash, SigningKeyRow};
pub use user::User;
pub use verifier::{LostPepper, PepperFingerprint, PepperVersion, Peppers, Tag, Verifier};

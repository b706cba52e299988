//! What is recorded of a change: the audit event for people, the change for caches.
//!
//! Both are written in the transaction of the change itself. Actions and subjects are closed sets, and
//! no field can hold a secret.

use crate::domain::ids::{AppId, CredentialId, IssuerId, LinkId, OperatorId, Position, TenantId, TokenId, UserId};

/// What a change was about: the key by which caches drop what they hold.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Subject {
    /// The whole store: everything is to be dropped.
    Everything,
    /// A tenant and all that is its own.
    Tenant(TenantId),
    /// An App, by the host's id (unique in the store, rule R3).
    App(AppId),
    /// A User, by the host's id.
    User(UserId),
    /// A credential.
    Credential(CredentialId),
    /// An operator.
    Operator(CredentialId),
    /// A link of an outside identity.
    Link(LinkId),
    /// A trusted issuer of JWTs.
    Issuer(IssuerId),
    /// That there is a link, or one less.
    Links,
    /// Which issuers are trusted: what was found about a token whose issuer was none of them rests on it.
    Issuers,
    /// A token that we signed.
    Token(TokenId),
    /// The keys that sign our tokens.
    SigningKeys,
    /// The key of subject hashes.
    SubjectKey,
    /// The store's peppers.
    Pepper,
    /// Keys of other systems.
    Imports,
}

impl Subject {
    /// The stable name of its kind, as stored.
    pub const fn kind(&self) -> &'static str {
        match self {
            Self::Everything => "everything",
            Self::Tenant(_) => "tenant",
            Self::App(_) => "app",
            Self::User(_) => "user",
            Self::Credential(_) => "credential",
            Self::Operator(_) => "operator",
            Self::Link(_) => "link",
            Self::Issuer(_) => "issuer",
            Self::Links => "links",
            Self::Issuers => "issuers",
            Self::Token(_) => "token",
            Self::SigningKeys => "signing_keys",
            Self::SubjectKey => "subject_key",
            Self::Pepper => "pepper",
            Self::Imports => "imports",
        }
    }

    /// Its id as text: base62 or decimal, empty for everything.
    pub fn id_text(&self) -> String {
        match self {
            Self::Everything
            | Self::Links
            | Self::Issuers
            | Self::SigningKeys
            | Self::SubjectKey
            | Self::Pepper
            | Self::Imports => String::new(),
            Self::Tenant(id) => id.to_string(),
            Self::App(id) => id.to_string(),
            Self::User(id) => id.to_string(),
            Self::Credential(id) | Self::Operator(id) => id.to_string(),
            Self::Link(id) => id.to_string(),
            Self::Issuer(id) => id.to_string(),
            Self::Token(id) => id.to_string(),
        }
    }

    /// From its stored form. None for a kind this version does not know, which is to be taken as
    /// [`Subject::Everything`].
    pub fn parse(kind: &str, id: &str) -> Option<Self> {
        match kind {
            "everything" => Some(Self::Everything),
            "tenant" => id.parse().ok().map(Self::Tenant),
            "app" => id.parse().ok().map(Self::App),
            "user" => id.parse().ok().map(Self::User),
            "credential" => id.parse().ok().map(Self::Credential),
            "operator" => id.parse().ok().map(Self::Operator),
            "link" => id.parse().ok().map(Self::Link),
            "issuer" => id.parse().ok().map(Self::Issuer),
            "links" => Some(Self::Links),
            "issuers" => Some(Self::Issuers),
            "token" => id.parse().ok().map(Self::Token),
            "signing_keys" => Some(Self::SigningKeys),
            "subject_key" => Some(Self::SubjectKey),
            "pepper" => Some(Self::Pepper),
            "imports" => Some(Self::Imports),
            _ => None,
        }
    }
}

/// One entry of the change feed.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Change {
    /// Its place; grows with each commit.
    pub position: Position,
    /// What changed.
    pub subject: Subject,
    /// When it was committed, milliseconds since the epoch.
    pub at_ms: i64,
}

macro_rules! actions {
    ($($(#[$doc:meta])* $name:ident = $code:literal;)+) => {
        /// What was done. A closed set.
        #[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
        pub enum Action { $($(#[$doc])* $name,)+ }

        impl Action {
            /// Every action.
            pub const ALL: &'static [Self] = &[$(Self::$name,)+];

            /// The stable name, as stored and hashed.
            pub const fn as_str(self) -> &'static str {
                match self { $(Self::$name => $code,)+ }
            }

            /// From its stable name.
            pub fn parse(text: &str) -> Option<Self> {
                Self::ALL.iter().copied().find(|action| action.as_str() == text)
            }
        }
    };
}

actions! {
    /// The store was made.
    StoreInitialised = "store.initialised";
    /// A backup took the place of a store.
    StoreRestored = "store.restored";
    /// A backup was made.
    StoreBackedUp = "store.backed_up";
    /// A tenant was made.
    TenantCreated = "tenant.created";
    /// A tenant's fields were changed.
    TenantChanged = "tenant.changed";
    /// A tenant was suspended.
    TenantSuspended = "tenant.suspended";
    /// A tenant was resumed.
    TenantResumed = "tenant.resumed";
    /// A host App was claimed for a tenant.
    AppAdded = "app.added";
    /// An App's fields or grants were changed.
    AppChanged = "app.changed";
    /// An App was removed.
    AppRemoved = "app.removed";
    /// A host User was claimed for a tenant.
    UserAdded = "user.added";
    /// A User's fields were changed.
    UserChanged = "user.changed";
    /// A User was removed.
    UserRemoved = "user.removed";
    /// Rows of the directory were brought in step with the host, a batch of them.
    DirectoryReconciled = "directory.reconciled";
    /// A credential was issued.
    CredentialIssued = "credential.issued";
    /// A credential's label, scopes, addresses or times were changed.
    CredentialChanged = "credential.changed";
    /// A credential was replaced by a new one.
    CredentialRotated = "credential.rotated";
    /// A credential was revoked.
    CredentialRevoked = "credential.revoked";
    /// Keys of another system were imported, a batch of them.
    CredentialsImported = "credential.imported";
    /// A tenant's keys were handed out for another store: hashes, no secrets.
    CredentialsExported = "credential.exported";
    /// Rows were sealed anew under the current pepper, a batch of them.
    CredentialsResealed = "credential.resealed";
    /// An identity of an outside issuer was linked to an App and a User.
    LinkAdded = "link.added";
    /// A link was removed.
    LinkRemoved = "link.removed";
    /// A tenant trusts an issuer of JWTs.
    IssuerAdded = "issuer.added";
    /// What a tenant takes of an issuer, with which keys or for whom, was changed.
    IssuerChanged = "issuer.changed";
    /// An issuer is not trusted any more.
    IssuerRemoved = "issuer.removed";
    /// A short-lived token was issued for a credential.
    TokenIssued = "token.issued";
    /// A token was taken back, or all of a credential.
    TokenRevoked = "token.revoked";
    /// Tokens are signed with another key.
    TokenKeyAdded = "token_key.added";
    /// A key that signed tokens is not believed any more, at once or after its last tokens.
    TokenKeyRetired = "token_key.retired";
    /// A key of subject hashes was made known to the store.
    SubjectKeyAdded = "subject_key.added";
    /// A pepper was made known to the store.
    PepperAdded = "pepper.added";
    /// New rows get another pepper.
    PepperRotated = "pepper.rotated";
    /// A pepper that no row names any more was retired.
    PepperRetired = "pepper.retired";
    /// A pepper was declared lost: its rows may be proven anew by Argon2id for a time.
    PepperLost = "pepper.lost";
    /// An operator was added.
    OperatorAdded = "operator.added";
    /// An operator's token was taken back.
    OperatorRevoked = "operator.revoked";
    /// Checkpoints of the trail are signed by another key from here on, and this event by both.
    AuditKeyChanged = "audit.key_changed";
    /// The beginning of the trail was given up, up to a checkpoint.
    AuditPruned = "audit.pruned";
    /// The validation checklist was run.
    ChecklistRun = "checklist.run";
}

/// Who did it, as far as we know.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Actor {
    /// Somebody with the data directory on this machine: the command line offline.
    Local {
        /// The numeric user id of the process.
        uid: u32,
    },
    /// An operator who proved a token.
    Operator(OperatorId),
    /// The Studio page.
    Studio,
    /// A User of the host, in the portal.
    Portal(UserId),
    /// A program that proved a credential, and asks for a token of it.
    Client(CredentialId),
    /// Latchkey itself.
    System,
}

impl Actor {
    /// As stored and hashed.
    pub fn to_text(self) -> String {
        match self {
            Self::Local { uid } => format!("local:{uid}"),
            Self::Operator(id) => format!("operator:{id}"),
            Self::Studio => "studio".to_owned(),
            Self::Portal(user) => format!("portal:{user}"),
            Self::Client(id) => format!("client:{id}"),
            Self::System => "system".to_owned(),
        }
    }

    /// From its stored form.
    pub fn parse(text: &str) -> Option<Self> {
        match text.split_once(':') {
            Some(("local", uid)) => uid.parse().ok().map(|uid| Self::Local { uid }),
            Some(("operator", id)) => id.parse().ok().map(Self::Operator),
            Some(("portal", user)) => user.parse().ok().map(Self::Portal),
            Some(("client", id)) => id.parse().ok().map(Self::Client),
            None if text == "studio" => Some(Self::Studio),
            None if text == "system" => Some(Self::System),
            _ => None,
        }
    }
}

/// An audit event before the store gave it its place in the chain.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct AuditEvent {
    /// When, milliseconds since the epoch, UTC.
    pub at_ms: i64,
    /// Who.
    pub actor: Actor,
    /// What was done.
    pub action: Action,
    /// To what.
    pub subject: Subject,
    /// Whose it is, where it belongs to a tenant.
    pub tenant: Option<TenantId>,
    /// Public facts worth keeping, as `key=value` of a closed set of keys; see `docs/AUDIT.md`.
    pub details: Vec<(DetailKey, String)>,
    /// Ties the event to a request, where there was one.
    pub request_id: String,
}

macro_rules! detail_keys {
    ($($(#[$doc:meta])* $name:ident = $code:literal;)+) => {
        /// What an audit event may say beyond its fixed fields. A closed set, so that no secret can slip in.
        #[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, PartialOrd, Ord)]
        pub enum DetailKey { $($(#[$doc])* $name,)+ }

        impl DetailKey {
            /// Every key.
            pub const ALL: &'static [Self] = &[$(Self::$name,)+];

            /// The stable name, as stored and hashed.
            pub const fn as_str(self) -> &'static str {
                match self { $(Self::$name => $code,)+ }
            }

            /// From its stable name.
            pub fn parse(text: &str) -> Option<Self> {
                Self::ALL.iter().copied().find(|key| key.as_str() == text)
            }
        }
    };
}

detail_keys! {
    /// That revocations of the replaced store could not be carried over, and the operator went on all the same.
    AcceptedLoss = "accepted_lost_revocations";
    /// The signature algorithm of a key that signs tokens.
    Algorithm = "algorithm";
    /// The signature algorithms that an issuer's keys may be used with, comma-separated.
    Algorithms = "algorithms";
    /// The App a credential or link acts as.
    App = "app";
    /// The Apps that a batch is about, comma-separated ids.
    Apps = "apps";
    /// Whether the thing is active after the change.
    Active = "active";
    /// The audiences that an issuer's tokens are taken for, as a JSON list.
    Audiences = "audiences";
    /// Credentials that the checklist judged.
    Checked = "checked";
    /// How many.
    Count = "count";
    /// The credential that a token was issued for.
    Credential = "credential";
    /// Whether a key is a honey key.
    Decoy = "decoy";
    /// The environment of a key.
    Environment = "environment";
    /// When a credential or token expires, milliseconds since the epoch.
    ExpiresAt = "expires_at_ms";
    /// Credentials of which a claim of the checklist does not hold.
    Failed = "failed";
    /// The fields that were changed, comma-separated names.
    Fields = "fields";
    /// Apps of the host that are not listed as unclaimed any more, comma-separated ids.
    Forgotten = "forgotten";
    /// Until when a rotated credential is still good, milliseconds since the epoch.
    GraceUntil = "grace_until_ms";
    /// An issuer, or that of a link, as in `iss`.
    Issuer = "issuer";
    /// Where an issuer's keys come from: `jwks_url` with the URL, `jwks` or `secret`.
    Keys = "keys";
    /// The name of a key that signs tokens: the thumbprint of its public half (RFC 7638).
    KeyId = "key_id";
    /// The LLM ids granted after the change, comma-separated.
    Llms = "llms";
    /// A label or name.
    Name = "name";
    /// How the checklist ended: `pass`, `fail` or `not_checked`.
    Outcome = "outcome";
    /// The fingerprint of a pepper.
    PepperFingerprint = "pepper_fingerprint";
    /// Credentials in force that the checklist found.
    Population = "population";
    /// The public half of a key that signs the trail, hexadecimal.
    PublicKey = "public_key";
    /// Why a credential was revoked.
    Reason = "reason";
    /// The credential that took another's place.
    ReplacedBy = "replaced_by";
    /// The role of an operator.
    Role = "role";
    /// What a token is for, as in its claim of that name.
    Scope = "scope";
    /// A tenant's slug.
    Slug = "slug";
    /// From where it was asked: `files`, `unix`, `tcp:ADDRESS`, `studio`, `portal`, `host`; of tokens also `http`, `http:ADDRESS`
    /// or `endpoint`.
    Source = "source";
    /// The fingerprint of the key of subject hashes.
    SubjectKeyFingerprint = "subject_key_fingerprint";
    /// The tenants that an operator is bound to, comma-separated slugs.
    Tenants = "tenants";
    /// The hash of the last event of the trail of a store that was replaced.
    TrailHead = "trail_head";
    /// How many events the trail of a store had that was replaced.
    TrailLength = "trail_length";
    /// Until when something is permitted, milliseconds since the epoch.
    Until = "until_ms";
    /// The User a credential or link acts for.
    User = "user";
    /// The rules of the linter that an issuer need not keep, who answers for each and until when, as a JSON list.
    Waivers = "waivers";
}

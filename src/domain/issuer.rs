//! A trusted issuer of JWTs: whose tokens one tenant takes, under which rules, and for whom they stand.

use crate::domain::algorithm::Algorithm;
use crate::domain::ids::{AppId, Generation, IssuerId, TenantId, UserId};

/// The greatest leeway in seconds.
pub const MAX_LEEWAY_S: u32 = 60;

/// Where an issuer's keys come from.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum KeySource {
    /// Its JWK set is fetched from there.
    Url(String),
    /// This JWK set (RFC 7517 section 5), public keys alone, as JSON.
    Keys(String),
    /// A secret that both know, in a file of its own beside the database, named by the issuer's id: only the keyed
    /// fingerprint of it is here.
    Secret([u8; 32]),
}

impl KeySource {
    /// The stable name of its kind.
    pub const fn kind(&self) -> &'static str {
        match self {
            Self::Url(_) => "jwks_url",
            Self::Keys(_) => "jwks",
            Self::Secret(_) => "secret",
        }
    }
}

/// Where to find a member of the claims: names from the outside in. A name holds no dot, but for the one of a single name
/// that was given as a URL.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct ClaimPath(pub Vec<String>);

impl ClaimPath {
    /// From its dotted text. A name with `://` in it is one name whatever its dots: namespaced claims are URLs.
    pub fn parse(text: &str) -> Option<Self> {
        let names: Vec<String> = match text {
            whole if whole.contains("://") => vec![whole.to_owned()],
            dotted => dotted.split('.').map(str::to_owned).collect(),
        };
        (names.len() <= 8 && names.iter().all(|name| !name.is_empty())).then_some(Self(names))
    }

    /// The dotted text.
    pub fn to_text(&self) -> String {
        self.0.join(".")
    }
}

/// One half of whom a token stands for.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Half<Id> {
    /// Always this one.
    Fixed(Id),
    /// The one whose decimal number the claim holds, as text or as a number.
    Claim(ClaimPath),
}

impl<Id: Copy> Half<Id> {
    /// The one that it always is, if so.
    pub const fn fixed(&self) -> Option<Id> {
        match self {
            Self::Fixed(id) => Some(*id),
            Self::Claim(_) => None,
        }
    }
}

impl<Id> Half<Id> {
    /// The claim that says it, if one does.
    pub const fn claim(&self) -> Option<&ClaimPath> {
        match self {
            Self::Fixed(_) => None,
            Self::Claim(path) => Some(path),
        }
    }
}

/// Whom an issuer's tokens stand for.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Identity {
    /// What is fixed, or what the claims say.
    Mapped {
        /// The App.
        app: Half<AppId>,
        /// The User.
        user: Half<UserId>,
    },
    /// What the link of the token's subject says; without one it is refused.
    Linked {
        /// Links made at a subject's first use, where that is allowed.
        first_use: Option<FirstUse>,
    },
}

impl Identity {
    /// The App and User that it names itself.
    pub fn fixed(&self) -> (Option<AppId>, Option<UserId>) {
        match self {
            Self::Mapped { app, user } => (app.fixed(), user.fixed()),
            Self::Linked { first_use } => {
                (first_use.as_ref().map(|first| first.app), first_use.as_ref().map(|first| first.user))
            }
        }
    }
}

/// Which subjects are linked at their first use, and to whom (rule R16).
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct FirstUse {
    /// The one App that they are linked to.
    pub app: AppId,
    /// The one User that they are linked to.
    pub user: UserId,
    /// All of these must be so: the claim's text, or one of its list's texts, is exactly this. Never empty, and never about
    /// what subjects choose themselves (`email` and its like).
    pub allow: Vec<(ClaimPath, String)>,
    /// Links made so at most.
    pub cap: u32,
    /// Until when, milliseconds since the epoch.
    pub until_ms: i64,
}

/// That a rule of the linter is not kept, who answers for it, and until when.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Waiver {
    /// The rule's stable name.
    pub rule: String,
    /// Who answers for it.
    pub owner: String,
    /// From when on the rule holds again, milliseconds since the epoch.
    pub until_ms: i64,
}

/// What a token of an issuer must fulfil.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct TokenRules {
    /// The exact `iss`.
    pub iss: String,
    /// One of these must be in `aud`, exactly. Never empty.
    pub audiences: Vec<String>,
    /// The algorithms that its keys may be used with. Never empty, never HMAC beside another.
    pub algorithms: Vec<Algorithm>,
    /// Values of the header `typ` that are taken, in lower case and without `application/` (RFC 7515 section 4.1.9); the
    /// empty text stands for none at all.
    pub types: Vec<String>,
    /// Seconds that the clocks may differ, at most [`MAX_LEEWAY_S`].
    pub leeway_s: u32,
    /// The oldest that a token may be by its `iat`, in seconds; with it `iat` is required.
    pub max_age_s: Option<u32>,
    /// Claims that must be there beside `iss`, `aud` and `exp`.
    pub required: Vec<ClaimPath>,
}

/// A trusted issuer as stored.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Issuer {
    /// Its public id.
    pub id: IssuerId,
    /// Who trusts it.
    pub tenant: TenantId,
    /// What its tokens must fulfil.
    pub rules: TokenRules,
    /// Where its keys come from.
    pub keys: KeySource,
    /// Whom its tokens stand for.
    pub identity: Identity,
    /// The claim that the scopes are taken from; a text with spaces (RFC 8693 section 4.2) or a list of texts.
    pub scope_claim: ClaimPath,
    /// Refuses keys below 128 bits of security too (ASVS 11.2.3): RSA below 3072 bits.
    pub strict: bool,
    /// Rules of the linter that it need not keep.
    pub waivers: Vec<Waiver>,
    /// Whether its tokens are taken.
    pub active: bool,
    /// Who added it.
    pub created_by: String,
    /// When, milliseconds since the epoch.
    pub created_at_ms: i64,
    /// Changes with each change of the row.
    pub generation: Generation,
    /// Over all that it asserts, under the key of subject hashes.
    pub mac: [u8; 32],
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_is_names_between_dots_and_a_url_is_one_name() {
        let names = |text: &str| ClaimPath::parse(text).map(|path| path.0);
        assert_eq!(names("sub"), Some(vec!["sub".to_owned()]));
        assert_eq!(names("realm_access.roles"), Some(vec!["realm_access".to_owned(), "roles".to_owned()]));
        assert_eq!(names("https://acme.example/app"), Some(vec!["https://acme.example/app".to_owned()]));
        for wrong in ["", ".", "a.", ".a", "a..b", "a.b.c.d.e.f.g.h.i"] {
            assert_eq!(names(wrong), None, "{wrong}");
        }
    }
}

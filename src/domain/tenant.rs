//! A tenant: who owns Apps, Users and credentials, and the rules it sets for them.

use crate::domain::ids::{Generation, TenantId};

/// Whether a tenant's credentials work.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum TenantStatus {
    /// They do.
    Active,
    /// None does.
    Suspended,
}

impl TenantStatus {
    /// As stored and printed.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Active => "active",
            Self::Suspended => "suspended",
        }
    }

    /// From its stored name.
    pub fn parse(text: &str) -> Option<Self> {
        [Self::Active, Self::Suspended].into_iter().find(|s| s.as_str() == text)
    }
}

/// What holds for an App without a grant for the requested LLM.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Default)]
pub enum LlmGrants {
    /// No grant, no access. The default.
    #[default]
    Required,
    /// Not looked at. Takes effect only where the local setting `auth.llm_grants` allows it too.
    Unchecked,
}

impl LlmGrants {
    /// As stored and printed.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Required => "required",
            Self::Unchecked => "unchecked",
        }
    }

    /// From its stored name.
    pub fn parse(text: &str) -> Option<Self> {
        [Self::Required, Self::Unchecked].into_iter().find(|s| s.as_str() == text)
    }
}

/// A tenant as stored.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Tenant {
    /// Internal id.
    pub id: TenantId,
    /// The name in commands, claims and logs: 1 to 63 of `a-z`, `0-9`, `-`, a letter first.
    pub slug: String,
    /// The name for people.
    pub name: String,
    /// Active or suspended.
    pub status: TenantStatus,
    /// The prefix of its keys.
    pub key_prefix: String,
    /// What holds for an App without grants.
    pub llm_grants: LlmGrants,
    /// Gateway namespaces it may be used from; empty means any.
    pub namespaces: Vec<String>,
    /// Changes with each change of the row.
    pub generation: Generation,
    /// When it was made, milliseconds since the epoch.
    pub created_at_ms: i64,
}

impl Tenant {
    /// Whether credentials of this tenant may be used through a gateway of this namespace.
    pub fn allows_namespace(&self, namespace: Option<&str>) -> bool {
        self.namespaces.is_empty() || namespace.is_some_and(|n| self.namespaces.iter().any(|own| own == n))
    }
}

/// Whether a text may be a tenant's slug.
pub fn is_slug(text: &str) -> bool {
    (1..=63).contains(&text.len())
        && text.starts_with(|c: char| c.is_ascii_lowercase())
        && text.bytes().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == b'-')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn slugs_are_bounded() {
        assert!(is_slug("acme") && is_slug("a-1"));
        assert!(!is_slug("") && !is_slug("1a") && !is_slug("Acme") && !is_slug("a_b") && !is_slug(&"a".repeat(64)));
    }
}

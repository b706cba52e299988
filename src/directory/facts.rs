//! What a host says of an App, and how it is merged with what the store knows.
//!
//! | of an App | from a microgateway | from Studio |
//! | --- | --- | --- |
//! | tenant, generation | store | store |
//! | active | store, Studio's last word **and** host | store **and** host |
//! | name, description, budget, metadata | host | host |
//! | owner's address | host | store, where the host's is empty |
//! | owner, grants | store | host; slugs of LLMs from the store |
//! | rate limit | host | store |
//!
//! Fields that a host has and an App of ours has not are found in its metadata under `host.` names.

use std::collections::BTreeMap;

use crate::domain::{App, AppId, HostState, LlmGrant, LlmId, UserId};

/// An App as its host describes it.
#[derive(Clone, PartialEq, Debug)]
pub struct HostApp {
    /// The host's id.
    pub id: AppId,
    /// Its name.
    pub name: String,
    /// Free text.
    pub description: String,
    /// Whether the host lets it be used.
    pub active: bool,
    /// Whether that is this host's to decide; else it has a copy of what another decided.
    pub decides: bool,
    /// Who answers for it; none where this host does not say.
    pub owner_email: Option<String>,
    /// The User who owns it; none where this host does not say.
    pub owner: Option<UserId>,
    /// Monthly budget; 0 is none.
    pub monthly_budget: f64,
    /// Requests a minute; none where this host does not say.
    pub rate_limit: Option<i32>,
    /// The LLMs it may use; none where this host does not say.
    pub llms: Option<Vec<LlmId>>,
    /// The tools it may use; none where this host does not say.
    pub tools: Option<Vec<u32>>,
    /// The datasources it may use; none where this host does not say.
    pub datasources: Option<Vec<u32>>,
    /// The gateway namespace it belongs to; none where this host does not say.
    pub namespace: Option<String>,
    /// The host's metadata, and its further fields under `host.` names.
    pub metadata: BTreeMap<String, String>,
}

impl HostApp {
    /// The App that both know: the store's row with what the host says of it.
    #[must_use]
    pub fn merged_into(&self, row: App) -> App {
        let llms = match &self.llms {
            Some(ids) => ids.iter().map(|id| granted(*id, &row.llms)).collect(),
            None => row.llms,
        };
        App {
            tenant: row.tenant,
            id: row.id,
            name: self.name.clone(),
            description: self.description.clone(),
            owner_email: self.owner_email.clone().unwrap_or(row.owner_email),
            owner: if self.decides { self.owner } else { self.owner.or(row.owner) },
            // Either may take it away, neither alone gives it.
            active: row.active && self.active,
            // Studio is where it is decided. A gateway has a copy, of when it was last pushed: what Studio told the store holds.
            host: if self.decides { HostState::default() } else { row.host },
            monthly_budget: self.monthly_budget,
            rate_limit: self.rate_limit.unwrap_or(row.rate_limit),
            metadata: self.metadata.clone(),
            tools: self.tools.clone().unwrap_or(row.tools),
            datasources: self.datasources.clone().unwrap_or(row.datasources),
            llms,
            generation: row.generation,
        }
    }
}

/// The host's grant, with the slug that the store has for it.
fn granted(id: LlmId, known: &[LlmGrant]) -> LlmGrant {
    LlmGrant { id, slug: known.iter().find(|grant| grant.id == id).and_then(|grant| grant.slug.clone()) }
}

/// The most of an App's metadata that is kept, in bytes.
const MAX_METADATA: usize = 64 * 1024;

/// The host's JSON text as metadata: strings as they are, everything else as JSON. What is no object is kept whole, so that
/// nothing that the host said is lost.
pub(super) fn metadata(json: &str) -> BTreeMap<String, String> {
    if json.is_empty() {
        return BTreeMap::new();
    }
    if json.len() > MAX_METADATA {
        // One App must not take the memory of all: said, so that nobody takes it for complete.
        return BTreeMap::from([("host.metadata_omitted_bytes".to_owned(), json.len().to_string())]);
    }
    match serde_json::from_str::<BTreeMap<String, serde_json::Value>>(json) {
        Ok(members) => members
            .into_iter()
            .map(|(name, value)| match value {
                serde_json::Value::String(text) => (name, text),
                other => (name, other.to_string()),
            })
            .collect(),
        Err(_) if json == "null" => BTreeMap::new(),
        Err(_) => BTreeMap::from([("host.metadata".to_owned(), json.to_owned())]),
    }
}

/// Enters a further field of the host, unless it is empty.
pub(super) fn further(metadata: &mut BTreeMap<String, String>, name: &str, value: String) {
    if !value.is_empty() {
        metadata.insert(format!("host.{name}"), value);
    }
}

/// A protobuf time as RFC 3339; empty where there is none.
pub(super) fn time(stamp: Option<prost_types::Timestamp>) -> String {
    stamp.map_or_else(String::new, |stamp| {
        crate::clock::rfc3339(stamp.seconds.saturating_mul(1000).saturating_add(i64::from(stamp.nanos) / 1_000_000))
    })
}

/// Ids as text.
pub(super) fn ids(list: &[u32]) -> String {
    list.iter().map(u32::to_string).collect::<Vec<_>>().join(",")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::{Generation, TenantId};

    fn row() -> App {
        App {
            tenant: TenantId::from_bytes([1; 16]),
            id: AppId::new(7).unwrap(),
            name: "old".into(),
            description: "old".into(),
            owner_email: "ops@acme.example".into(),
            owner: UserId::new(1),
            active: true,
            monthly_budget: 1.0,
            rate_limit: 60,
            metadata: BTreeMap::from([("old".into(), "x".into())]),
            host: crate::domain::HostState::default(),
            tools: vec![1],
            datasources: Vec::new(),
            llms: vec![
                LlmGrant { id: LlmId::new(3).unwrap(), slug: Some("gpt".into()) },
                LlmGrant { id: LlmId::new(4).unwrap(), slug: None },
            ],
            generation: Generation(5),
        }
    }

    fn host() -> HostApp {
        HostApp {
            id: AppId::new(7).unwrap(),
            name: "Shop".into(),
            description: "sells".into(),
            active: true,
            decides: false,
            owner_email: None,
            owner: None,
            monthly_budget: 9.5,
            rate_limit: None,
            llms: None,
            tools: None,
            datasources: None,
            namespace: None,
            metadata: BTreeMap::from([("tier".into(), "gold".into())]),
        }
    }

    #[test]
    fn v3_what_only_the_store_knows_stays_and_the_rest_is_the_hosts() {
        let merged = host().merged_into(row());
        let expected = App {
            name: "Shop".into(),
            description: "sells".into(),
            monthly_budget: 9.5,
            metadata: BTreeMap::from([("tier".into(), "gold".into())]),
            ..row()
        };
        assert_eq!(merged, expected);
        let full = HostApp {
            owner_email: Some("new@acme.example".into()),
            owner: UserId::new(2),
            rate_limit: Some(5),
            llms: Some(vec![LlmId::new(3).unwrap(), LlmId::new(8).unwrap()]),
            ..host()
        };
        let merged = full.merged_into(row());
        assert_eq!(
            (merged.owner_email.as_str(), merged.owner, merged.rate_limit),
            ("new@acme.example", UserId::new(2), 5)
        );
        let grants: Vec<_> = merged.llms.iter().map(|grant| (grant.id.get(), grant.slug.as_deref())).collect();
        assert_eq!(grants, [(3, Some("gpt")), (8, None)], "a grant that the host took away is gone, a slug stays");
    }

    #[test]
    fn v1_an_app_is_active_only_if_both_say_so() {
        for (ours, theirs) in [(true, true), (true, false), (false, true), (false, false)] {
            let merged = HostApp { active: theirs, ..host() }.merged_into(App { active: ours, ..row() });
            assert_eq!(merged.active, ours && theirs);
        }
    }

    #[test]
    fn v1_studio_decides_anew_and_a_gateway_only_repeats() {
        let off = HostState { active: false, gone_at_ms: Some(5) };
        for (decides, active) in [(true, true), (false, false)] {
            let merged = HostApp { decides, ..host() }.merged_into(App { host: off, ..row() });
            assert_eq!(merged.is_active(), active);
        }
        let merged = HostApp { decides: true, active: false, ..host() }.merged_into(row());
        assert!(!merged.is_active());
    }

    #[test]
    fn metadata_of_a_host_is_kept_whatever_it_is() {
        let kept = metadata(r#"{"tier":"gold","limits":{"rpm":5},"n":1,"none":null}"#);
        let expected = [("limits", r#"{"rpm":5}"#), ("n", "1"), ("none", "null"), ("tier", "gold")];
        assert_eq!(kept, expected.map(|(name, value)| (name.to_owned(), value.to_owned())).into());
        assert_eq!(metadata("[1]"), BTreeMap::from([("host.metadata".to_owned(), "[1]".to_owned())]));
        let large = format!("{{\"a\":\"{}\"}}", "x".repeat(MAX_METADATA));
        assert_eq!(metadata(&large), BTreeMap::from([("host.metadata_omitted_bytes".to_owned(), "65544".to_owned())]));
        assert!(metadata("").is_empty() && metadata("{}").is_empty() && metadata("null").is_empty());
    }
}

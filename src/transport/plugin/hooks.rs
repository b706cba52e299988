//! Object hooks: what Studio tells of Users and LLMs (host contract 8.1).
//!
//! After the fact only, and late in the order, so that nothing of Studio's waits for us or is refused by us. The object is
//! the host's raw model, password hash and keys included: only the fields below are read, in place, and none of the rest is
//! copied, kept or logged (hazard H20). What is another process's word is nobody's (rule R1).

use std::borrow::Cow;

use serde::Deserialize;
use serde::de::IgnoredAny;

use crate::directory::HostRuntime;
use crate::directory::told::Told;
use crate::domain::{LlmId, UserId};
use crate::pb::slim::plugin as pb;
use crate::transport::go_plugin::PeerInfo;
use crate::transport::plugin::{PluginService, is_host, unsupported};

/// Late, within what plugins may ask for.
const PRIORITY: i32 = 90;

/// What we want to be told of; the manifest asks for the same.
pub const HOOKS: &[(&str, &[&str])] =
    &[("user", &["after_create", "after_update", "after_delete"]), ("llm", &["after_delete"])];

/// An object of Studio, as far as we read it. Go writes a field by its tag or by its own name, and an id that a model
/// inherits beside its own: each spelling is a field, for two of them may stand in one object. A User has no switch of its
/// own; one that a later version may have counts.
#[derive(Deserialize)]
struct Model<'a> {
    id: Option<u32>,
    #[serde(rename = "ID")]
    inherited_id: Option<u32>,
    #[serde(borrow)]
    email: Option<Cow<'a, str>>,
    #[serde(borrow)]
    name: Option<Cow<'a, str>>,
    #[serde(borrow, rename = "Name")]
    untagged_name: Option<Cow<'a, str>>,
    #[serde(rename = "DeletedAt")]
    deleted_at: Option<IgnoredAny>,
    active: Option<bool>,
    is_active: Option<bool>,
    disabled: Option<bool>,
}

impl Model<'_> {
    fn id(&self) -> Option<u32> {
        [self.id, self.inherited_id].into_iter().flatten().find(|id| *id != 0)
    }

    fn active(&self) -> bool {
        self.active.unwrap_or(true) && self.is_active.unwrap_or(true) && !self.disabled.unwrap_or(false)
    }
}

/// What a hook tells of; none if it makes no sense.
fn told(request: &pb::ObjectHookRequest) -> Option<Told> {
    let (hook, kind) = (&*request.hook_type, &*request.object_type);
    if !HOOKS.iter().any(|(wanted, hooks)| *wanted == kind && hooks.contains(&hook)) {
        return None;
    }
    let model: Model<'_> = serde_json::from_slice(&request.object_json).ok()?;
    if kind == "llm" {
        return LlmId::new(model.id()?).map(Told::LlmGone);
    }
    let id = UserId::new(model.id()?)?;
    if hook == "after_delete" || model.deleted_at.is_some() {
        return Some(Told::UserGone(id));
    }
    let (active, created) = (model.active(), hook == "after_create");
    let said = |text: Option<Cow<'_, str>>| text.filter(|text| !text.is_empty()).map(Cow::into_owned);
    Some(Told::User { id, email: said(model.email), name: said(model.untagged_name.or(model.name)), active, created })
}

impl PluginService {
    /// Only Studio has hooks, and asks before `Initialize` is over for no other.
    pub(super) fn hooks(&self, peer: Option<PeerInfo>) -> pb::GetObjectHookRegistrationsResponse {
        if !self.is_studio(peer) {
            return pb::GetObjectHookRegistrationsResponse::default();
        }
        let registrations = HOOKS.iter().map(|(object_type, hooks)| pb::ObjectHookRegistration {
            object_type: (*object_type).to_owned(),
            hook_types: hooks.iter().map(|hook| (*hook).to_owned()).collect(),
            priority: PRIORITY,
        });
        pb::GetObjectHookRegistrationsResponse { registrations: registrations.collect() }
    }

    pub(super) async fn on_hook(
        &self,
        peer: Option<PeerInfo>,
        request: pb::ObjectHookRequest,
    ) -> pb::ObjectHookResponse {
        if self.is_studio(peer) {
            if let Some(told) = told(&request) {
                self.deps.lifecycle.told(told).await;
            } else {
                tracing::warn!("the host told of something that makes no sense; it is left out");
            }
        } else {
            tracing::warn!("a hook of a host that did not start this process is ignored");
        }
        unsupported::object_allowed()
    }

    pub(super) fn is_studio(&self, peer: Option<PeerInfo>) -> bool {
        is_host(peer) && self.deps.lifecycle.runtime() == Some(HostRuntime::Studio)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tell(hook: &str, kind: &str, object: &str) -> Option<Told> {
        let (hook_type, object_type) = (hook.to_owned(), kind.to_owned());
        told(&pb::ObjectHookRequest { hook_type, object_type, object_json: object.as_bytes().to_vec() })
    }

    fn user(email: Option<&str>, name: Option<&str>, active: bool) -> Told {
        let (email, name) = (email.map(str::to_owned), name.map(str::to_owned));
        Told::User { id: UserId::new(9).unwrap(), email, name, active, created: false }
    }

    /// As Studio's model is written: names without tags as Go has them.
    const ANN: &str = r#"{"ID":0,"CreatedAt":"2026-01-01T00:00:00Z","UpdatedAt":"2026-01-01T00:00:00Z","DeletedAt":null,"id":9,
        "email":"ann@acme.example","Name":"Ann","password":"$2a$10$hash","SessionToken":"s","APIKey":"k","IsAdmin":true,
        "groups":[{"id":1}],"metadata":{"a":"b"}}"#;

    #[test]
    fn h20_of_a_user_only_what_is_needed_is_read() {
        assert_eq!(tell("after_update", "user", ANN), Some(user(Some("ann@acme.example"), Some("Ann"), true)));
        let made = tell("after_create", "user", r#"{"id":9}"#);
        assert!(matches!(made, Some(Told::User { active: true, created: true, .. })), "{made:?}");
        assert_eq!(
            tell("after_update", "user", r#"{"id":9,"email":"","Name":"A\u006en"}"#),
            Some(user(None, Some("Ann"), true))
        );
    }

    #[test]
    fn v2_a_user_who_is_gone_or_switched_off_stops_working() {
        let gone = Some(Told::UserGone(UserId::new(9).unwrap()));
        assert_eq!(tell("after_delete", "user", r#"{"id":9}"#), gone);
        assert_eq!(tell("after_update", "user", r#"{"id":9,"DeletedAt":"2026-01-01T00:00:00Z"}"#), gone);
        for off in [r#"{"id":9,"is_active":false}"#, r#"{"id":9,"active":false}"#, r#"{"id":9,"disabled":true}"#] {
            assert_eq!(tell("after_update", "user", off), Some(user(None, None, false)), "{off}");
        }
    }

    #[test]
    fn what_makes_no_sense_is_left_out() {
        for (hook, kind, object) in [
            ("before_delete", "user", r#"{"id":9}"#),
            ("after_delete", "tool", r#"{"id":9}"#),
            ("after_delete", "user", r#"{"id":0}"#),
            ("after_delete", "user", r#"{"id":-1}"#),
            ("after_update", "user", "not JSON"),
            ("after_update", "llm", r#"{"id":3}"#),
            ("", "", ""),
        ] {
            assert_eq!(tell(hook, kind, object), None, "{hook} {kind} {object}");
        }
        assert_eq!(tell("after_delete", "llm", r#"{"ID":3,"api_key":"s"}"#), LlmId::new(3).map(Told::LlmGone));
    }
}

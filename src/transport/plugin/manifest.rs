//! The manifest: what the plugin is and what it asks for (host contract 6.1).
//!
//! Least privilege: `permissions.services` lists exactly what the Service API calls in the code need. A test compares the
//! two.

use serde_json::json;

use crate::transport::plugin::hooks::HOOKS;

/// The scope that each Service API method needs (host contract 4.2 and 4.3).
pub const SCOPES: &[(&str, &str)] =
    &[("get_app", "apps.read"), ("list_apps", "apps.read"), ("get_llm", "llms.read"), ("list_llms", "llms.read")];

/// The Service API scopes that we ask for.
pub const SERVICES: &[&str] = &["apps.read"];

/// What hosts are to ask us for.
const CAPABILITIES: &[&str] = &["auth", "pre_auth", "studio_ui", "object_hooks", "custom_endpoint"];

/// The same JSON for both services that are asked for it.
pub fn json() -> String {
    json!({
        "id": "dev.latchkey.auth",
        "version": env!("CARGO_PKG_VERSION"),
        "name": "Latchkey",
        "description": "Multi-tenant authentication with an embedded credential store",
        "capabilities": { "hooks": CAPABILITIES, "primary_hook": "auth" },
        "permissions": {
            "services": SERVICES,
            "object_hooks": object_hooks(),
            "rpc": ["call"],
            "ui": ["sidebar.register", "route.register"],
        },
        "ui": { "slots": [{
            "slot": "sidebar.section",
            "label": "Latchkey",
            "icon": "/assets/icon.svg",
            "items": [{
                "type": "route",
                "path": "/admin/latchkey",
                "title": "Latchkey",
                "mount": { "kind": "webc", "tag": "latchkey-admin", "entry": "/ui/admin.js", "props": {} },
            }],
        }] },
        "assets": ["/ui/admin.js", "/assets/icon.svg"],
    })
    .to_string()
}

/// The hooks that are asked for, each to be approved.
fn object_hooks() -> Vec<String> {
    let each = HOOKS.iter().flat_map(|(kind, hooks)| hooks.iter().map(move |hook| format!("{kind}.{hook}")));
    each.collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_manifest_passes_the_hosts_validation() {
        let manifest: serde_json::Value = serde_json::from_str(&json()).unwrap();
        for field in ["id", "version", "name"] {
            assert!(manifest[field].as_str().is_some_and(|text| !text.is_empty()), "{field}");
        }
        let hooks: Vec<_> = manifest["capabilities"]["hooks"].as_array().unwrap().iter().collect();
        assert!(hooks.contains(&&manifest["capabilities"]["primary_hook"]));
        for slot in manifest["ui"]["slots"].as_array().unwrap() {
            assert!(slot["slot"].is_string());
            for item in slot["items"].as_array().unwrap() {
                let entry = item["mount"]["entry"].as_str().unwrap();
                assert!(crate::transport::plugin::assets::get(entry).success, "{entry}");
            }
        }
    }

    #[test]
    fn least_privilege_the_scopes_are_those_of_the_service_api_calls_in_the_code() {
        let mut used: Vec<&str> = Vec::new();
        for file in rust_files(std::path::Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/src"))) {
            if file.ends_with("plugin/manifest.rs") {
                continue;
            }
            let text = std::fs::read_to_string(&file).unwrap();
            if !text.contains("management_service_client") {
                continue;
            }
            used.extend(SCOPES.iter().filter(|(method, _)| text.contains(&format!(".{method}("))).map(|(_, s)| *s));
        }
        used.sort_unstable();
        used.dedup();
        assert_eq!(used, SERVICES);
    }

    fn rust_files(dir: &std::path::Path) -> Vec<std::path::PathBuf> {
        let entries = std::fs::read_dir(dir).unwrap().map(|entry| entry.unwrap().path());
        let (dirs, files): (Vec<_>, Vec<_>) = entries.partition(|path| path.is_dir());
        files
            .into_iter()
            .filter(|f| f.extension().is_some_and(|e| e == "rs"))
            .chain(dirs.iter().flat_map(|d| rust_files(d)))
            .collect()
    }
}

//! The JSON schema of what a host may configure, from which Studio renders a form (host contract 6.2).
//!
//! Only settings that are not local to the machine appear (rule R2).

use serde_json::{Map, Value, json};

/// One setting that a host may set.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct HostSetting {
    /// Its key in the configuration, with underscores for dots: only top-level keys reach us.
    pub key: String,
    /// `string`, `number` or `boolean`.
    pub kind: &'static str,
    /// What it does.
    pub description: String,
    /// Its default, as text.
    pub default: String,
}

/// The schema.
pub fn render(settings: &[HostSetting]) -> String {
    let mut properties: Map<String, Value> = settings
        .iter()
        .map(|setting| {
            let default = match setting.kind {
                "number" => setting.default.parse::<f64>().ok().map(|number| json!(number)),
                "boolean" => setting.default.parse::<bool>().ok().map(|on| json!(on)),
                _ => Some(json!(setting.default)),
            };
            let mut property =
                json!({ "type": setting.kind, "title": setting.key, "description": setting.description });
            if let (Some(default), Some(property)) = (default, property.as_object_mut()) {
                property.insert("default".to_owned(), default);
            }
            (setting.key.clone(), property)
        })
        .collect();
    properties.insert("slug".to_owned(), slug());
    json!({
        "$schema": "http://json-schema.org/draft-07/schema#",
        "type": "object",
        "title": "Latchkey",
        "description": "What concerns this machine (data directory, pepper, listeners, trust) is set there, not here.",
        "properties": properties,
        "additionalProperties": true,
    })
    .to_string()
}

/// The host's own key: where it mounts our endpoints. Without it there are none (host contract 8.3).
fn slug() -> Value {
    let description = "The OAuth endpoints are at /plugins/SLUG of each gateway; without a slug there are none.";
    json!({ "type": "string", "title": "slug", "description": description, "default": "latchkey" })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_schema_is_an_object_with_typed_defaults() {
        let setting = |key: &str, kind, default: &str| HostSetting {
            key: key.into(),
            kind,
            description: "d".into(),
            default: default.into(),
        };
        let settings = [setting("a", "number", "20000"), setting("b", "boolean", "true"), setting("c", "string", "x")];
        let schema: Value = serde_json::from_str(&render(&settings)).unwrap();
        assert_eq!(schema["type"], "object");
        assert_eq!(schema["properties"]["a"]["default"], 20_000.0);
        assert_eq!(schema["properties"]["b"]["default"], true);
        assert_eq!(schema["properties"]["c"]["default"], "x");
    }
}

//! As much of JSON Schema (2020-12) as the pages' schemas use. What is not known here fails, so that nothing is passed over.

use serde_json::Value;

/// What is wrong with a value, if anything.
pub fn violation(schema: &Value, value: &Value, at: &str) -> Option<String> {
    let schema = match schema {
        Value::Bool(true) => return None,
        Value::Object(schema) => schema,
        other => return Some(format!("{at}: no schema: {other}")),
    };
    for (key, rule) in schema {
        let wrong = match key.as_str() {
            "$schema" | "title" | "description" | "default" | "format" | "writeOnly" => None,
            "type" => (!is_of(rule, value)).then(|| format!("{at}: {value} is no {rule}")),
            "const" => (rule != value).then(|| format!("{at}: {value} is not {rule}")),
            "enum" => (!rule.as_array().unwrap().contains(value)).then(|| format!("{at}: {value} is not of {rule}")),
            "minimum" => {
                (value.is_number() && value.as_f64() < rule.as_f64()).then(|| format!("{at}: {value} below {rule}"))
            }
            "maximum" => {
                (value.is_number() && value.as_f64() > rule.as_f64()).then(|| format!("{at}: {value} above {rule}"))
            }
            "anyOf" | "oneOf" => {
                let fits = rule.as_array().unwrap().iter().any(|one| violation(one, value, at).is_none());
                (!fits).then(|| format!("{at}: {value} is none of {rule}"))
            }
            "items" => value.as_array().and_then(|items| items.iter().find_map(|item| violation(rule, item, at))),
            "prefixItems" => value.as_array().and_then(|items| {
                rule.as_array().unwrap().iter().zip(items).find_map(|(rule, item)| violation(rule, item, at))
            }),
            "minItems" => {
                value.as_array().filter(|items| (items.len() as u64) < rule.as_u64().unwrap()).map(|_| at.to_owned())
            }
            "maxItems" => {
                value.as_array().filter(|items| (items.len() as u64) > rule.as_u64().unwrap()).map(|_| at.to_owned())
            }
            "properties" => value.as_object().and_then(|fields| {
                let rules = rule.as_object().unwrap();
                fields.iter().find_map(|(name, value)| violation(rules.get(name)?, value, &format!("{at}.{name}")))
            }),
            // Of objects alone: what may be null has no members then.
            "required" => value.as_object().and_then(|_| {
                let missing = |name: &&Value| value.get(name.as_str().unwrap()).is_none();
                rule.as_array().unwrap().iter().find(missing).map(|name| format!("{at}: {name} is missing"))
            }),
            "additionalProperties" => value.as_object().and_then(|fields| {
                let known = schema.get("properties").and_then(Value::as_object);
                let mut others =
                    fields.iter().filter(|(name, _)| !known.is_some_and(|known| known.contains_key(*name)));
                if *rule == Value::Bool(false) {
                    return others.next().map(|(name, _)| format!("{at}: {name} is not known"));
                }
                others.find_map(|(name, value)| violation(rule, value, &format!("{at}.{name}")))
            }),
            other => Some(format!("{at}: the rule {other} is not known to the tests")),
        };
        if wrong.is_some() {
            return wrong;
        }
    }
    None
}

fn is_of(types: &Value, value: &Value) -> bool {
    let is = |name: &str| match name {
        "null" => value.is_null(),
        "boolean" => value.is_boolean(),
        "string" => value.is_string(),
        "array" => value.is_array(),
        "object" => value.is_object(),
        "number" => value.is_number(),
        "integer" => value.is_u64() || value.is_i64(),
        _ => false,
    };
    match types {
        Value::String(name) => is(name),
        Value::Array(names) => names.iter().any(|name| is(name.as_str().unwrap())),
        _ => false,
    }
}

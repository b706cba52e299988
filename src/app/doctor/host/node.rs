//! JSON of a host, without what is not needed: members that are not on the list are passed over while they are read, so
//! that no secret of an export is ever a value here.

use std::collections::BTreeMap;
use std::fmt;

use serde::de::{Deserialize, Deserializer, IgnoredAny, MapAccess, SeqAccess, Visitor};

/// The members that are read, whatever their letters' case.
const READ: &[&str] = &[
    "active",
    "apps",
    "attributes",
    "command",
    "credential",
    "credential_active",
    "credential_id",
    "credentials",
    "data",
    "hook_type",
    "hook_types",
    "id",
    "is_active",
    "llm_ids",
    "llms",
    "meta",
    "name",
    "pagination",
    "plugin_ids",
    "plugins",
    "relationships",
    "service_access_authorized",
    "service_scopes",
    "slug",
    "total",
    "total_count",
    "total_pages",
    "type",
    "vendor",
];

/// Bytes of a text at most; what is longer is cut. More than any command may have.
const LONGEST: usize = 2_048;

/// What is kept of a value.
#[derive(Clone, PartialEq, Debug)]
pub(super) enum Node {
    /// Null, or a number that is no id.
    Nothing,
    Flag(bool),
    Number(u64),
    Text(String),
    List(Vec<Node>),
    Members(Members),
}

/// The members of an object that are read.
pub(super) type Members = BTreeMap<&'static str, Node>;

impl Node {
    pub(super) fn text(&self) -> Option<&str> {
        if let Self::Text(text) = self { Some(text) } else { None }
    }

    pub(super) fn flag(&self) -> Option<bool> {
        if let Self::Flag(flag) = self { Some(*flag) } else { None }
    }

    pub(super) fn list(&self) -> Option<&[Node]> {
        if let Self::List(list) = self { Some(list) } else { None }
    }

    pub(super) fn members(&self) -> Option<&Members> {
        if let Self::Members(members) = self { Some(members) } else { None }
    }

    /// A number, also one that is written as a text.
    pub(super) fn number(&self) -> Option<u64> {
        match self {
            Self::Number(number) => Some(*number),
            Self::Text(text) => text.parse().ok(),
            _ => None,
        }
    }
}

impl<'de> Deserialize<'de> for Node {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(Reader)
    }
}

struct Reader;

impl<'de> Visitor<'de> for Reader {
    type Value = Node;

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("JSON")
    }

    fn visit_unit<E>(self) -> Result<Node, E> {
        Ok(Node::Nothing)
    }

    fn visit_bool<E>(self, flag: bool) -> Result<Node, E> {
        Ok(Node::Flag(flag))
    }

    fn visit_u64<E>(self, number: u64) -> Result<Node, E> {
        Ok(Node::Number(number))
    }

    fn visit_i64<E>(self, number: i64) -> Result<Node, E> {
        Ok(Node::Text(number.to_string()))
    }

    fn visit_f64<E>(self, number: f64) -> Result<Node, E> {
        Ok(Node::Text(number.to_string()))
    }

    fn visit_str<E>(self, text: &str) -> Result<Node, E> {
        let end = (0..=LONGEST.min(text.len())).rev().find(|end| text.is_char_boundary(*end)).unwrap_or(0);
        Ok(Node::Text(text.get(..end).unwrap_or_default().to_owned()))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Node, A::Error> {
        let mut list = Vec::new();
        while let Some(item) = items.next_element()? {
            list.push(item);
        }
        Ok(Node::List(list))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Node, A::Error> {
        let mut members = Members::new();
        while let Some(name) = map.next_key::<String>()? {
            match READ.iter().find(|known| known.eq_ignore_ascii_case(&name)) {
                Some(known) => {
                    members.insert(known, map.next_value()?);
                }
                None => {
                    map.next_value::<IgnoredAny>()?;
                }
            }
        }
        Ok(Node::Members(members))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_is_on_the_list_is_read() {
        let text = r#"{"ID": 7, "api_key": "CANARY", "config": {"name": "CANARY"}, "credential": {"id": 1, "key_id": "CANARY",
            "secret": "CANARY", "active": true}, "attributes": [{"name": "x", "metadata": {"id": "CANARY"}}], "id2": -1}"#;
        let node: Node = serde_json::from_str(text).unwrap();
        let told = format!("{node:?}");
        assert!(!told.contains("CANARY"), "{told}");
        let members = node.members().unwrap();
        assert_eq!(members["id"].number(), Some(7));
        assert_eq!(members["credential"].members().unwrap()["active"].flag(), Some(true));
        assert_eq!(members["attributes"].list().unwrap()[0].members().unwrap()["name"].text(), Some("x"));
    }

    #[test]
    fn odd_numbers_and_long_texts_are_no_trouble() {
        let node: Node = serde_json::from_str(&format!(r#"[-3, 1.5, null, "9", "{}"]"#, "ä".repeat(5_000))).unwrap();
        let list = node.list().unwrap();
        assert_eq!(list[..3], [Node::Text("-3".into()), Node::Text("1.5".into()), Node::Nothing]);
        assert_eq!(list[3].number(), Some(9));
        assert_eq!(list[4].text().unwrap().len(), LONGEST);
    }
}

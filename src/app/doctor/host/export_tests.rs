//! The shapes in which a host may tell the same.

use super::*;

fn export(texts: &[&str]) -> Export {
    let mut export = Export::default();
    for text in texts {
        export.read(text.as_bytes()).unwrap();
    }
    export
}

#[test]
fn a_plugin_is_the_same_in_every_wrapping() {
    let plain = r#"{"id": 5, "name": "Latchkey", "command": "plugins/latchkey", "hook_type": "auth",
        "hook_types": ["auth", "pre_auth"], "is_active": true, "service_scopes": ["apps.read"],
        "service_access_authorized": false}"#;
    let attributes = plain.replacen(r#""id": 5, "#, "", 1);
    let api = format!(r#"{{"type": "plugins", "id": "5", "attributes": {attributes}}}"#);
    for text in [
        plain.to_owned(),
        format!("[{plain}]"),
        format!(r#"{{"data": {plain}}}"#),
        format!(r#"{{"data": [{api}], "meta": {{"total_count": 1, "total_pages": 1}}}}"#),
        format!(r#"{{"plugins": {{"data": [{api}]}}}}"#),
        plain.replacen("\"id\"", "\"ID\"", 1),
    ] {
        let export = export(&[&text]);
        let plugin = export.plugins.get(&5).unwrap_or_else(|| panic!("{text}"));
        assert_eq!(plugin.name.as_deref(), Some("Latchkey"), "{text}");
        assert_eq!((plugin.has("pre_auth"), plugin.has("agent")), (Some(true), Some(false)));
        assert_eq!((plugin.active, plugin.approved), (Some(true), Some(false)));
        assert!(plugin.scopes.as_ref().unwrap().contains("apps.read") && export.strange == 0);
    }
}

#[test]
fn links_come_from_ids_objects_and_relationships_and_are_unknown_otherwise() {
    for (text, expected) in [
        (r#"[{"id": 3, "vendor": "openai", "plugins": [{"id": 5}, {"id": "6"}]}]"#, Some(vec![5, 6])),
        (r#"{"llms": [{"id": 3, "plugin_ids": [5]}]}"#, Some(vec![5])),
        (
            r#"{"type": "llm", "id": "3", "attributes": {"name": "x"}, "relationships": {"plugins": {"data": []}}}"#,
            Some(vec![]),
        ),
        (r#"[{"id": 3, "vendor": "openai", "plugins": null}]"#, None),
        (r#"[{"id": 3, "vendor": "openai", "plugins": [{"id": "x"}]}]"#, None),
        (r#"[{"id": 3, "vendor": "openai"}]"#, None),
    ] {
        let export = export(&[text]);
        let found = export.llms.get(&3).unwrap_or_else(|| panic!("{text}")).plugins.clone();
        assert_eq!(found.map(|ids| ids.into_iter().collect::<Vec<_>>()), expected, "{text}");
        assert!(export.plugins.is_empty(), "a reference is not a description: {text}");
    }
    let both = export(&[
        r#"[{"id":3,"vendor":"v","slug":"gpt"}]"#,
        r#"{"llms":[{"id":3,"plugins":[{"id":5,"hook_type":"auth"}]}]}"#,
    ]);
    assert_eq!((both.llms[&3].slug.as_deref(), both.plugins[&5].has("auth")), (Some("gpt"), Some(true)));
}

#[test]
fn whether_an_app_has_an_active_secret_is_read_and_the_secret_is_not() {
    for (text, expected) in [
        (r#"{"apps": [{"id": 7, "credential": {"id": 1, "secret": "CANARY", "active": true}}]}"#, BuiltIn::Active),
        (r#"{"apps": [{"id": 7, "credential": {"id": 1, "secret": "CANARY", "active": false}}]}"#, BuiltIn::Closed),
        (r#"{"apps": [{"id": 7, "credential_id": 0}]}"#, BuiltIn::Closed),
        (r#"{"apps": [{"id": 7, "credential_id": 4}]}"#, BuiltIn::Unknown),
        (r#"{"apps": [{"id": 7, "credential_id": 4}], "credentials": [{"id": 4, "active": true}]}"#, BuiltIn::Active),
        (r#"{"apps": [{"id": 7, "credentials": [{"is_active": false}, {"is_active": true}]}]}"#, BuiltIn::Active),
        (r#"{"apps": [{"id": 7, "credentials": []}]}"#, BuiltIn::Closed),
        (r#"{"apps": [{"id": 7, "credentials": [{"id": 2}]}]}"#, BuiltIn::Unknown),
        (r#"{"apps": [{"id": 7, "name": "Shop"}]}"#, BuiltIn::Unknown),
    ] {
        let export = export(&[text]);
        assert_eq!(export.built_in(&export.apps[&7]), expected, "{text}");
        assert!(!format!("{export:?}").contains("CANARY"));
    }
}

#[test]
fn a_list_is_whole_only_if_somebody_says_so_and_it_is() {
    let page = |id: u32, meta: &str| {
        format!(r#"{{"data":[{{"type":"apps","id":"{id}","attributes":{{}}}}],"meta":{{{meta}}}}}"#)
    };
    let whole = |texts: &[&str], assured| export(texts).is_whole(Kind::App, assured);
    let one_of = |total: u32| page(7, &format!(r#""total_count":{total}"#));
    assert!(whole(&[&one_of(1)], false) && !whole(&[&one_of(2)], false) && !whole(&[&one_of(2)], true));
    let bare = page(7, "");
    assert!(!whole(&[&bare], false) && whole(&[&bare], true), "nobody says so but the operator");
    assert!(!whole(&["[]"], false) && !whole(&["[]"], true), "nothing may be a list that was forgotten");
    let (first, second) = (page(7, r#""total_pages":2"#), page(8, r#""total_pages":2"#));
    assert!(!whole(&[&first], true) && whole(&[&first, &second], false));
    assert!(whole(&[&format!("{first}\n{second}")], false), "one after the other");
    let answer = |id: u32, total: u32| {
        format!("HTTP/2 200\r\ncontent-type: application/json\r\nX-Total-Count: {total}\r\n\r\n{}", page(id, ""))
    };
    assert!(whole(&[&answer(7, 1)], false) && !whole(&[&answer(7, 2)], true));
    assert!(whole(&[&[answer(7, 2), answer(8, 2)].concat()], false), "as curl -i prints them");
}

#[test]
fn ids_that_are_none_and_objects_that_are_nothing_are_counted() {
    let export = export(&[
        r#"{"apps":[{"id":"shop"},{"id":0},{"id":-1},{"id":4294967296},{"id":1.5}]}"#,
        r#"[{"id":1},{"x":2}]"#,
    ]);
    assert_eq!(export.odd_apps.len(), 5);
    assert_eq!(export.strange, 2);
    assert!(Export::default().read(b"{").is_err() && Export::default().read(b"[] {").is_err());
    for text in ["3", "", "HTTP/2 204\r\n\r\n", "HTTP/1.1 200 OK\n\n[]\n"] {
        assert!(Export::default().read(text.as_bytes()).is_ok(), "{text}");
    }
}

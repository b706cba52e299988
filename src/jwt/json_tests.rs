//! Tests of the JSON that a token may have.
use super::*;
use proptest::prelude::*;

proptest! {
    #[test]
    fn any_bytes_end_in_an_answer(bytes in any::<Vec<u8>>()) {
        let _ = object(&bytes);
    }

    #[test]
    fn what_is_read_is_what_a_lax_parser_reads_too(text in r#"\{("[ab\\"u0-9]{0,6}"|[\[\]{}:,0-9.eE+\- ]|true|null|\\u[d0-9][0-9c8]{3}){0,12}\}"#) {
        if let Ok(ours) = object(text.as_bytes()) {
            let theirs: serde_json::Value = serde_json::from_str(&text).unwrap();
            let again: serde_json::Value = serde_json::from_str(&ours.to_json()).unwrap();
            prop_assert_eq!(theirs, again);
        }
    }

    #[test]
    fn every_text_survives(text in any::<String>()) {
        let json = serde_json::json!({ "t": text.clone() }).to_string();
        let read = object(json.as_bytes()).unwrap();
        prop_assert_eq!(read.get("t"), Some(&Value::Text(text)));
        prop_assert_eq!(read.to_json(), json);
    }
}

fn fault(text: &str) -> Option<Fault> {
    object(text.as_bytes()).err()
}

#[test]
fn a_name_stands_once_however_it_is_written() {
    for twice in [r#"{"a":1,"a":1}"#, r#"{"exp":1,"\u0065xp":2}"#, r#"{"x":{"a":1,"a":2}}"#, r#"{"x":[{"a":1,"a":2}]}"#]
    {
        assert_eq!(fault(twice), Some(Fault::JsonDuplicate), "{twice}");
    }
    assert_eq!(fault(r#"{"exp":1,"Exp":2}"#), None, "names are case-sensitive");
}

#[test]
fn only_one_object_and_only_utf_8() {
    for other in ["[]", "1", "\"a\"", "null", " true"] {
        assert_eq!(fault(other), Some(Fault::JsonNotObject), "{other}");
    }
    for wrong in [
        "",
        " ",
        "{",
        "{}x",
        "{} {}",
        "{\"a\":1,}",
        "{\"a\" 1}",
        "{a:1}",
        "{'a':1}",
        "{\"a\":+1}",
        "{\"a\":01}",
        "{\"a\":1.}",
        "{\"a\":.5}",
        "{\"a\":1e}",
        "{\"a\":NaN}",
        "{\"a\":tru}",
        "{\"a\":\"\n\"}",
        "{\"a\":\"\\x\"}",
        "{\"a\":\"\\u00g0\"}",
        "{\"a\":1}//",
        "{\"a\":[1,]}",
        "{,}",
        "{\"a\":\"\0\"}",
        "{\"a\":\u{a0}1}",
    ] {
        assert_eq!(fault(wrong), Some(Fault::JsonSyntax), "{wrong}");
    }
    let encodings: [&[u8]; 5] =
        [b"\xef\xbb\xbf{}", b"\xff\xfe{\0}\0", b"{\"a\":\"\xc0\xaf\"}", b"{\"a\":\"\xed\xa0\x80\"}", b"{\"\xff\":1}"];
    for bytes in encodings {
        assert_eq!(object(bytes).err(), Some(Fault::JsonEncoding), "{bytes:?}");
    }
    assert_eq!(fault("{\0}"), Some(Fault::JsonSyntax), "utf-16 without a mark");
    for half in [r#"{"a":"\ud800"}"#, r#"{"a":"\udc00\ud800"}"#, r#"{"a":"\ud800\u0041"}"#, r#"{"a":"\ud800x"}"#] {
        assert_eq!(fault(half), Some(Fault::JsonSurrogate), "{half}");
    }
    assert_eq!(object(br#"{"a":"\ud83d\ude00"}"#).unwrap().get("a"), Some(&Value::Text("😀".into())));
}

#[test]
fn numbers_stay_what_they_were() {
    let read = object(br#"{"a":9223372036854775807,"b":9223372036854775808,"c":1.0,"d":1e3,"e":-0,"f":-5}"#).unwrap();
    assert_eq!(read.get("a"), Some(&Value::Integer(i64::MAX)));
    for (name, written) in [("b", "9223372036854775808"), ("c", "1.0"), ("d", "1e3"), ("e", "-0")] {
        assert_eq!(read.get(name), Some(&Value::Number(written.into())));
    }
    assert_eq!(read.get("f"), Some(&Value::Integer(-5)));
}

#[test]
fn limits_are_kept() {
    let deep = |n: usize| format!("{{\"a\":{}{}}}", "[".repeat(n), "]".repeat(n));
    assert_eq!(fault(&deep(MAX_DEPTH - 1)), None);
    assert_eq!(fault(&deep(MAX_DEPTH)), Some(Fault::JsonLimits));
    assert_eq!(fault(&"{\"a\":".repeat(100_000)), Some(Fault::JsonLimits));
    let members = |n: usize| format!("{{{}}}", (0..n).map(|i| format!("\"{i}\":0")).collect::<Vec<_>>().join(","));
    assert_eq!(fault(&members(MAX_MEMBERS)), None);
    assert_eq!(fault(&members(MAX_MEMBERS + 1)), Some(Fault::JsonLimits));
    let list = |n: usize| format!("{{\"a\":[{}]}}", vec!["0"; n].join(","));
    assert_eq!(fault(&list(MAX_ELEMENTS)), None);
    assert_eq!(fault(&list(MAX_ELEMENTS + 1)), Some(Fault::JsonLimits));
    assert_eq!(fault(r#"{"a":1e308}"#), None);
    assert_eq!(fault(r#"{"a":1e309}"#), Some(Fault::JsonLimits));
    assert_eq!(fault(&format!("{{\"a\":1{}}}", "0".repeat(MAX_NUMBER_LEN))), Some(Fault::JsonLimits));
}

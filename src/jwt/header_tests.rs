//! Tests of what a header may ask for.
use super::*;
use proptest::prelude::*;

fn parse(json: &str) -> Result<Header, Fault> {
    Header::parse(compact::encode(json.as_bytes()).as_bytes())
}

proptest! {
    #[test]
    fn any_bytes_end_in_an_answer(bytes in any::<Vec<u8>>()) {
        let _ = Header::parse(&bytes);
        let _ = Header::parse(compact::encode(&bytes).as_bytes());
    }
}

#[test]
fn the_algorithm_is_one_of_ours_by_its_exact_name() {
    for (json, fault) in [
        ("{}", Fault::AlgorithmMissing),
        (r#"{"Alg":"ES256"}"#, Fault::NameVariant),
        (r#"{"alg":"ES256","Crit":["exp"]}"#, Fault::NameVariant),
        (r#"{"alg":null}"#, Fault::AlgorithmType),
        (r#"{"alg":["ES256"]}"#, Fault::AlgorithmType),
        (r#"{"alg":256}"#, Fault::AlgorithmType),
        (r#"{"alg":"none"}"#, Fault::AlgorithmNone),
        (r#"{"alg":"nOnE"}"#, Fault::AlgorithmNone),
        (r#"{"alg":"\u006eone"}"#, Fault::AlgorithmNone),
        (r#"{"alg":""}"#, Fault::AlgorithmUnknown),
        (r#"{"alg":"es256"}"#, Fault::AlgorithmUnknown),
        (r#"{"alg":"ES256K"}"#, Fault::AlgorithmUnknown),
        (r#"{"alg":"ES256","alg":"none"}"#, Fault::JsonDuplicate),
    ] {
        assert_eq!(parse(json).err(), Some(fault), "{json}");
    }
    assert_eq!(parse(r#"{"alg":"ES256"}"#).unwrap().algorithm(), Algorithm::ES256);
}

#[test]
fn what_would_have_us_do_more_is_refused_whatever_it_says() {
    for (name, fault) in REFUSED {
        for value in ["null", "[]", "true", "\"\"", "{}"] {
            assert_eq!(parse(&format!(r#"{{"alg":"ES256","{name}":{value}}}"#)).err(), Some(*fault), "{name} {value}");
        }
    }
    assert!(parse(r#"{"alg":"ES256","x5t":"abc","nonce":"n","anything":{"crit":1}}"#).is_ok());
    let nested = compact::encode(br#"{"alg":"ES256","cty":"JWT"}"#);
    assert!(Header::parse_raw(nested.as_bytes()).is_ok() && Header::parse(nested.as_bytes()).is_err());
}

#[test]
fn a_kid_is_a_short_text_that_moves_nothing() {
    for wrong in [r#""""#, "null", "7", "[]", "{}", r#""a\u0000b""#, r#""a\r\nb""#, r#""\u0085""#] {
        assert_eq!(parse(&format!(r#"{{"alg":"ES256","kid":{wrong}}}"#)).err(), Some(Fault::KidInvalid), "{wrong}");
    }
    let of = |n: usize| parse(&format!(r#"{{"alg":"ES256","kid":"{}"}}"#, "k".repeat(n)));
    assert_eq!(of(MAX_KID_LEN).unwrap().kid().map(str::len), Some(MAX_KID_LEN));
    assert_eq!(of(MAX_KID_LEN + 1).err(), Some(Fault::KidInvalid));
    // What looks like a path or a query is a name that no key has.
    for odd in ["../../etc/passwd", "' OR 1=1 --", "| id"] {
        assert_eq!(parse(&format!(r#"{{"alg":"ES256","kid":"{odd}"}}"#)).unwrap().kid(), Some(odd));
    }
}

#[test]
fn a_type_is_compared_as_media_types_are() {
    for (written, typ) in
        [("at+jwt", "at+jwt"), ("AT+JWT", "at+jwt"), ("application/at+jwt", "at+jwt"), ("Application/JWT", "jwt")]
    {
        assert_eq!(parse(&format!(r#"{{"alg":"ES256","typ":"{written}"}}"#)).unwrap().typ(), typ);
    }
    assert_eq!(parse(r#"{"alg":"ES256"}"#).unwrap().typ(), "");
    for wrong in [r#""""#, r#""application/""#, "null", "1", r#""at jwt""#, r#""at+jwt;v=1""#, "\"ȧt+jwt\""] {
        assert_eq!(parse(&format!(r#"{{"alg":"ES256","typ":{wrong}}}"#)).err(), Some(Fault::TypeInvalid), "{wrong}");
    }
}

#[test]
fn a_long_header_is_not_read() {
    let long = format!(r#"{{"alg":"ES256","x":"{}"}}"#, "a".repeat(MAX_HEADER_LEN));
    assert_eq!(parse(&long).err(), Some(Fault::HeaderTooLong));
}

//! Tests of the types of claims and of the boundaries of their rules.
use super::*;
use proptest::prelude::*;

const NOW_S: i64 = 1_800_000_000;

fn parse(json: &str) -> Result<Claims, Fault> {
    Claims::parse(compact::encode(json.as_bytes()).as_bytes())
}

fn header(typ: &str) -> Header {
    let json =
        if typ.is_empty() { r#"{"alg":"ES256"}"#.to_owned() } else { format!(r#"{{"alg":"ES256","typ":"{typ}"}}"#) };
    Header::parse(compact::encode(json.as_bytes()).as_bytes()).unwrap()
}

const RULES: Rules<'static> =
    Rules { issuer: None, audiences: None, types: None, leeway_s: 0, max_age_s: None, required: &[] };

fn judged(json: &str, rules: &Rules<'_>, now_ms: i64) -> Option<Fault> {
    check(&header(""), &parse(json).unwrap(), rules, now_ms).err()
}

proptest! {
    #[test]
    fn any_bytes_end_in_an_answer(bytes in any::<Vec<u8>>()) {
        let _ = Claims::parse(&bytes);
        let _ = Claims::parse(compact::encode(&bytes).as_bytes());
    }

    #[test]
    fn no_moment_overflows(exp in 0..=MAX_TIME_S, nbf in 0..=MAX_TIME_S, leeway in any::<u32>(), age in any::<u32>(), now in any::<i64>()) {
        if let Ok(claims) = parse(&format!(r#"{{"exp":{exp},"nbf":{nbf},"iat":{nbf}}}"#)) {
            let rules = Rules { leeway_s: leeway, max_age_s: Some(age), ..RULES };
            let _ = check(&header(""), &claims, &rules, now);
        }
    }
}

#[test]
fn a_wrong_type_is_not_absence() {
    for name in ["exp", "nbf", "iat"] {
        for value in
            ["\"1800000000\"", "1800000000.0", "1.8e9", "1e300", "null", "true", "[]", "{}", "99999999999999999999"]
        {
            assert_eq!(parse(&format!(r#"{{"{name}":{value}}}"#)).err(), Some(Fault::TimeType), "{name} {value}");
        }
        for value in [-1, 1_800_000_000_000, MAX_TIME_S + 1, i64::MIN] {
            assert_eq!(parse(&format!(r#"{{"{name}":{value}}}"#)).err(), Some(Fault::TimeRange), "{name} {value}");
        }
    }
    let texts = [
        ("iss", Fault::IssuerType),
        ("sub", Fault::SubjectType),
        ("jti", Fault::TokenIdType),
        ("aud", Fault::AudienceType),
    ];
    for (name, fault) in texts {
        for value in
            ["null", "7", "{}", "\"\"", r#""a\u0000""#, r#""a\nb""#, "true", "[]", "[[\"a\"]]", "[\"a\",7]", "[\"\"]"]
        {
            assert_eq!(parse(&format!(r#"{{"{name}":{value}}}"#)).err(), Some(fault), "{name} {value}");
        }
    }
    assert_eq!(parse(r#"{"iss":["a"]}"#).err(), Some(Fault::IssuerType));
    let many = |n: usize| format!(r#"{{"aud":[{}]}}"#, vec!["\"a\""; n].join(","));
    assert_eq!(parse(&many(MAX_AUDIENCES)).unwrap().audiences().len(), MAX_AUDIENCES);
    assert_eq!(parse(&many(MAX_AUDIENCES + 1)).err(), Some(Fault::AudienceType));
    assert_eq!(parse(r#"{"exp":5,"nbf":6}"#).err(), Some(Fault::TimesContradict));
    assert_eq!(parse(r#"{"exp":5,"iat":6}"#).err(), Some(Fault::TimesContradict));
    assert!(parse(r#"{"exp":5,"iat":5,"nbf":5}"#).is_ok());
}

#[test]
fn times_are_exact_at_their_boundaries() {
    let now = NOW_S * 1000;
    for leeway_s in [0, 30, 60] {
        let rules = Rules { leeway_s, ..RULES };
        let leeway = i64::from(leeway_s) * 1000;
        let ends = format!(r#"{{"exp":{NOW_S}}}"#);
        assert_eq!(judged(&ends, &rules, now + leeway - 1), None);
        assert_eq!(judged(&ends, &rules, now + leeway), Some(Fault::Expired));
        let begins = format!(r#"{{"exp":{},"nbf":{NOW_S}}}"#, NOW_S + 1000);
        assert_eq!(judged(&begins, &rules, now - leeway), None);
        assert_eq!(judged(&begins, &rules, now - leeway - 1), Some(Fault::NotYetValid));
        let issued = format!(r#"{{"exp":{},"iat":{NOW_S}}}"#, NOW_S + 1000);
        assert_eq!(judged(&issued, &rules, now - leeway), None);
        assert_eq!(judged(&issued, &rules, now - leeway - 1), Some(Fault::IssuedInFuture));
        let aged = Rules { max_age_s: Some(100), ..rules };
        assert_eq!(judged(&issued, &aged, now + 100_000 + leeway), None);
        assert_eq!(judged(&issued, &aged, now + 100_001 + leeway), Some(Fault::TooOld));
        assert_eq!(judged(&format!(r#"{{"exp":{}}}"#, NOW_S + 1000), &aged, now), Some(Fault::IssuedMissing));
    }
    let wide = Rules { leeway_s: 3600, ..RULES };
    assert_eq!(judged(&format!(r#"{{"exp":{NOW_S}}}"#), &wide, now + 60_000), Some(Fault::Expired), "60 s at most");
    assert_eq!(judged("{}", &RULES, now), Some(Fault::ExpiryMissing));
    for both in ["", r#""exp":1900000000,"#] {
        assert_eq!(parse(&format!(r#"{{{both}"Exp":1900000000}}"#)).err(), Some(Fault::NameVariant));
    }
    let claims = parse(&format!(r#"{{"exp":{NOW_S},"nbf":1,"iat":2}}"#)).unwrap();
    assert_eq!((claims.expires_at_ms(), claims.not_before_ms(), claims.issued_at_ms()), (now, Some(1000), Some(2000)));
}

#[test]
fn issuer_and_audience_are_exact() {
    let ours = ["https://api.example".to_owned()];
    let rules = Rules { issuer: Some("https://id.example"), audiences: Some(&ours), ..RULES };
    let with = |iss: &str, aud: &str| judged(&format!(r#"{{"exp":{MAX_TIME_S},"iss":{iss},"aud":{aud}}}"#), &rules, 0);
    assert_eq!(with("\"https://id.example\"", "\"https://api.example\""), None);
    assert_eq!(with("\"https://id.example\"", "[\"a\",\"https://api.example\"]"), None);
    for iss in [
        "https://id.example/",
        "https://id.example.evil",
        "http://id.example",
        "https://ID.example",
        "https://іd.example",
    ] {
        assert_eq!(with(&format!("\"{iss}\""), "\"x\""), Some(Fault::IssuerOther), "{iss}");
    }
    for aud in ["https://api.example/", "https://api", "api.example", "https://API.example", "https://аpi.example", "*"]
    {
        assert_eq!(with("\"https://id.example\"", &format!("\"{aud}\"")), Some(Fault::AudienceOther), "{aud}");
    }
    let only = |json: &str| judged(json, &rules, 0);
    assert_eq!(only(r#"{"exp":9}"#), Some(Fault::IssuerMissing));
    assert_eq!(only(r#"{"exp":9,"iss":"https://id.example"}"#), Some(Fault::AudienceMissing));
}

#[test]
fn only_access_tokens_of_the_types_that_are_taken() {
    let types = ["at+jwt".to_owned(), String::new(), "jwt".to_owned()];
    let rules = Rules { types: Some(&types), ..RULES };
    let with = |typ: &str, more: &str| {
        let claims = parse(&format!(r#"{{"exp":{MAX_TIME_S}{more}}}"#)).unwrap();
        check(&header(typ), &claims, &rules, 0).err()
    };
    for typ in ["at+jwt", "AT+jwt", "application/at+jwt", "", "JWT"] {
        assert_eq!(with(typ, ""), None, "{typ}");
    }
    for typ in ["jose", "id+jwt", "x+at+jwt", "application/x"] {
        assert_eq!(with(typ, ""), Some(Fault::TypeNotAllowed), "{typ}");
    }
    for typ in ["logout+jwt", "secevent+jwt", "dpop+jwt", "LOGOUT+JWT"] {
        assert_eq!(with(typ, ""), Some(Fault::NotAccessToken), "{typ}");
    }
    for more in
        [r#","at_hash":"x""#, r#","c_hash":"x""#, r#","events":{}"#, r#","token_use":"id""#, r#","token_use":1"#]
    {
        assert_eq!(with("JWT", more), Some(Fault::NotAccessToken), "{more}");
        assert_eq!(with("", more), Some(Fault::NotAccessToken), "{more}");
        assert_eq!(with("at+jwt", more), None, "{more}");
    }
    assert_eq!(with("JWT", r#","token_use":"access""#), None);
}

#[test]
fn what_is_required_is_there_and_no_proof_is_asked_for() {
    let paths = [ClaimPath::parse("a.b").unwrap()];
    let rules = Rules { required: &paths, ..RULES };
    let with = |more: &str| judged(&format!(r#"{{"exp":{MAX_TIME_S}{more}}}"#), &rules, 0);
    assert_eq!(with(r#","a":{"b":0}"#), None);
    for more in ["", r#","a":{}"#, r#","a":{"b":null}"#, r#","a":"b""#, r#","a.b":1"#] {
        assert_eq!(with(more), Some(Fault::ClaimMissing), "{more}");
    }
    for cnf in ["{}", "null", r#"{"jkt":"x"}"#] {
        assert_eq!(judged(&format!(r#"{{"exp":{MAX_TIME_S},"cnf":{cnf}}}"#), &RULES, 0), Some(Fault::Confirmation));
    }
    let claims = parse(r#"{"r":["x","y"],"s":"x","n":[1],"https://a.b/c":7}"#).unwrap();
    let path = |text: &str| ClaimPath::parse(text).unwrap();
    assert_eq!(claims.text_or_list(&path("r")), Some(vec!["x", "y"]));
    assert_eq!(claims.text_or_list(&path("s")), Some(vec!["x"]));
    assert_eq!(claims.text_or_list(&path("n")), None);
    assert_eq!(claims.get(&path("https://a.b/c")), Some(&Value::Integer(7)));
}

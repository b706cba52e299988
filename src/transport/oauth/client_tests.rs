use super::*;
use crate::transport::oauth::form::Form;

const FORM: Option<&[u8]> = Some(b"application/x-www-form-urlencoded");

fn form(body: &str) -> Form {
    Form::parse(FORM, body.as_bytes()).ok().unwrap()
}

/// The id and key that were shown, or why none was.
#[expect(clippy::disallowed_methods, reason = "a test looks at what it sent")]
fn read(headers: &[&str], body: &str, ways: Ways) -> Read {
    let headers: Vec<&[u8]> = headers.iter().map(|header| header.as_bytes()).collect();
    match shown(&headers, &mut form(body), ways) {
        Ok(shown) => {
            let id = shown.id.map(|id| id.to_string()).unwrap_or_default();
            Ok((id, String::from_utf8(shown.key.expose().to_vec()).unwrap(), shown.challenge))
        }
        Err(Unshown::Wrong(_)) => Err("wrong".to_owned()),
        Err(Unshown::Absent) => Err("absent".to_owned()),
        Err(Unshown::Junk(challenge)) => Err(format!("junk {challenge:?}")),
    }
}

fn with(scheme: &str, pair: &str) -> String {
    format!("{scheme}{}", STANDARD.encode(pair))
}

type Read = Result<(String, String, Challenge), String>;

#[expect(clippy::unnecessary_wraps, reason = "it is compared with what was read")]
fn is(id: &str, key: &str, challenge: Challenge) -> Read {
    Ok((id.to_owned(), key.to_owned(), challenge))
}

#[test]
fn basic_is_read_as_rfc_6749_encodes_it_in_any_case_of_its_name() {
    for scheme in ["Basic ", "basic ", "BASIC  "] {
        assert_eq!(read(&[&with(scheme, "id:key")], "", Ways::Client), is("id", "key", Challenge::Basic), "{scheme}");
    }
    let encoded = with("Basic ", "i%64:k%3Ae%2by");
    assert_eq!(read(&[&encoded], "", Ways::Client), is("id", "k:e+y", Challenge::Basic));
    assert_eq!(read(&[&with("Basic ", ":key")], "", Ways::Client), is("", "key", Challenge::Basic));
    assert_eq!(read(&[&with("Basic ", "id:k:e:y")], "", Ways::Client), is("id", "k:e:y", Challenge::Basic));
}

#[test]
fn what_is_no_basic_is_junk_and_what_is_no_header_is_wrong() {
    let junk = Err("junk Basic".to_owned());
    for header in ["Basic", "Basic ", "Basic !", "Basic aWQ", "Basic aWQ6a2V5=", "Digest x", "Bearer key", "Negotiate"]
    {
        assert_eq!(read(&[header], "", Ways::Client), junk, "{header}");
    }
    for pair in ["id", "id:", "id:ke y", "id:ke%0ay", "id:%zz", "id:%ff", "id:Bearer+key"] {
        assert_eq!(read(&[&with("Basic ", pair)], "", Ways::Client), junk, "{pair}");
    }
    for header in ["", " Basic x", "Basic\taWQ6a2V5", "Basic\t aWQ6a2V5", "Ba:sic x"] {
        assert_eq!(read(&[header], "", Ways::Client), Err("wrong".to_owned()), "{header:?}");
    }
}

#[test]
fn one_way_at_a_time() {
    let (basic, both) = (with("Basic ", "id:key"), "client_id=id&client_secret=key");
    assert_eq!(read(&[], both, Ways::Client), is("id", "key", Challenge::Basic));
    assert_eq!(read(&[], "client_secret=key", Ways::Client), is("", "key", Challenge::Basic));
    assert_eq!(read(&[], "client_id=id", Ways::Client), Err("absent".to_owned()));
    assert_eq!(read(&[], "", Ways::Client), Err("absent".to_owned()));
    for (headers, body) in [
        (vec![basic.as_str()], both),
        (vec![basic.as_str()], "client_secret=key"),
        (vec![basic.as_str()], "client_id=id"),
        (vec!["Bearer x"], "client_id=id"),
        (vec![basic.as_str(), basic.as_str()], ""),
    ] {
        assert_eq!(read(&headers, body, Ways::Resource), Err("wrong".to_owned()), "{body}");
    }
}

#[test]
fn bearer_is_one_where_a_resource_asks() {
    assert_eq!(read(&["bearer key"], "", Ways::Resource), is("", "key", Challenge::Bearer));
    assert_eq!(read(&["Bearer Bearer key"], "", Ways::Resource), Err("junk Bearer".to_owned()));
    assert_eq!(read(&["Bearer"], "", Ways::Resource), Err("junk Bearer".to_owned()));
}

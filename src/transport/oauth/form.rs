//! What a request's body says: `application/x-www-form-urlencoded`, as RFC 6749 appendix B has it, and nothing lax.

use zeroize::{Zeroize as _, Zeroizing};

/// Most parameters of a request; those that we know are a dozen.
const MOST: usize = 32;

/// Why a body is none that we read; for the caller, who wrote it.
pub(super) type Fault = &'static str;

/// The parameters. Their values are wiped when they are done with, for secrets are among them.
pub(super) struct Form(Vec<(Zeroizing<String>, Zeroizing<String>)>);

impl Form {
    /// Each name at most once, known or not (RFC 6749 section 3.2). One without a value counts as not given (section 3.1).
    ///
    /// # Errors
    /// What is wrong.
    pub(super) fn parse(content_type: Option<&[u8]>, body: &[u8]) -> Result<Self, Fault> {
        if !content_type.is_some_and(is_form) {
            return Err("the body must be application/x-www-form-urlencoded");
        }
        let mut pairs: Vec<(Zeroizing<String>, Zeroizing<String>)> = Vec::new();
        for pair in body.split(|&byte| byte == b'&').filter(|pair| !pair.is_empty()) {
            let at = pair.iter().position(|&byte| byte == b'=').unwrap_or(pair.len());
            let (name, value) = (pair.get(..at).unwrap_or_default(), pair.get(at + 1..).unwrap_or_default());
            let (Some(name), Some(value)) = (decoded(name), decoded(value)) else {
                return Err("the body is not properly encoded");
            };
            if pairs.iter().any(|(known, _)| *known == name) {
                return Err("a parameter is given twice");
            }
            if pairs.len() >= MOST {
                return Err("too many parameters");
            }
            pairs.push((name, value));
        }
        pairs.retain(|(_, value)| !value.is_empty());
        Ok(Self(pairs))
    }

    /// The value of a parameter.
    pub(super) fn get(&self, name: &str) -> Option<&str> {
        self.0.iter().find(|(known, _)| known.as_str() == name).map(|(_, value)| value.as_str())
    }

    /// The same, and it is there no more.
    pub(super) fn take(&mut self, name: &str) -> Option<Zeroizing<String>> {
        let at = self.0.iter().position(|(known, _)| known.as_str() == name)?;
        Some(self.0.swap_remove(at).1)
    }
}

/// The type itself, with or without parameters of its own: RFC 9110 section 8.3.1.
fn is_form(content_type: &[u8]) -> bool {
    let kind = content_type.split(|&byte| byte == b';').next().unwrap_or_default();
    kind.trim_ascii().eq_ignore_ascii_case(b"application/x-www-form-urlencoded")
}

/// A name or value: `+` is a space, `%` is followed by two hexadecimal digits, and the whole is UTF-8.
pub(super) fn decoded(text: &[u8]) -> Option<Zeroizing<String>> {
    // As long as it can become, so that no part of it stays behind when it grows.
    let mut bytes = Zeroizing::new(Vec::with_capacity(text.len()));
    let mut rest = text.iter();
    while let Some(&byte) = rest.next() {
        bytes.push(match byte {
            b'+' => b' ',
            b'%' => hex(*rest.next()?)? << 4 | hex(*rest.next()?)?,
            other => other,
        });
    }
    match String::from_utf8(std::mem::take(&mut *bytes)) {
        Ok(text) => Some(Zeroizing::new(text)),
        Err(error) => {
            error.into_bytes().zeroize();
            None
        }
    }
}

fn hex(digit: u8) -> Option<u8> {
    char::from(digit).to_digit(16).and_then(|value| u8::try_from(value).ok())
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const FORM: Option<&[u8]> = Some(b"application/x-www-form-urlencoded");

    fn fault(body: &str) -> Option<Fault> {
        Form::parse(FORM, body.as_bytes()).err()
    }

    #[test]
    fn parameters_are_decoded_and_those_without_a_value_are_not_given() {
        let mut form = Form::parse(FORM, b"a=b+c&%64=%c3%A9%26&empty=&bare&&e==").unwrap();
        assert_eq!((form.get("a"), form.get("d"), form.get("e")), (Some("b c"), Some("\u{e9}&"), Some("=")));
        assert_eq!((form.get("empty"), form.get("bare"), form.get("")), (None, None, None));
        assert_eq!(form.take("a").as_deref().map(String::as_str), Some("b c"));
        assert_eq!(form.get("a"), None);
    }

    #[test]
    fn what_is_ambiguous_or_broken_is_refused() {
        assert_eq!(fault("a=1&b=2&a=1"), Some("a parameter is given twice"));
        assert_eq!(fault("a=1&%61=2"), Some("a parameter is given twice"), "also where it is written otherwise");
        assert_eq!(fault("a=&a=1"), Some("a parameter is given twice"), "also without a value");
        for broken in ["a=%", "a=%4", "a=%zz", "a=%ff", "%=1", "a=%c3%28"] {
            assert_eq!(fault(broken), Some("the body is not properly encoded"), "{broken}");
        }
        let many: Vec<String> = (0..=MOST).map(|n| format!("p{n}=1")).collect();
        assert_eq!(fault(&many.join("&")), Some("too many parameters"));
    }

    #[test]
    fn the_type_must_be_said() {
        for good in ["application/x-www-form-urlencoded; charset=UTF-8", "Application/X-WWW-Form-URLencoded ;a"] {
            assert!(Form::parse(Some(good.as_bytes()), b"").is_ok(), "{good}");
        }
        for bad in ["application/json", "", "text/plain; application/x-www-form-urlencoded"] {
            assert!(Form::parse(Some(bad.as_bytes()), b"").is_err(), "{bad}");
        }
        assert!(Form::parse(None, b"").is_err());
    }

    proptest! {
        #[test]
        fn any_body_is_read_or_refused(body in any::<Vec<u8>>()) {
            let _ = Form::parse(FORM, &body);
        }

        #[test]
        fn what_is_encoded_is_what_is_read(value in any::<String>()) {
            let encoded: Vec<u8> = value.bytes().flat_map(|byte| format!("%{byte:02X}").into_bytes()).collect();
            let read = decoded(&encoded).unwrap();
            prop_assert_eq!(read.as_str(), value);
        }
    }
}

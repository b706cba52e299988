//! The compact serialisation (RFC 7515 section 7.1): three parts of strict base64url. Limits come before any work.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;

use crate::jwt::Fault;

/// The parts of a token, still encoded.
#[derive(Clone, Copy)]
pub struct Compact<'a> {
    /// The header.
    pub header: &'a [u8],
    /// The payload; it may be empty.
    pub payload: &'a [u8],
    /// The signature; never empty.
    pub signature: &'a [u8],
    /// What is signed: header, dot and payload as they stand.
    pub message: &'a [u8],
}

impl<'a> Compact<'a> {
    /// Tells the parts of at most `limit` bytes. Nothing is allocated, whatever comes.
    ///
    /// # Errors
    /// When there are not exactly three, or no signature.
    pub fn split(token: &'a [u8], limit: usize) -> Result<Self, Fault> {
        if token.is_empty() {
            return Err(Fault::TokenEmpty);
        }
        if token.len() > limit {
            return Err(Fault::TokenTooLong);
        }
        if token.first() == Some(&b'{') {
            return Err(Fault::JsonSerialisation);
        }
        let mut parts = token.split(|byte| *byte == b'.');
        let (Some(header), Some(payload), Some(signature)) = (parts.next(), parts.next(), parts.next()) else {
            return Err(Fault::Segments);
        };
        match parts.count() {
            0 if signature.is_empty() => Err(Fault::SignatureEmpty),
            0 => {
                let message = token.get(..header.len() + 1 + payload.len()).ok_or(Fault::Segments)?;
                Ok(Self { header, payload, signature, message })
            }
            2 => Err(Fault::Encrypted),
            _ => Err(Fault::Segments),
        }
    }
}

/// Strict base64url: no padding, no other alphabet, no white space, no bits left over. One text for each value.
///
/// # Errors
/// When it is anything else.
pub fn decode(text: &[u8]) -> Result<Vec<u8>, Fault> {
    URL_SAFE_NO_PAD.decode(text).map_err(|_| Fault::Base64)
}

/// The one text of a value.
pub fn encode(bytes: &[u8]) -> String {
    URL_SAFE_NO_PAD.encode(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::jwt::MAX_TOKEN_LEN;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn a_value_has_one_text(text in any::<Vec<u8>>(), bytes in any::<Vec<u8>>()) {
            prop_assert_eq!(decode(encode(&bytes).as_bytes()), Ok(bytes));
            if let Ok(read) = decode(&text) {
                prop_assert_eq!(encode(&read).into_bytes(), text);
            }
        }
    }

    fn fault(token: &str) -> Option<Fault> {
        Compact::split(token.as_bytes(), MAX_TOKEN_LEN).err()
    }

    #[test]
    fn there_are_three_parts() {
        assert_eq!(fault(""), Some(Fault::TokenEmpty));
        for wrong in ["a", "a.b", "a.b.c.d", "a.b.c.d.e.f", &".".repeat(MAX_TOKEN_LEN)] {
            assert_eq!(fault(wrong), Some(Fault::Segments), "{wrong}");
        }
        assert_eq!(fault("a.b.c.d.e"), Some(Fault::Encrypted));
        assert_eq!(fault("a.b."), Some(Fault::SignatureEmpty));
        assert_eq!(fault(&".".repeat(1_000_000)), Some(Fault::TokenTooLong));
        assert_eq!(fault(r#"{"payload":"a.b","signature":"c.d"}"#), Some(Fault::JsonSerialisation));
        let parts = Compact::split(b"a.bc.d", MAX_TOKEN_LEN).unwrap();
        assert_eq!(
            (parts.header, parts.payload, parts.signature, parts.message),
            (&b"a"[..], &b"bc"[..], &b"d"[..], &b"a.bc"[..])
        );
    }

    #[test]
    fn base64url_has_one_spelling() {
        assert_eq!(decode(b"-_8").unwrap(), [0xfb, 0xff]);
        for wrong in ["+/8", "-_8=", "-_9", "-_ 8", "-_8\n", "-_8\r\n", " -_8", "-", "A=A", "١٢", "-_8\0"] {
            assert_eq!(decode(wrong.as_bytes()), Err(Fault::Base64), "{wrong}");
        }
    }
}

//! Secrets that cannot be printed, copied or compared by accident.
//!
//! [`Secret`] wraps `secrecy::SecretBox`, which wipes its bytes on drop, and adds nothing that shows
//! them: no `Debug`, `Display`, `Clone`, `PartialEq`, `Serialize`, `Deref` or `AsRef`. Logging one
//! does not compile. The only way in is [`Secret::expose`], which clippy lists as a disallowed method
//! so that every use carries a written reason.
//!
//! Wiping is claimed for our own copies only; transport buffers, swap and root are named in
//! `SECURITY.md` as what remains.

use std::marker::PhantomData;

use secrecy::{ExposeSecret as _, SecretBox};
use subtle::ConstantTimeEq as _;
use zeroize::Zeroize as _;

/// What a secret is for. Uninhabited types, so that a pepper cannot be passed where a key belongs.
pub trait Kind: Send + Sync + 'static {}

/// The text that a client presented, whatever it turns out to be.
pub enum CredentialText {}
/// An API key that was just minted, to be shown once.
pub enum ApiKeyText {}
/// An operator token that was just minted, to be shown once.
pub enum OperatorText {}
/// A pepper: 32 bytes, never in the database.
pub enum Pepper {}
/// The key of subject hashes: 32 bytes, never in the database.
pub enum SubjectKeyBytes {}
/// A private signing key (PKCS#8).
pub enum SigningKey {}
/// A secret that an issuer of JWTs signs with and we verify with.
pub enum IssuerSecret {}
/// A short-lived token that was just signed, to be shown once, or that somebody asks about.
pub enum TokenText {}

impl Kind for CredentialText {}
impl Kind for ApiKeyText {}
impl Kind for OperatorText {}
impl Kind for Pepper {}
impl Kind for SubjectKeyBytes {}
impl Kind for SigningKey {}
impl Kind for IssuerSecret {}
impl Kind for TokenText {}

/// Bytes that are wiped on drop and reach nobody but through [`Secret::expose`].
///
/// It can be moved and measured:
/// ```
/// use latchkey::secret::{CredentialText, Pepper, Secret};
/// let secret: Secret<CredentialText> = Secret::new(b"text".to_vec());
/// assert_eq!(secret.len(), 4);
/// ```
/// It cannot be printed,
/// ```compile_fail
/// # use latchkey::secret::{CredentialText, Pepper, Secret};
/// # let secret: Secret<CredentialText> = Secret::new(b"text".to_vec());
/// println!("{secret:?}");
/// ```
/// ```compile_fail
/// # use latchkey::secret::{CredentialText, Pepper, Secret};
/// # let secret: Secret<CredentialText> = Secret::new(b"text".to_vec());
/// println!("{secret}");
/// ```
/// compared,
/// ```compile_fail
/// # use latchkey::secret::{CredentialText, Pepper, Secret};
/// # let secret: Secret<CredentialText> = Secret::new(b"text".to_vec());
/// let same = secret == Secret::new(b"text".to_vec());
/// ```
/// copied,
/// ```compile_fail
/// # use latchkey::secret::{CredentialText, Pepper, Secret};
/// # let secret: Secret<CredentialText> = Secret::new(b"text".to_vec());
/// let copy = secret.clone();
/// ```
/// serialised,
/// ```compile_fail
/// # use latchkey::secret::{CredentialText, Pepper, Secret};
/// # let secret: Secret<CredentialText> = Secret::new(b"text".to_vec());
/// let text = serde_json::to_string(&secret);
/// ```
/// reached past its method,
/// ```compile_fail
/// # use latchkey::secret::{CredentialText, Pepper, Secret};
/// # let secret: Secret<CredentialText> = Secret::new(b"text".to_vec());
/// let bytes = secret.bytes;
/// ```
/// or stand for another kind:
/// ```compile_fail
/// # use latchkey::secret::{CredentialText, Pepper, Secret};
/// # let secret: Secret<CredentialText> = Secret::new(b"text".to_vec());
/// let pepper: Secret<Pepper> = secret;
/// ```
pub struct Secret<K: Kind> {
    bytes: SecretBox<[u8]>,
    kind: PhantomData<fn() -> K>,
}

impl<K: Kind> Secret<K> {
    /// Takes over `bytes`. Spare capacity is never left behind unwiped.
    pub fn new(mut bytes: Vec<u8>) -> Self {
        let exact = if bytes.capacity() == bytes.len() {
            bytes.into_boxed_slice()
        } else {
            // `into_boxed_slice` would reallocate and free the old buffer without wiping it.
            let copy: Box<[u8]> = bytes.as_slice().into();
            bytes.zeroize();
            copy
        };
        Self { bytes: SecretBox::new(exact), kind: PhantomData }
    }

    /// The bytes. Each call is an exposure that needs its reason in the code.
    pub fn expose(&self) -> &[u8] {
        self.bytes.expose_secret()
    }

    /// Length in bytes.
    pub fn len(&self) -> usize {
        self.bytes.expose_secret().len()
    }

    /// Whether there are no bytes at all.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

/// Compares two byte strings in time that depends only on their lengths.
pub fn equal_in_constant_time(a: &[u8], b: &[u8]) -> bool {
    a.ct_eq(b).into()
}

#[cfg(test)]
#[expect(clippy::disallowed_methods, reason = "tests look inside secrets")]
mod tests {
    use super::*;
    use static_assertions::assert_not_impl_any;
    use std::fmt::{Debug, Display};

    assert_not_impl_any!(Secret<CredentialText>: Debug, Display, Clone, PartialEq, AsRef<[u8]>, serde::Serialize, std::ops::Deref);
    assert_not_impl_any!(Secret<Pepper>: Debug, Display, Clone, PartialEq, AsRef<[u8]>, serde::Serialize, std::ops::Deref);

    #[test]
    fn a_vector_with_spare_capacity_keeps_its_content() {
        let mut bytes = Vec::with_capacity(64);
        bytes.extend_from_slice(b"abc");
        assert!(equal_in_constant_time(Secret::<Pepper>::new(bytes).expose(), b"abc"));
    }

    #[test]
    fn comparison_sees_length_and_content() {
        assert!(equal_in_constant_time(b"same", b"same"));
        assert!(!equal_in_constant_time(b"same", b"sane"));
        assert!(!equal_in_constant_time(b"same", b"sam"));
    }
}

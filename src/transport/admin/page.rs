//! Pages of listings. A token says where the next page begins, and of which listing it is: with another one it is
//! refused. It grants nothing, for what a page shows is decided anew by whom the caller is.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use sha2::{Digest as _, Sha256};

use crate::admin::AdminResult;
use crate::admin::pages::KeyPlace;
use crate::domain::{AppId, CredentialId, IssuerId, JtiHash, LinkId, UserId};
use crate::store::{IssuerPlace, LinkPlace, Page, TokenPlace};
use crate::transport::admin::convert::invalid;

const DEFAULT_SIZE: u32 = 100;
const MAX_SIZE: u32 = 1_000;
/// Of a longer token nothing is read.
const MAX_TOKEN: usize = 512;

/// The key that a listing goes by.
pub(super) trait Place: Sized {
    fn to_bytes(&self) -> Vec<u8>;
    fn from_bytes(bytes: &[u8]) -> Option<Self>;
}

impl Place for String {
    fn to_bytes(&self) -> Vec<u8> {
        self.clone().into_bytes()
    }
    fn from_bytes(bytes: &[u8]) -> Option<Self> {
        Self::from_utf8(bytes.to_vec()).ok()
    }
}

impl Place for u64 {
    fn to_bytes(&self) -> Vec<u8> {
        self.to_be_bytes().to_vec()
    }
    fn from_bytes(bytes: &[u8]) -> Option<Self> {
        Some(Self::from_be_bytes(bytes.try_into().ok()?))
    }
}

impl Place for AppId {
    fn to_bytes(&self) -> Vec<u8> {
        self.get().to_be_bytes().to_vec()
    }
    fn from_bytes(bytes: &[u8]) -> Option<Self> {
        Self::new(u32::from_be_bytes(bytes.try_into().ok()?))
    }
}

impl Place for UserId {
    fn to_bytes(&self) -> Vec<u8> {
        self.get().to_be_bytes().to_vec()
    }
    fn from_bytes(bytes: &[u8]) -> Option<Self> {
        Self::new(u32::from_be_bytes(bytes.try_into().ok()?))
    }
}

impl Place for CredentialId {
    fn to_bytes(&self) -> Vec<u8> {
        self.as_bytes().to_vec()
    }
    fn from_bytes(bytes: &[u8]) -> Option<Self> {
        Some(CredentialId::from_bytes(bytes.try_into().ok()?))
    }
}

impl Place for LinkPlace {
    fn to_bytes(&self) -> Vec<u8> {
        [self.0.to_be_bytes().as_slice(), self.1.as_bytes()].concat()
    }
    fn from_bytes(bytes: &[u8]) -> Option<Self> {
        let (at_ms, id) = bytes.split_first_chunk::<8>()?;
        Some((i64::from_be_bytes(*at_ms), LinkId::from_bytes(id.try_into().ok()?)))
    }
}

impl Place for IssuerPlace {
    fn to_bytes(&self) -> Vec<u8> {
        [self.0.to_be_bytes().as_slice(), self.1.as_bytes()].concat()
    }
    fn from_bytes(bytes: &[u8]) -> Option<Self> {
        let (at_ms, id) = bytes.split_first_chunk::<8>()?;
        Some((i64::from_be_bytes(*at_ms), IssuerId::from_bytes(id.try_into().ok()?)))
    }
}

impl Place for TokenPlace {
    fn to_bytes(&self) -> Vec<u8> {
        [self.0.to_be_bytes().as_slice(), &self.1.0].concat()
    }
    fn from_bytes(bytes: &[u8]) -> Option<Self> {
        let (at_ms, hash) = bytes.split_first_chunk::<8>()?;
        Some((i64::from_be_bytes(*at_ms), JtiHash(hash.try_into().ok()?)))
    }
}

impl Place for KeyPlace {
    fn to_bytes(&self) -> Vec<u8> {
        [self.0.to_be_bytes().as_slice(), self.1.as_bytes()].concat()
    }
    fn from_bytes(bytes: &[u8]) -> Option<Self> {
        let (at_ms, id) = bytes.split_first_chunk::<8>()?;
        Some((i64::from_be_bytes(*at_ms), CredentialId::from_bytes(id.try_into().ok()?)))
    }
}

/// What a listing is of: a token of one is none of another.
pub(super) struct Listing([u8; 8]);

impl Listing {
    /// Of this method, with what else it was asked with.
    pub(super) fn of(method: &str, asked: &[&str]) -> Self {
        let mut hasher = Sha256::new();
        for part in [method].iter().chain(asked) {
            hasher.update((part.len() as u64).to_be_bytes());
            hasher.update(part.as_bytes());
        }
        let digest: [u8; 32] = hasher.finalize().into();
        Self(*digest.first_chunk().unwrap_or(&[0; 8]))
    }

    /// The page that is asked for.
    pub(super) fn page<K: Place>(&self, size: i32, token: &str) -> AdminResult<Page<K>> {
        let limit = match u32::try_from(size) {
            Err(_) => return Err(invalid("page_size", format!("from 0 to {MAX_SIZE}"))),
            Ok(0) => DEFAULT_SIZE,
            Ok(size) => size.min(MAX_SIZE),
        };
        if token.is_empty() {
            return Ok(Page { after: None, limit });
        }
        let wrong = || invalid("page_token", "as in next_page_token of the page before, all else unchanged");
        let bytes = if token.len() > MAX_TOKEN { None } else { URL_SAFE_NO_PAD.decode(token).ok() };
        let bytes = bytes.ok_or_else(wrong)?;
        let place = bytes.strip_prefix(self.0.as_slice()).and_then(K::from_bytes);
        Ok(Page { after: Some(place.ok_or_else(wrong)?), limit })
    }

    /// Where the next page begins; empty at the end.
    pub(super) fn token<K: Place>(&self, next: Option<&K>) -> String {
        let bytes = |place: &K| [self.0.as_slice(), &place.to_bytes()].concat();
        next.map(|place| URL_SAFE_NO_PAD.encode(bytes(place))).unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_is_of_one_listing() {
        let (acme, globex) = (Listing::of("ListApps", &["acme"]), Listing::of("ListApps", &["globex"]));
        let id = AppId::new(7).unwrap();
        let token = acme.token(Some(&id));
        assert_eq!(acme.page::<AppId>(10, &token).unwrap().after, Some(id));
        assert!(globex.page::<AppId>(10, &token).is_err());
        assert!(Listing::of("ListUsers", &["acme"]).page::<UserId>(10, &token).is_err());
        for wrong in ["x", "AAAA", &"A".repeat(2_000), &format!("{token}A")] {
            assert!(acme.page::<AppId>(10, wrong).is_err(), "{wrong}");
        }
        assert_eq!(acme.token::<AppId>(None), "");
        let place: KeyPlace = (-1, CredentialId::from_bytes([9; 16]));
        assert_eq!(acme.page::<KeyPlace>(0, &acme.token(Some(&place))).unwrap().after, Some(place));
    }

    #[test]
    fn sizes_are_bounded() {
        let listing = Listing::of("ListApps", &[]);
        for (asked, got) in [(0, 100), (1, 1), (1_000, 1_000), (i32::MAX, 1_000)] {
            assert_eq!(listing.page::<AppId>(asked, "").unwrap().limit, got);
        }
        assert!(listing.page::<AppId>(-1, "").is_err());
    }
}

//! The key that signs the trail: what is signed, its public half, another in its place.

use crate::admin::authority::Act;
use crate::admin::{Admin, AdminError, AdminResult};
use crate::audit::checkpoint::{Checkpoint, PublicKey};

/// What says in the trail that another key signs from here on: the event's number and hash, which both keys must sign.
pub type Announce<'a> = &'a dyn Fn(&PublicKey) -> AdminResult<(u64, [u8; 32])>;

/// Where the key is kept: apart from the store.
pub trait TrailKeys: Send + Sync {
    /// Signs how far the trail goes.
    ///
    /// # Errors
    /// When the key cannot be read, or the trail does not go on as it was signed before.
    fn sign(&self) -> AdminResult<()>;
    /// The public half.
    ///
    /// # Errors
    /// When the key cannot be read.
    fn public_key(&self) -> AdminResult<PublicKey>;
    /// Signs a text that begins with the domain it is for; by which key.
    ///
    /// # Errors
    /// When the key cannot be read.
    fn sign_text(&self, text: &[u8]) -> AdminResult<(PublicKey, [u8; 64])>;
    /// Makes a new key; the old one's public half and the new one's.
    ///
    /// # Errors
    /// When something cannot be read or written. Before the last step the old key stays in force.
    fn rotate(&self, announce: Announce<'_>) -> AdminResult<(PublicKey, PublicKey)>;
}

impl Admin {
    fn trail_keys(&self) -> AdminResult<&dyn TrailKeys> {
        let keys = self.backend.trail_keys.as_deref();
        keys.ok_or_else(|| AdminError::Unavailable("no key that signs the trail is here".to_owned()))
    }

    /// Signs the trail, and gives the newest checkpoint.
    ///
    /// # Errors
    /// When the caller may not, or nothing can be signed.
    pub fn sign_trail(&self) -> AdminResult<Checkpoint> {
        let permit = self.permit(Act::ReadAll)?;
        self.trail_keys()?.sign()?;
        let newest = permit.store().audit().checkpoint_at_most(u64::MAX)?;
        newest.ok_or_else(|| AdminError::Unavailable("nothing of the trail is signed".to_owned()))
    }

    /// The public half of the key that signs the trail.
    ///
    /// # Errors
    /// When the caller may not, or the key cannot be read.
    pub fn audit_public_key(&self) -> AdminResult<PublicKey> {
        self.permit(Act::Read)?;
        self.trail_keys()?.public_key()
    }

    /// Puts a new key in the place of the one that signs the trail; the old one's public half and the new one's.
    ///
    /// # Errors
    /// When the caller may not, or something cannot be read or written.
    pub fn rotate_audit_key(&self) -> AdminResult<(PublicKey, PublicKey)> {
        self.permit(Act::Govern)?;
        self.trail_keys()?.rotate(&|key| self.note_audit_key(key))
    }
}

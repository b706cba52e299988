//! The hash chain: each event's hash covers the event and the hash before it.
//!
//! The encoding is canonical: a version, then every field led by its length, so that no two events encode
//! alike. The chain of one store begins with a hash of the store's epoch. It shows edits, deletions and reorderings
//! inside the trail; that nothing was cut off its end shows only against a checkpoint kept elsewhere (rule R19).

use sha2::{Digest as _, Sha256};

use crate::domain::AuditEvent;

/// SHA-256.
pub type Hash = [u8; 32];

/// What stands before the first event.
pub fn genesis(epoch: &[u8; 16]) -> Hash {
    let mut hasher = Sha256::new();
    hasher.update(b"latchkey audit chain v1");
    hasher.update(epoch);
    hasher.finalize().into()
}

/// The hash of one event in its place.
pub fn hash(previous: &Hash, sequence: u64, event: &AuditEvent) -> Hash {
    let mut hasher = Sha256::new();
    hasher.update(previous);
    hasher.update(encode(sequence, event));
    hasher.finalize().into()
}

/// The canonical encoding of an event.
pub fn encode(sequence: u64, event: &AuditEvent) -> Vec<u8> {
    let mut out = Vec::with_capacity(256);
    out.extend_from_slice(b"latchkey audit event v1");
    out.extend_from_slice(&sequence.to_be_bytes());
    out.extend_from_slice(&event.at_ms.to_be_bytes());
    let mut text = |value: &[u8]| {
        out.extend_from_slice(&(value.len() as u64).to_be_bytes());
        out.extend_from_slice(value);
    };
    text(event.actor.to_text().as_bytes());
    text(event.action.as_str().as_bytes());
    text(event.subject.kind().as_bytes());
    text(event.subject.id_text().as_bytes());
    text(event.tenant.as_ref().map_or(&[], |tenant| tenant.as_bytes().as_slice()));
    text(event.request_id.as_bytes());
    text(&(event.details.len() as u64).to_be_bytes());
    for (key, value) in &event.details {
        text(key.as_str().as_bytes());
        text(value.as_bytes());
    }
    out
}

/// What is wrong with a trail, and where first.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
pub enum Damage {
    /// The numbers do not follow each other: something was deleted or moved.
    #[error("event {expected} is missing: {found} stands in its place")]
    Gap {
        /// What should come.
        expected: u64,
        /// What comes.
        found: u64,
    },
    /// The hash does not fit: this event, or the order before it, was changed.
    #[error("event {sequence} was changed")]
    Changed {
        /// Which.
        sequence: u64,
    },
    /// What belongs at one place stands at another.
    #[error("event {sequence} was moved: it stands at {to}")]
    Moved {
        /// Where it belongs.
        sequence: u64,
        /// Where it is.
        to: u64,
    },
    /// A checkpoint knows of more events than there are.
    #[error("the trail was cut off: it ends at event {found}, and event {known} was signed")]
    Truncated {
        /// The last one.
        found: u64,
        /// One that was there.
        known: u64,
    },
    /// An anchor has another history.
    #[error("the trail is another one than the anchor's: event {sequence} differs")]
    Forked {
        /// The first that is known to differ.
        sequence: u64,
    },
    /// A checkpoint in the store is not of a trusted key, or not of this trail.
    #[error("the checkpoint of event {sequence} is not signed by a trusted key for this trail")]
    Signature {
        /// Its event.
        sequence: u64,
    },
    /// An anchor is none: wrongly signed, or of another store.
    #[error("the anchor of event {sequence} is not of this trail, or not signed")]
    Anchor {
        /// Its event.
        sequence: u64,
    },
}

impl Damage {
    /// The kind of damage, for programs.
    pub const fn kind(&self) -> &'static str {
        match self {
            Self::Gap { .. } => "deleted",
            Self::Changed { .. } => "edited",
            Self::Moved { .. } => "reordered",
            Self::Truncated { .. } => "truncated",
            Self::Forked { .. } => "forked",
            Self::Signature { .. } => "signature",
            Self::Anchor { .. } => "anchor",
        }
    }

    /// The first event that is not as it was.
    pub const fn sequence(&self) -> u64 {
        match self {
            Self::Gap { expected, .. } => *expected,
            Self::Truncated { found, .. } => *found + 1,
            Self::Changed { sequence }
            | Self::Moved { sequence, .. }
            | Self::Forked { sequence }
            | Self::Signature { sequence }
            | Self::Anchor { sequence } => *sequence,
        }
    }
}

/// Walks a trail event by event.
pub struct Walk {
    next: u64,
    previous: Hash,
}

impl Walk {
    /// From the beginning of a store's trail.
    pub fn new(epoch: &[u8; 16]) -> Self {
        Self { next: 1, previous: genesis(epoch) }
    }

    /// From after an event whose hash is known.
    pub fn after(sequence: u64, hash: Hash) -> Self {
        Self { next: sequence + 1, previous: hash }
    }

    /// Takes the next event.
    ///
    /// # Errors
    /// The damage, if the event does not follow.
    pub fn step(&mut self, sequence: u64, event: &AuditEvent, stored: &Hash) -> Result<(), Damage> {
        if sequence != self.next {
            return Err(Damage::Gap { expected: self.next, found: sequence });
        }
        if hash(&self.previous, sequence, event) != *stored {
            return Err(Damage::Changed { sequence });
        }
        self.previous = *stored;
        self.next += 1;
        Ok(())
    }

    /// How many events were taken, and the hash of the last.
    pub fn head(&self) -> (u64, Hash) {
        (self.next - 1, self.previous)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::event::{Actor, DetailKey};
    use crate::domain::{Action, AppId, Subject};

    fn event(n: u32) -> AuditEvent {
        AuditEvent {
            at_ms: i64::from(n),
            actor: Actor::Local { uid: 0 },
            action: Action::AppAdded,
            subject: Subject::App(AppId::new(n).unwrap()),
            tenant: None,
            details: vec![(DetailKey::Name, format!("App {n}"))],
            request_id: String::new(),
        }
    }

    fn trail() -> Vec<(u64, AuditEvent, Hash)> {
        let mut previous = genesis(&[1; 16]);
        (1..=5_u32)
            .map(|n| {
                previous = hash(&previous, u64::from(n), &event(n));
                (u64::from(n), event(n), previous)
            })
            .collect()
    }

    fn walk(trail: &[(u64, AuditEvent, Hash)]) -> Result<u64, Damage> {
        let mut walk = Walk::new(&[1; 16]);
        trail.iter().try_for_each(|(n, event, hash)| walk.step(*n, event, hash))?;
        Ok(walk.head().0)
    }

    #[test]
    fn a_whole_trail_is_walked_to_its_end() {
        assert_eq!(walk(&trail()), Ok(5));
    }

    #[test]
    fn edits_deletions_and_moves_are_found_where_they_are() {
        let mut edited = trail();
        edited[2].1.details[0].1.push('!');
        assert_eq!(walk(&edited), Err(Damage::Changed { sequence: 3 }));
        let mut deleted = trail();
        deleted.remove(2);
        assert_eq!(walk(&deleted), Err(Damage::Gap { expected: 3, found: 4 }));
        let mut moved = trail();
        moved.swap(1, 2);
        assert_eq!(walk(&moved), Err(Damage::Gap { expected: 2, found: 3 }));
        let mut renumbered = trail();
        renumbered.remove(2);
        renumbered[2].0 = 3;
        assert_eq!(walk(&renumbered), Err(Damage::Changed { sequence: 3 }));
    }

    #[test]
    fn a_trail_of_another_store_does_not_fit() {
        let mut walk = Walk::new(&[2; 16]);
        let (n, event, hash) = &trail()[0];
        assert_eq!(walk.step(*n, event, hash), Err(Damage::Changed { sequence: 1 }));
    }

    #[test]
    fn every_field_is_covered() {
        let base = encode(1, &event(1));
        let changes: [fn(&mut AuditEvent); 7] = [
            |e| e.at_ms += 1,
            |e| e.actor = Actor::System,
            |e| e.action = Action::AppRemoved,
            |e| e.subject = Subject::App(AppId::new(2).unwrap()),
            |e| e.tenant = Some(crate::domain::TenantId::from_bytes([0; 16])),
            |e| e.details[0].0 = DetailKey::Slug,
            |e| e.request_id.push('x'),
        ];
        for apply in changes {
            let mut other = event(1);
            apply(&mut other);
            assert_ne!(encode(1, &other), base);
        }
    }
}

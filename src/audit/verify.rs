//! Walks a trail with its checkpoints and says what is wrong with it first, in constant memory.
//!
//! A trail that fits together shows that no event between its beginning and its last checkpoint was edited, deleted or
//! moved, as far as the keys are trusted. What came after the last checkpoint could have been cut off or written again:
//! that shows only against an anchor, a checkpoint that was kept elsewhere (rule R19).

use crate::audit::chain::{self, Damage, Hash, Walk};
use crate::audit::checkpoint::{Checkpoint, PublicKey};
use crate::domain::event::DetailKey;
use crate::domain::{Action, AuditEvent, hex};

/// An event as it lies there; none where it does not read as one.
pub struct Stored {
    /// The number that it has.
    pub sequence: u64,
    /// The hash that it has.
    pub hash: Hash,
    /// What it says.
    pub event: Option<AuditEvent>,
}

/// Whose signatures count.
#[derive(Clone, Debug)]
pub enum Trust {
    /// This key's, and those of keys that it handed over to.
    Key(PublicKey),
    /// Those of whichever key signed first: then who can write the store can sign it anew.
    First,
}

/// What is known of a trail that fits together.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Verified {
    /// The first event that is there: those before it were given up in order.
    pub first: u64,
    /// The last.
    pub last: u64,
    /// The hash of the last.
    pub head: Hash,
    /// The last checkpoint: its event and its time, milliseconds since the epoch.
    pub signed_up_to: Option<(u64, i64)>,
    /// Anchors that were compared.
    pub anchors: u64,
    /// Anchors from before what is kept.
    pub anchors_before: u64,
}

impl Verified {
    /// What may be said of it, and no more.
    pub fn statement(&self) -> String {
        let signed = match self.signed_up_to {
            Some((sequence, _)) => format!("signed up to event {sequence}"),
            None => "not signed at all".to_owned(),
        };
        let (last, anchored) = (self.last, self.anchors > 0);
        let excluded = if anchored {
            "it agrees with every anchor; what came after the last anchor could have been cut off or written again"
        } else {
            "without an anchor, that events were cut off its end or that all of it was signed again is not excluded"
        };
        format!("internally consistent up to event {last}, {signed}; {excluded}")
    }
}

/// A walk over a trail.
pub struct Verifier<'a> {
    beginning: [u8; 16],
    walk: Walk,
    trusted: Option<PublicKey>,
    /// Who takes over, once both have signed this event.
    heir: Option<(u64, PublicKey)>,
    heir_signed: bool,
    /// Keys that were handed over: what they sign later does not count.
    retired: Vec<PublicKey>,
    checkpoints: std::iter::Peekable<Box<dyn Iterator<Item = Checkpoint> + 'a>>,
    anchors: std::iter::Peekable<std::vec::IntoIter<Checkpoint>>,
    verified: Verified,
}

impl<'a> Verifier<'a> {
    /// Over a trail that begins so, or after `base`, the checkpoint before which events were given up. Checkpoints come in
    /// the order of their events.
    ///
    /// # Errors
    /// When the base or an anchor is not what it says.
    pub fn new(
        beginning: [u8; 16],
        base: Option<&Checkpoint>,
        trust: &Trust,
        checkpoints: Box<dyn Iterator<Item = Checkpoint> + 'a>,
        mut anchors: Vec<Checkpoint>,
    ) -> Result<Self, Damage> {
        anchors.sort_by_key(|anchor| anchor.sequence);
        let mut this = Self {
            beginning,
            walk: base.map_or_else(|| Walk::new(&beginning), |base| Walk::after(base.sequence, base.head)),
            trusted: match trust {
                Trust::Key(key) => Some(*key),
                Trust::First => None,
            },
            heir: None,
            heir_signed: false,
            retired: Vec::new(),
            checkpoints: checkpoints.peekable(),
            anchors: anchors.into_iter().peekable(),
            verified: Verified { first: base.map_or(1, |base| base.sequence + 1), ..Verified::default() },
        };
        if let Some(base) = base {
            // A key that was handed over before the base cannot be followed to it: the newer one is to be named.
            let trusted = *this.trusted.get_or_insert(base.key) == base.key;
            if !trusted || base.beginning != beginning || !base.is_signed() {
                return Err(Damage::Signature { sequence: base.sequence });
            }
            this.verified.signed_up_to = Some((base.sequence, base.at_ms));
            this.compare(base.sequence, &base.head)?;
        }
        Ok(this)
    }

    /// Takes the next event.
    ///
    /// # Errors
    /// What is wrong with it.
    pub fn step(&mut self, stored: &Stored) -> Result<(), Damage> {
        let Stored { sequence, hash, event } = stored;
        let Some(event) = event else { return Err(Damage::Changed { sequence: *sequence }) };
        self.walk.step(*sequence, event, hash)?;
        if event.action == Action::AuditKeyChanged {
            let key = event.details.iter().find(|(key, _)| *key == DetailKey::PublicKey);
            let key = key.and_then(|(_, text)| hex::array(text));
            (self.heir, self.heir_signed) = (key.map(|key| (*sequence, key)), false);
        }
        self.compare(*sequence, hash)
    }

    /// Whether a row would be the one that was missed at the first damage: then it was moved.
    pub fn belongs_at(&self, damage: &Damage, stored: &Stored) -> bool {
        let Damage::Changed { sequence } = damage else { return false };
        let (last, previous) = self.walk.head();
        let event = stored.event.as_ref().filter(|_| last + 1 == *sequence);
        event.is_some_and(|event| chain::hash(&previous, *sequence, event) == stored.hash)
    }

    /// What stands at this event elsewhere, in checkpoints and anchors.
    fn compare(&mut self, sequence: u64, hash: &Hash) -> Result<(), Damage> {
        while let Some(checkpoint) = self.checkpoints.next_if(|checkpoint| checkpoint.sequence <= sequence) {
            if checkpoint.sequence < sequence {
                // Of an event that is not there, or out of order.
                if checkpoint.sequence < self.verified.first {
                    continue;
                }
                return Err(Damage::Signature { sequence: checkpoint.sequence });
            }
            self.signed(&checkpoint, hash)?;
        }
        while let Some(anchor) = self.anchors.next_if(|anchor| anchor.sequence <= sequence) {
            if anchor.beginning != self.beginning || !anchor.is_signed() {
                return Err(Damage::Anchor { sequence: anchor.sequence });
            }
            if anchor.sequence < sequence {
                self.verified.anchors_before += 1;
            } else if anchor.head == *hash {
                self.verified.anchors += 1;
            } else {
                return Err(Damage::Forked { sequence });
            }
        }
        Ok(())
    }

    fn signed(&mut self, checkpoint: &Checkpoint, hash: &Hash) -> Result<(), Damage> {
        let sequence = checkpoint.sequence;
        let wrong = Err(Damage::Signature { sequence });
        if checkpoint.head != *hash || checkpoint.beginning != self.beginning || !checkpoint.is_signed() {
            return wrong;
        }
        if self.retired.contains(&checkpoint.key) {
            return Ok(());
        }
        let heir = self.heir.filter(|(_, key)| *key == checkpoint.key);
        match self.trusted {
            None => self.trusted = Some(checkpoint.key),
            Some(trusted) if trusted == checkpoint.key => {
                if self.heir_signed && self.heir.is_some_and(|(at, _)| at == sequence) {
                    self.hand_over();
                }
            }
            // Both sign the very event that names the new key, in either order.
            Some(_) if heir.is_some_and(|(at, _)| at == sequence) => {
                self.heir_signed = true;
                if self.verified.signed_up_to.is_some_and(|(signed, _)| signed == sequence) {
                    self.hand_over();
                }
            }
            Some(_) => return wrong,
        }
        self.verified.signed_up_to = Some((sequence, checkpoint.at_ms));
        Ok(())
    }

    fn hand_over(&mut self) {
        if let Some((_, key)) = self.heir.take() {
            self.retired.extend(self.trusted.replace(key));
        }
        self.heir_signed = false;
    }

    /// After the last event.
    ///
    /// # Errors
    /// When a checkpoint or an anchor says that there were more.
    pub fn finish(mut self) -> Result<Verified, Damage> {
        let (last, head) = self.walk.head();
        let more = self.checkpoints.peek().or(self.anchors.peek());
        if let Some(beyond) = more {
            // Nobody else's word counts.
            let ours = beyond.beginning == self.beginning && beyond.is_signed();
            return Err(if ours {
                Damage::Truncated { found: last, known: beyond.sequence }
            } else {
                Damage::Anchor { sequence: beyond.sequence }
            });
        }
        Ok(Verified { last, head, ..self.verified })
    }
}

/// Walks a whole trail. `events` come in the order of their numbers; after the first damage they are still read, to tell
/// what was moved from what was edited.
///
/// # Errors
/// When a row cannot be read.
pub fn walk<E>(
    mut verifier: Verifier<'_>,
    events: impl Iterator<Item = Result<Stored, E>>,
) -> Result<Result<Verified, Damage>, E> {
    let mut damage: Option<Damage> = None;
    for stored in events {
        let stored = stored?;
        match damage {
            None => damage = verifier.step(&stored).err(),
            Some(found) if verifier.belongs_at(&found, &stored) => {
                let Damage::Changed { sequence } = found else { break };
                return Ok(Err(Damage::Moved { sequence, to: stored.sequence }));
            }
            Some(_) => {}
        }
    }
    Ok(match damage {
        Some(damage) => Err(damage),
        None => verifier.finish(),
    })
}

#[cfg(test)]
#[path = "verify_tests.rs"]
mod tests;

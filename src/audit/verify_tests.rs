//! Trails that were tampered with, ten thousand ways.

use super::*;
use crate::audit::key::Signer;
use crate::clock::{Entropy as _, SystemEntropy};
use crate::domain::event::Actor;
use crate::domain::{AppId, Subject};

const BEGINNING: [u8; 16] = [9; 16];

#[derive(Clone)]
struct Trail {
    events: Vec<(u64, Hash, AuditEvent)>,
    checkpoints: Vec<Checkpoint>,
}

fn event(n: u64) -> AuditEvent {
    AuditEvent {
        at_ms: i64::try_from(n).unwrap() * 1_000,
        actor: Actor::Local { uid: 0 },
        action: Action::AppChanged,
        subject: Subject::App(AppId::new(u32::try_from(n).unwrap() + 1).unwrap()),
        tenant: None,
        details: vec![(DetailKey::Name, format!("App {n}"))],
        request_id: String::new(),
    }
}

fn signer(dir: &tempfile::TempDir, name: &str) -> Signer {
    let path = dir.path().join(name);
    if !path.exists() {
        crate::audit::key::create(&path).unwrap();
    }
    Signer::load(&path).unwrap()
}

impl Trail {
    /// Of these events, signed at every tenth.
    fn of(events: impl IntoIterator<Item = AuditEvent>, signer: &Signer) -> Self {
        let (mut trail, mut previous) =
            (Self { events: Vec::new(), checkpoints: Vec::new() }, chain::genesis(&BEGINNING));
        for (at, event) in events.into_iter().enumerate() {
            let sequence = at as u64 + 1;
            previous = chain::hash(&previous, sequence, &event);
            trail.events.push((sequence, previous, event));
            if sequence.is_multiple_of(10) {
                trail.sign(signer, sequence);
            }
        }
        trail
    }

    fn sign(&mut self, signer: &Signer, sequence: u64) {
        let (_, head, _) = self.events.iter().find(|(at, ..)| *at == sequence).unwrap();
        self.checkpoints.push(signer.checkpoint(BEGINNING, sequence, *head, 1));
    }

    fn verify(&self, trust: &Trust, anchors: Vec<Checkpoint>) -> Result<Verified, Damage> {
        self.verify_after(None, trust, anchors)
    }

    fn verify_after(
        &self,
        base: Option<&Checkpoint>,
        trust: &Trust,
        anchors: Vec<Checkpoint>,
    ) -> Result<Verified, Damage> {
        let checkpoints = Box::new(self.checkpoints.clone().into_iter());
        let verifier = Verifier::new(BEGINNING, base, trust, checkpoints, anchors)?;
        let stored = self.events.iter().map(|(sequence, hash, event)| {
            Ok::<_, ()>(Stored { sequence: *sequence, hash: *hash, event: Some(event.clone()) })
        });
        walk(verifier, stored).unwrap()
    }
}

fn chance(below: usize) -> usize {
    let mut random = [0; 8];
    SystemEntropy.fill(&mut random).unwrap();
    usize::try_from(u64::from_le_bytes(random) % below as u64).unwrap()
}

#[test]
fn e3_ten_thousand_edits_deletions_and_reorderings_are_all_found() {
    let dir = tempfile::tempdir().unwrap();
    let signer = signer(&dir, "key");
    let (whole, trust) = (Trail::of((0..40).map(event), &signer), Trust::Key(signer.public_key()));
    assert_eq!(whole.verify(&trust, Vec::new()).unwrap().signed_up_to, Some((40, 1)));
    let mut kinds = std::collections::BTreeMap::new();
    for n in 0..10_000 {
        let mut trail = whole.clone();
        let at = chance(40);
        match n % 6 {
            0 => trail.events[at].2.details[0].1.push('x'),
            1 => trail.events[at].2.at_ms += 1,
            2 => trail.events[at].1[chance(32)] ^= 1 << chance(8),
            3 => drop(trail.events.remove(at)),
            4 => {
                // Exchanged, each with its hash, under the other's number.
                let other = (at + 1 + chance(39)) % 40;
                trail.events.swap(at, other);
                let number = trail.events[at].0;
                trail.events[at].0 = trail.events[other].0;
                trail.events[other].0 = number;
            }
            _ => {
                // Gone, and the numbers closed up behind it.
                trail.events.remove(at);
                for (index, row) in trail.events.iter_mut().enumerate() {
                    row.0 = index as u64 + 1;
                }
            }
        }
        let damage = trail.verify(&trust, Vec::new()).expect_err("found");
        let first = damage.sequence();
        assert!((1..=41).contains(&first), "{damage}");
        *kinds.entry((n % 6, damage.kind())).or_insert(0) += 1;
    }
    let told = |n: i32, kind: &str| kinds.get(&(n, kind)).copied().unwrap_or(0);
    assert!(told(0, "edited") > 1_600 && told(1, "edited") > 1_600, "{kinds:?}");
    assert!(told(3, "deleted") + told(3, "truncated") > 1_600, "{kinds:?}");
    assert!(told(4, "reordered") > 1_600, "{kinds:?}");
}

#[test]
fn e3_what_was_cut_off_or_written_again_shows_against_an_anchor_alone() {
    let dir = tempfile::tempdir().unwrap();
    let signer = signer(&dir, "key");
    let (whole, trust) = (Trail::of((0..40).map(event), &signer), Trust::Key(signer.public_key()));
    let anchors = vec![whole.checkpoints[1].clone(), whole.checkpoints[3].clone()];
    let verified = whole.verify(&trust, anchors.clone()).unwrap();
    assert_eq!((verified.last, verified.anchors, verified.signed_up_to), (40, 2, Some((40, 1))));

    // Cut off with its checkpoints: consistent in itself, and never called whole.
    let mut cut = whole.clone();
    cut.events.truncate(30);
    cut.checkpoints.truncate(3);
    let alone = cut.verify(&trust, Vec::new()).unwrap().statement();
    assert!(alone.contains("up to event 30") && alone.contains("not excluded") && !alone.contains("whole"), "{alone}");
    let truncated = cut.verify(&trust, anchors.clone());
    assert_eq!(truncated, Err(Damage::Truncated { found: 30, known: 40 }));
    // Cut off without: the checkpoint that stayed knows.
    let mut cut = whole.clone();
    cut.events.truncate(35);
    assert_eq!(cut.verify(&trust, Vec::new()), Err(Damage::Truncated { found: 35, known: 40 }));

    // Written again from the twelfth event on, and signed again by somebody who has the key.
    let forged = Trail::of((0..40).map(|n| if n == 11 { event(99) } else { event(n) }), &signer);
    assert!(forged.verify(&trust, Vec::new()).is_ok(), "nothing in the files shows it");
    assert_eq!(forged.verify(&trust, anchors), Err(Damage::Forked { sequence: 20 }));
}

#[test]
fn r19_only_trusted_keys_count_and_a_key_is_handed_over_by_both() {
    let dir = tempfile::tempdir().unwrap();
    let (old, new, thief) = (signer(&dir, "old"), signer(&dir, "new"), signer(&dir, "thief"));
    let trust = Trust::Key(old.public_key());
    let forged = Trail::of((0..20).map(event), &thief);
    assert_eq!(forged.verify(&trust, Vec::new()), Err(Damage::Signature { sequence: 10 }));
    assert!(forged.verify(&Trust::First, Vec::new()).is_ok());

    let change = AuditEvent {
        action: Action::AuditKeyChanged,
        details: vec![(DetailKey::PublicKey, hex::encode(&new.public_key()))],
        ..event(15)
    };
    let events = || (0..30).map(|n| if n == 14 { change.clone() } else { event(n) });
    let handed_over = |signers: &[&Signer]| {
        let mut trail = Trail::of(events(), &old);
        trail.checkpoints.truncate(1);
        for signer in signers {
            trail.sign(signer, 15);
        }
        trail.sign(&new, 30);
        trail.verify(&trust, Vec::new())
    };
    assert_eq!(handed_over(&[&old, &new]).unwrap().signed_up_to, Some((30, 1)));
    assert_eq!(handed_over(&[&new, &old]).unwrap().signed_up_to, Some((30, 1)));
    assert_eq!(handed_over(&[&old]), Err(Damage::Signature { sequence: 30 }), "the new one did not sign");
    assert_eq!(handed_over(&[&new]), Err(Damage::Signature { sequence: 30 }), "the old one did not sign");
    assert_eq!(handed_over(&[&old, &thief]), Err(Damage::Signature { sequence: 15 }));
    // What a key signs after it was handed over does not count.
    let mut trail = Trail::of(events(), &old);
    trail.checkpoints.truncate(1);
    trail.sign(&old, 15);
    trail.sign(&new, 15);
    trail.sign(&old, 20);
    assert_eq!(trail.verify(&trust, Vec::new()).unwrap().signed_up_to, Some((15, 1)));
}

#[test]
fn a_trail_whose_beginning_was_given_up_is_verified_from_its_base() {
    let dir = tempfile::tempdir().unwrap();
    let signer = signer(&dir, "key");
    let (whole, trust) = (Trail::of((0..40).map(event), &signer), Trust::Key(signer.public_key()));
    let base = whole.checkpoints[1].clone();
    let mut rest = whole.clone();
    rest.events.drain(..20);
    rest.checkpoints.drain(..2);
    let anchors = vec![whole.checkpoints[0].clone(), base.clone(), whole.checkpoints[2].clone()];
    let verified = rest.verify_after(Some(&base), &trust, anchors).unwrap();
    assert_eq!((verified.first, verified.last, verified.anchors, verified.anchors_before), (21, 40, 2, 1));
    // Somebody with the file and a key of their own.
    let thief = self::signer(&dir, "thief").checkpoint(BEGINNING, 40, whole.events[39].1, 1);
    let nothing = Trail { events: Vec::new(), checkpoints: Vec::new() };
    assert_eq!(nothing.verify_after(Some(&thief), &trust, Vec::new()), Err(Damage::Signature { sequence: 40 }));
    let unsigned = Checkpoint { at_ms: 2, ..base };
    assert_eq!(rest.verify_after(Some(&unsigned), &trust, Vec::new()), Err(Damage::Signature { sequence: 20 }));
}

#[test]
fn a_checkpoint_is_a_line_that_reads_back_and_no_bit_of_it_may_change() {
    let dir = tempfile::tempdir().unwrap();
    let trail = Trail::of((0..10).map(event), &signer(&dir, "key"));
    let checkpoint = &trail.checkpoints[0];
    assert!(checkpoint.is_signed());
    assert_eq!(Checkpoint::parse(&checkpoint.to_line()).as_ref(), Some(checkpoint));
    let mut other = [(); 6].map(|()| checkpoint.clone());
    other[0].beginning[0] ^= 1;
    other[1].sequence ^= 1;
    other[2].head[31] ^= 1;
    other[3].at_ms ^= 1;
    other[4].key[3] ^= 1;
    other[5].signature[9] ^= 1;
    assert!(other.iter().all(|checkpoint| !checkpoint.is_signed()));
    for line in ["", "{}", "[]", r#"{"latchkey_audit_checkpoint":2}"#] {
        assert_eq!(Checkpoint::parse(line), None);
    }
}

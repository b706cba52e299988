//! What this process refuses although the store does not say so yet: a revocation that could not be committed in time
//! holds here at once, and is committed when that is possible (rule R11).
//!
//! Kept in memory alone, by the process and not by what decides, so that a store that is opened anew does not forget it.

use std::collections::HashSet;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{PoisonError, RwLock};

use crate::domain::Subject;

/// Subjects at most.
const MOST: usize = 65_536;

/// The subjects that are refused here.
#[derive(Default)]
pub struct DeniedHere {
    /// How many; what a request looks at first, and nearly always alone.
    count: AtomicUsize,
    subjects: RwLock<HashSet<Subject>>,
}

impl DeniedHere {
    /// Refuses a subject from now on; whether there was room for it.
    pub fn deny(&self, subject: Subject) -> bool {
        let mut subjects = self.subjects.write().unwrap_or_else(PoisonError::into_inner);
        if subjects.len() >= MOST && !subjects.contains(&subject) {
            return false;
        }
        subjects.insert(subject);
        self.count.store(subjects.len(), Ordering::SeqCst);
        true
    }

    /// Leaves a subject to what the store says.
    pub fn lift(&self, subject: Subject) {
        let mut subjects = self.subjects.write().unwrap_or_else(PoisonError::into_inner);
        subjects.remove(&subject);
        self.count.store(subjects.len(), Ordering::SeqCst);
    }

    /// Whether any of these is refused.
    pub fn denies(&self, subjects: impl IntoIterator<Item = Subject>) -> bool {
        if self.count.load(Ordering::SeqCst) == 0 {
            return false;
        }
        let denied = self.subjects.read().unwrap_or_else(PoisonError::into_inner);
        subjects.into_iter().any(|subject| denied.contains(&subject))
    }

    /// How many there are.
    pub fn count(&self) -> usize {
        self.count.load(Ordering::SeqCst)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::{AppId, CredentialId};

    #[test]
    fn r11_what_is_denied_here_is_so_until_it_is_lifted() {
        let denied = DeniedHere::default();
        let credential = Subject::Credential(CredentialId::from_bytes([1; 16]));
        let app = Subject::App(AppId::new(7).unwrap());
        assert!(!denied.denies([credential, app]));
        assert!(denied.deny(credential) && denied.deny(credential));
        assert!(denied.denies([app, credential]) && !denied.denies([app]));
        denied.lift(app);
        assert_eq!(denied.count(), 1);
        denied.lift(credential);
        assert!(!denied.denies([credential]) && denied.count() == 0);
    }

    #[test]
    fn r11_the_set_is_bounded_and_says_when_it_is_full() {
        let denied = DeniedHere::default();
        for id in 1..=65_536 {
            assert!(denied.deny(Subject::App(AppId::new(id).unwrap())));
        }
        assert!(!denied.deny(Subject::App(AppId::new(65_537).unwrap())));
        assert!(denied.deny(Subject::App(AppId::new(1).unwrap())), "it is there");
    }
}

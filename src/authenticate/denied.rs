//! What this process refuses although the store does not say so yet: a revocation that could not be committed in time
//! holds here at once, and is committed when that is possible (rule R11).
//!
//! Kept in memory alone, by the process and not by what decides, so that a store that is opened anew does not forget it.

use std::collections::HashMap;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{PoisonError, RwLock};

use crate::domain::Subject;

/// Subjects at most.
const MOST: usize = 65_536;

/// Whose word it is: neither lifts what the other denied.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum By {
    /// An admin took it back.
    Admin,
    /// The host told that it is gone.
    Host,
}

impl By {
    const fn bit(self) -> u8 {
        match self {
            Self::Admin => 1,
            Self::Host => 2,
        }
    }
}

/// The subjects that are refused here.
#[derive(Default)]
pub struct DeniedHere {
    /// How many; what a request looks at first, and nearly always alone.
    count: AtomicUsize,
    /// And by whose word.
    subjects: RwLock<HashMap<Subject, u8>>,
}

impl DeniedHere {
    /// Refuses a subject from now on; whether there was room for it.
    pub fn deny(&self, subject: Subject, by: By) -> bool {
        let mut subjects = self.subjects.write().unwrap_or_else(PoisonError::into_inner);
        if subjects.len() >= MOST && !subjects.contains_key(&subject) {
            return false;
        }
        *subjects.entry(subject).or_default() |= by.bit();
        self.count.store(subjects.len(), Ordering::SeqCst);
        true
    }

    /// Leaves a subject to what the store says.
    pub fn lift(&self, subject: Subject, by: By) {
        let mut subjects = self.subjects.write().unwrap_or_else(PoisonError::into_inner);
        if let Some(bits) = subjects.get_mut(&subject) {
            *bits &= !by.bit();
            if *bits == 0 {
                subjects.remove(&subject);
            }
        }
        self.count.store(subjects.len(), Ordering::SeqCst);
    }

    /// Whether any of these is refused.
    pub fn denies(&self, subjects: impl IntoIterator<Item = Subject>) -> bool {
        if self.count.load(Ordering::SeqCst) == 0 {
            return false;
        }
        let denied = self.subjects.read().unwrap_or_else(PoisonError::into_inner);
        subjects.into_iter().any(|subject| denied.contains_key(&subject))
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
        assert!(denied.deny(credential, By::Admin) && denied.deny(credential, By::Admin));
        assert!(denied.denies([app, credential]) && !denied.denies([app]));
        denied.lift(app, By::Admin);
        assert_eq!(denied.count(), 1);
        denied.lift(credential, By::Admin);
        assert!(!denied.denies([credential]) && denied.count() == 0);
    }

    #[test]
    fn r11_what_an_admin_denied_no_host_lifts() {
        let denied = DeniedHere::default();
        let user = Subject::User(crate::domain::UserId::new(9).unwrap());
        assert!(denied.deny(user, By::Admin) && denied.deny(user, By::Host));
        denied.lift(user, By::Host);
        assert!(denied.denies([user]));
        denied.lift(user, By::Admin);
        assert!(!denied.denies([user]) && denied.count() == 0);
    }

    #[test]
    fn r11_the_set_is_bounded_and_says_when_it_is_full() {
        let denied = DeniedHere::default();
        for id in 1..=65_536 {
            assert!(denied.deny(Subject::App(AppId::new(id).unwrap()), By::Admin));
        }
        assert!(!denied.deny(Subject::App(AppId::new(65_537).unwrap()), By::Admin));
        assert!(denied.deny(Subject::App(AppId::new(1).unwrap()), By::Admin), "it is there");
    }
}

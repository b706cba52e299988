//! Operators who proved their token on the Studio page, for five minutes each (rule R18). Only the hash of a session's
//! handle is kept; what its operator may do is asked of the store at each call.

use std::collections::{HashMap, VecDeque};
use std::sync::{Mutex, MutexGuard, PoisonError};

use sha2::{Digest as _, Sha256};
use zeroize::Zeroizing;

use crate::admin::{AdminError, AdminResult};
use crate::clock::Entropy;
use crate::domain::hex;
use crate::transport::admin::pages::OperatorKey;
use crate::transport::admin::pages::payload::SecretText;

const SECOND_NS: u64 = 1_000_000_000;
/// How long a session lasts, whatever is done in it.
pub(super) const LIFE_S: u64 = 300;
/// Sessions at once.
const MOST: usize = 64;
/// Tokens that may be wrong within a minute; then none is looked at.
const MOST_FAILED: usize = 10;
const FAILED_WITHIN_S: u64 = 60;

struct Session {
    operator: OperatorKey,
    ends_ns: u64,
}

#[derive(Default)]
struct State {
    open: HashMap<[u8; 32], Session>,
    /// When a token was wrong, or began to be looked at, oldest first, each with its number.
    failed: VecDeque<(u64, u64)>,
    attempts: u64,
}

/// All sessions of a process.
#[derive(Default)]
pub(super) struct Sessions(Mutex<State>);

/// A token that is being looked at: counts as a wrong one until it has succeeded, so that many at once are no way around
/// the bound.
pub(super) struct Attempt(u64);

#[expect(clippy::disallowed_methods, reason = "a handle is looked up by its hash")]
fn digest(handle: &SecretText) -> [u8; 32] {
    Sha256::digest(handle.secret().expose()).into()
}

impl Sessions {
    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A token may be looked at; none where too many were wrong.
    pub(super) fn attempt(&self, now_ns: u64) -> Option<Attempt> {
        let mut state = self.state();
        state.failed.retain(|(at_ns, _)| now_ns.saturating_sub(*at_ns) < FAILED_WITHIN_S * SECOND_NS);
        if state.failed.len() >= MOST_FAILED {
            return None;
        }
        state.attempts += 1;
        let number = state.attempts;
        state.failed.push_back((now_ns, number));
        Some(Attempt(number))
    }

    /// It was right.
    #[expect(clippy::needless_pass_by_value, reason = "an attempt succeeds once")]
    pub(super) fn succeeded(&self, attempt: Attempt) {
        self.state().failed.retain(|(_, number)| *number != attempt.0);
    }

    /// A session, by the handle that later calls carry.
    ///
    /// # Errors
    /// When there are too many, or no randomness.
    pub(super) fn open(
        &self,
        operator: OperatorKey,
        now_ns: u64,
        entropy: &dyn Entropy,
    ) -> AdminResult<Zeroizing<String>> {
        let mut bytes = Zeroizing::new([0; 16]);
        entropy.fill(bytes.as_mut())?;
        let handle = Zeroizing::new(hex::encode(bytes.as_ref()));
        let mut state = self.state();
        state.open.retain(|_, session| session.ends_ns > now_ns);
        if state.open.len() >= MOST {
            return Err(AdminError::Busy("too many sessions are open: lower one, or wait five minutes"));
        }
        let ends_ns = now_ns.saturating_add(LIFE_S * SECOND_NS);
        state.open.insert(Sha256::digest(handle.as_bytes()).into(), Session { operator, ends_ns });
        Ok(handle)
    }

    /// Whose it is; none where it is over or never was.
    pub(super) fn of(&self, handle: &SecretText, now_ns: u64) -> Option<OperatorKey> {
        self.state()
            .open
            .get(&digest(handle))
            .filter(|session| session.ends_ns > now_ns)
            .map(|session| session.operator)
    }

    /// Ends it; whether there was one.
    pub(super) fn close(&self, handle: &SecretText, now_ns: u64) -> bool {
        self.state().open.remove(&digest(handle)).is_some_and(|session| session.ends_ns > now_ns)
    }

    /// Ends all of an operator whose token was taken back.
    pub(super) fn close_all_of(&self, operator: OperatorKey) {
        self.state().open.retain(|_, session| session.operator != operator);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::SystemEntropy;

    const ANN: OperatorKey = OperatorKey::from_bytes([1; 16]);
    const BOB: OperatorKey = OperatorKey::from_bytes([2; 16]);

    fn handle(text: &str) -> SecretText {
        serde_json::from_value(serde_json::json!(text)).unwrap()
    }

    #[test]
    fn r18_a_session_lasts_five_minutes_whatever_is_done_in_it() {
        let sessions = Sessions::default();
        let text = sessions.open(ANN, 7, &SystemEntropy).unwrap();
        assert!(text.len() == 32 && text.bytes().all(|c| c.is_ascii_hexdigit()));
        let end_ns = 7 + 300 * SECOND_NS;
        for now_ns in [7, 8, end_ns / 2, end_ns - 1] {
            assert_eq!(sessions.of(&handle(&text), now_ns), Some(ANN));
        }
        assert_eq!(sessions.of(&handle(&text), end_ns), None);
        assert!(!sessions.close(&handle(&text), end_ns));
        assert_eq!(sessions.of(&handle("00000000000000000000000000000000"), 8), None);
        assert!(!sessions.state().open.keys().any(|kept| text.as_bytes().starts_with(kept)), "only its hash is kept");
    }

    #[test]
    fn r18_a_session_ends_when_it_is_lowered_or_its_operator_is_gone() {
        let sessions = Sessions::default();
        let open = |who| sessions.open(who, 0, &SystemEntropy).unwrap();
        let (first, second, bobs) = (open(ANN), open(ANN), open(BOB));
        assert!(sessions.close(&handle(&first), 1) && !sessions.close(&handle(&first), 1));
        assert_eq!((sessions.of(&handle(&first), 1), sessions.of(&handle(&second), 1)), (None, Some(ANN)));
        sessions.close_all_of(ANN);
        assert_eq!((sessions.of(&handle(&second), 1), sessions.of(&handle(&bobs), 1)), (None, Some(BOB)));
    }

    #[test]
    fn r18_so_many_sessions_and_no_more_until_one_is_over() {
        let sessions = Sessions::default();
        for _ in 0..MOST {
            sessions.open(ANN, 0, &SystemEntropy).unwrap();
        }
        assert!(matches!(sessions.open(BOB, 1, &SystemEntropy), Err(AdminError::Busy(_))));
        sessions.open(BOB, LIFE_S * SECOND_NS, &SystemEntropy).unwrap();
    }

    #[test]
    fn r18_after_ten_wrong_tokens_in_a_minute_none_is_looked_at() {
        let sessions = Sessions::default();
        // Right ones do not count, however many.
        for now_ns in 0..30 {
            let attempt = sessions.attempt(now_ns).unwrap();
            sessions.succeeded(attempt);
        }
        // At once and unfinished: each counts from its beginning.
        for now_ns in 0..10 {
            assert!(sessions.attempt(now_ns).is_some(), "{now_ns}");
        }
        assert!(sessions.attempt(10).is_none() && sessions.attempt(60 * SECOND_NS - 1).is_none());
        assert!(sessions.attempt(60 * SECOND_NS).is_some(), "the first is a minute ago");
        assert!(sessions.attempt(60 * SECOND_NS).is_none());
    }
}

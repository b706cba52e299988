//! `OpenSession`: a call that a host keeps open so that it knows we are there (host contract 2.4).
//!
//! It blocks until its time is up (answered TIMEOUT, and the host opens the next) or until the host closes it
//! (always `EXPLICIT_CLOSE`, whatever the reason). Never UNKNOWN: a gateway would come back at once, for ever.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use tokio::sync::watch;

use crate::pb::slim::plugin as pb;
use crate::pb::slim::plugin::open_session_response::CloseReason;
use crate::transport::go_plugin::PeerInfo;

/// What hosts ask for; used where one asks for nothing sensible.
const DEFAULT_TIMEOUT: Duration = Duration::from_secs(30);
/// The longest that a session is held.
const MAX_TIMEOUT: Duration = Duration::from_secs(600);

/// The sessions of all hosts, by connection: one host's leaving closes only its own.
#[derive(Default)]
pub struct Sessions {
    closed: Mutex<HashMap<u64, watch::Sender<u64>>>,
}

impl Sessions {
    /// Blocks until the session ends.
    pub async fn open(&self, peer: Option<PeerInfo>, request: pb::OpenSessionRequest) -> pb::OpenSessionResponse {
        let mut closed = self.sender(peer).subscribe();
        let timeout = match u64::try_from(request.timeout_ms) {
            Ok(0) | Err(_) => DEFAULT_TIMEOUT,
            Ok(ms) => Duration::from_millis(ms).min(MAX_TIMEOUT),
        };
        let reason = tokio::select! {
            _ = closed.changed() => CloseReason::ExplicitClose,
            () = tokio::time::sleep(timeout) => CloseReason::Timeout,
        };
        pb::OpenSessionResponse {
            success: true,
            error_message: String::new(),
            session_id: format!("session-{}-{}", request.plugin_id, request.service_broker_id),
            close_reason: reason.into(),
        }
    }

    /// Ends the sessions of one host.
    pub fn close(&self, peer: Option<PeerInfo>) {
        let mut senders = self.closed.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(sender) = senders.remove(&connection(peer)) {
            sender.send_modify(|count| *count += 1);
        }
    }

    fn sender(&self, peer: Option<PeerInfo>) -> watch::Sender<u64> {
        let mut senders = self.closed.lock().unwrap_or_else(PoisonError::into_inner);
        // Connections come and go: what nobody waits on is forgotten.
        senders.retain(|_, sender| sender.receiver_count() > 0);
        senders.entry(connection(peer)).or_insert_with(|| watch::Sender::new(0)).clone()
    }
}

fn connection(peer: Option<PeerInfo>) -> u64 {
    peer.map_or(0, |peer| peer.connection)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::transport::go_plugin::Surface;
    use std::sync::Arc;

    fn host(connection: u64) -> PeerInfo {
        let surface = Surface::Attached;
        PeerInfo {
            connection,
            surface,
            pid: None,
            uid: None,
            is_parent: false,
            mutual_tls: false,
            certificate: None,
            remote: None,
        }
    }

    fn request(timeout_ms: i32) -> pb::OpenSessionRequest {
        pb::OpenSessionRequest { service_broker_id: 3, plugin_id: 42, timeout_ms, ..Default::default() }
    }

    #[tokio::test(start_paused = true)]
    async fn a_session_lasts_as_long_as_asked_and_says_so() {
        let sessions = Sessions::default();
        for (asked, lasts) in [(1_500, 1_500), (0, 30_000), (-5, 30_000), (i32::MAX, 600_000)] {
            let started = tokio::time::Instant::now();
            let answer = sessions.open(Some(host(1)), request(asked)).await;
            assert_eq!(started.elapsed(), Duration::from_millis(lasts));
            assert!(answer.success && answer.close_reason() == CloseReason::Timeout);
            assert_eq!(answer.session_id, "session-42-3");
        }
    }

    #[tokio::test(start_paused = true)]
    async fn closing_ends_the_sessions_of_that_host_alone() {
        let sessions = Arc::new(Sessions::default());
        let other = {
            let s = Arc::clone(&sessions);
            tokio::spawn(async move { s.open(Some(host(2)), request(5_000)).await })
        };
        let own = {
            let s = Arc::clone(&sessions);
            tokio::spawn(async move { s.open(Some(host(1)), request(5_000)).await })
        };
        tokio::time::sleep(Duration::from_millis(10)).await;
        sessions.close(Some(host(1)));
        assert_eq!(own.await.unwrap().close_reason(), CloseReason::ExplicitClose);
        assert_eq!(other.await.unwrap().close_reason(), CloseReason::Timeout);
        sessions.close(Some(host(1)));
        assert_eq!(
            sessions.open(Some(host(1)), request(100)).await.close_reason(),
            CloseReason::Timeout,
            "a new one is new"
        );
    }
}

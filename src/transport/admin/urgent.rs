//! What takes something back must get through (rule R11): where the store cannot commit it within two seconds, it holds in
//! this process at once, is tried again until it is committed, and is told as not done.
//!
//! Whether the caller may, and whether the thing is theirs, is asked before: nobody has anything denied that is not theirs.

use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use prost_types::FieldMask;
use tonic::{Request, Response, Status};

use crate::admin::{Admin, AdminError, AdminResult, Caller};
use crate::authenticate::denied::By;
use crate::domain::Subject;
use crate::store::StoreError;
use crate::transport::admin::fetching::CallTurn;
use crate::transport::admin::{AdminRpc, Asks, Desk, convert, identify, status};

/// How long a commit may take before what it takes back is denied here.
const LIMIT: Duration = Duration::from_secs(2);
/// Between attempts, before and after that.
const PAUSE: Duration = Duration::from_millis(100);
const LATER: Duration = Duration::from_millis(500);
/// How long a denial outlives its commit: twice the oldest look at the feed that a cached fact may rest on, for another
/// process may have been the one that committed.
const LINGER: Duration = Duration::from_millis(250);
/// Commits that may hold a thread at once, so that a store that stands still never takes the threads that ask whether a
/// caller may.
const COMMITS: usize = 8;

/// What is denied here and still to be committed.
pub(super) struct Urgent {
    commits: Arc<tokio::sync::Semaphore>,
    pending: Mutex<HashMap<Subject, Arc<AtomicBool>>>,
}

impl Default for Urgent {
    fn default() -> Self {
        Self { commits: Arc::new(tokio::sync::Semaphore::new(COMMITS)), pending: Mutex::default() }
    }
}

impl Urgent {
    fn pending(&self) -> std::sync::MutexGuard<'_, HashMap<Subject, Arc<AtomicBool>>> {
        self.pending.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Whether nothing more is to be tried for a subject, because somebody wants the opposite.
    fn give_up(&self, subject: Subject) -> bool {
        let given_up = self.pending().remove(&subject);
        given_up.is_some_and(|wanted| {
            wanted.store(false, Ordering::SeqCst);
            true
        })
    }
}

/// What a call does to whom.
pub(super) enum Effect {
    /// Takes back.
    Takes(Subject),
    /// Gives again: nothing more is tried against it.
    Gives(Subject),
    /// Neither.
    Neither,
}

impl Effect {
    /// Of an update that may switch a thing off or on, by its field `active`.
    pub(super) fn switching(
        mask: Option<&FieldMask>,
        active: bool,
        subject: impl FnOnce() -> AdminResult<Subject>,
    ) -> AdminResult<Self> {
        if !convert::chooses(mask, "active", active) {
            return Ok(Self::Neither);
        }
        subject().map(if active { Self::Gives } else { Self::Takes })
    }
}

/// What a call does; asked with the caller's own rights.
pub(super) type About<Q> = fn(&Desk, &Admin, &Q) -> AdminResult<Effect>;
type Run<Q, A> = fn(&Desk, &Admin, Q) -> AdminResult<A>;

/// Whether trying again may help.
fn is_passing(error: &AdminError) -> bool {
    matches!(
        error,
        AdminError::Store(
            StoreError::Failed { .. } | StoreError::Conflict { .. } | StoreError::Closed | StoreError::Replaced
        ) | AdminError::Unavailable(_)
    )
}

impl AdminRpc {
    /// One question that may take something back.
    pub(super) async fn urgently<Q: Asks, A: Send + 'static>(
        &self,
        method: &'static str,
        request: Request<Q>,
        about: About<Q>,
        run: Run<Q, A>,
    ) -> Result<Response<A>, Status> {
        let caller = identify::known(&request)?;
        let answer = self.ask(method, caller, request.into_inner(), Some(about), run).await;
        answer.map(Response::new).map_err(|failed| status::of(failed.as_ref()))
    }

    pub(super) async fn get_through<Q: Asks, A: Send + 'static>(
        &self,
        caller: Caller,
        asked: Q,
        about: About<Q>,
        run: Run<Q, A>,
    ) -> AdminResult<A> {
        // Point reads: here, so that no thread has to be free for them.
        let admin = self.admin(caller.clone(), &asked)?;
        if !self.desk.office.serves() {
            return self.attempt(None, caller, asked, run).await;
        }
        let subject = match about(&self.desk, &admin, &asked)? {
            Effect::Takes(subject) => subject,
            // What takes nothing back may take its time, and holds no thread of those that do.
            Effect::Neither => return self.attempt(None, caller, asked, run).await,
            Effect::Gives(subject) => {
                let given_up = self.desk.urgent.give_up(subject);
                let answer = self.attempt(None, caller, asked, run).await?;
                if given_up {
                    self.desk.office.gate().denied().lift(subject, By::Admin);
                }
                return Ok(answer);
            }
        };
        if self.desk.urgent.pending().contains_key(&subject) {
            return Err(AdminError::DeniedHere);
        }
        let this = self.clone();
        let trying = async {
            loop {
                match this.attempt(Some(&this.desk.urgent.commits), caller.clone(), asked.clone(), run).await {
                    Err(error) if is_passing(&error) => tokio::time::sleep(PAUSE).await,
                    ended => return ended,
                }
            }
        };
        // An attempt whose time is over goes on in its thread; that it may succeed after all does no harm.
        if let Ok(ended) = tokio::time::timeout(LIMIT, trying).await {
            return ended;
        }
        let denied = Arc::clone(self.desk.office.gate().denied());
        if !denied.deny(subject, By::Admin) {
            return Err(AdminError::Unavailable(
                "the store cannot commit this, and too much is denied here already: it is NOT denied".to_owned(),
            ));
        }
        tracing::error!(
            subject_kind = subject.kind(),
            subject_id = subject.id_text(),
            "denied here, not durable: the store could not commit what takes it back; it is tried again"
        );
        let wanted = Arc::new(AtomicBool::new(true));
        self.desk.urgent.pending().insert(subject, Arc::clone(&wanted));
        let this = self.clone();
        tokio::spawn(async move { this.until_committed(subject, &wanted, caller, asked, run).await });
        Err(AdminError::DeniedHere)
    }

    /// Tries until it is committed, for ever, or until it is plain that it never will be.
    async fn until_committed<Q: Asks, A: Send + 'static>(
        &self,
        subject: Subject,
        wanted: &AtomicBool,
        caller: Caller,
        asked: Q,
        run: Run<Q, A>,
    ) {
        let (subject_kind, subject_id) = (subject.kind(), subject.id_text());
        while wanted.load(Ordering::SeqCst) {
            match self.attempt(Some(&self.desk.urgent.commits), caller.clone(), asked.clone(), run).await {
                Ok(_) => {
                    tracing::warn!(subject_kind, subject_id, "what was denied here is durable now");
                    break;
                }
                Err(error) if is_passing(&error) => tokio::time::sleep(LATER).await,
                Err(error) => {
                    tracing::error!(subject_kind, subject_id, %error, "what was denied here will never be durable");
                    break;
                }
            }
        }
        tokio::time::sleep(LINGER).await;
        // Unless somebody denied it anew meanwhile.
        if self.desk.urgent.pending().remove(&subject).is_some() || !wanted.load(Ordering::SeqCst) {
            self.desk.office.gate().denied().lift(subject, By::Admin);
        }
    }

    /// One attempt, on a thread of which there are few: these, or those of all calls.
    async fn attempt<Q: Asks, A: Send + 'static>(
        &self,
        turns: Option<&Arc<tokio::sync::Semaphore>>,
        caller: Caller,
        asked: Q,
        run: Run<Q, A>,
    ) -> AdminResult<A> {
        let gone = || AdminError::Unavailable("the server is going down".to_owned());
        let turn = match turns {
            Some(turns) => Arc::clone(turns).acquire_owned().await.map(CallTurn::Usual).map_err(|_| gone())?,
            None => self.desk.turn(&caller, &asked).await?,
        };
        let this = self.clone();
        let work = move || {
            let _turn = turn;
            // Of the store as it is now: it may have been opened anew.
            this.admin(caller, &asked).and_then(|admin| run(&this.desk, &admin, asked))
        };
        tokio::task::spawn_blocking(work).await.unwrap_or_else(|_| Err(gone()))
    }
}

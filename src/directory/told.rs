//! What a host tells of by itself, written at once: Users, who no host can be asked about, and LLMs that are gone.

use crate::directory::plan::tidy;
use crate::directory::reconcile::{ReconcileError, Reconciler};
use crate::domain::{AppId, HostState, LlmId, Subject, User, UserId};
use crate::store::{HostChange, Page, StoreError};

/// Rows that lose a grant at once.
const ROWS: u32 = 200;
const MAX_TEXT: usize = 200;
/// How often a row that changes meanwhile is read again.
const AGAIN: u32 = 8;

/// What a host told of. Nothing else of what it says is kept.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Told {
    /// An App is another than before, or gone.
    App(AppId),
    /// A User as they are now.
    User {
        /// The host's id.
        id: UserId,
        /// Their address; none if it was not said.
        email: Option<String>,
        /// Their name; none if it was not said.
        name: Option<String>,
        /// Whether the host lets them in.
        active: bool,
        /// Whether they were just made: else it may be a word of before they went.
        created: bool,
    },
    /// A User is gone.
    UserGone(UserId),
    /// An LLM is gone.
    LlmGone(LlmId),
}

impl Told {
    /// Whether it says nothing against another word of the same thing, though it came later: hosts tell of changes at once, in
    /// any order, and that one is gone is the last of them.
    pub fn is_older_than(&self, other: &Self) -> bool {
        matches!((self, other), (Self::User { created: false, .. }, Self::UserGone(_)))
    }

    /// What stops working by it, if that is certain already.
    pub fn takes_away(&self) -> Option<Subject> {
        match self {
            Self::UserGone(id) | Self::User { id, active: false, .. } => Some(Subject::User(*id)),
            Self::User { .. } | Self::App(_) | Self::LlmGone(_) => None,
        }
    }
}

impl Reconciler {
    /// Writes what was told. Blocks.
    ///
    /// # Errors
    /// When host or store gave no answer: it is to be told again.
    pub fn take(&self, told: &Told) -> Result<(), ReconcileError> {
        match told {
            Told::App(id) => {
                // Whatever comes of it, what is known is not to be used.
                self.forget(*id);
                self.one(*id)
            }
            Told::LlmGone(llm) => self.llm_gone(*llm),
            Told::User { id, email, name, active, created } => self.user(*id, |user| {
                if *created || user.host.gone_at_ms.is_none() {
                    user.host = HostState { active: *active, gone_at_ms: None };
                }
                let put = |text: &mut String, said: &Option<String>| {
                    if let Some(said) = said {
                        *text = tidy(said, MAX_TEXT);
                    }
                };
                put(&mut user.email, email);
                put(&mut user.name, name);
            }),
            Told::UserGone(id) => {
                let now_ms = self.clock.wall_ms();
                self.user(*id, |user| {
                    user.host = HostState { active: false, gone_at_ms: user.host.gone_at_ms.or(Some(now_ms)) };
                })
            }
        }
    }

    /// Changes the row of a User that some tenant has; of others nothing is kept.
    fn user(&self, id: UserId, change: impl Fn(&mut User)) -> Result<(), ReconcileError> {
        for _ in 0..AGAIN {
            let Some(row) = self.store.host_copy().user(id)? else { return Ok(()) };
            let mut user = row.clone();
            change(&mut user);
            if user == row {
                return Ok(());
            }
            user.generation = self.generation();
            if self.write(vec![HostChange::User { user, expected: row.generation }])? > 0 {
                return Ok(());
            }
        }
        Err(StoreError::Conflict { what: "User" }.into())
    }

    fn llm_gone(&self, llm: LlmId) -> Result<(), ReconcileError> {
        loop {
            // From the beginning each time: what was written is not in it any more.
            let rows = self.store.host_copy().with_llm(llm, &Page { after: None, limit: ROWS })?;
            if rows.is_empty() {
                return Ok(());
            }
            let changes = rows.into_iter().map(|row| {
                let mut app = row.clone();
                app.llms.retain(|grant| grant.id != llm);
                app.generation = self.generation();
                HostChange::App { app, expected: row.generation }
            });
            if self.write(changes.collect())? == 0 {
                return Err(StoreError::Conflict { what: "App" }.into());
            }
        }
    }
}

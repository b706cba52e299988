//! The pages of a host: what the RPC's functions do, JSON in and JSON out.
//!
//! `table` is all that there is, `input` and `output` are its forms, `session` is an operator who proved a token on
//! the Studio page. On which connection a page may ask at all is judged before (`transport/plugin/call.rs`, rule R1); who
//! asks is settled here, at each call anew.

mod input;
mod output;
mod payload;
mod session;
mod table;

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex, PoisonError};

use zeroize::Zeroizing;

use crate::admin::{AdminError, AdminResult, Backend, Caller, Scope};
use crate::authenticate::gate::OPENING_WAIT;
use crate::clock::{Clock, Entropy};
use crate::domain::{CredentialId, Role, Subject, UserId};
use crate::transport::admin::status::ErrorView;
use crate::transport::admin::{AdminRpc, Office, Peers};
use input::{Input, Place};
pub use output::{HealthView, MetricsView};
pub use payload::Payload;
use payload::SecretText;
use session::Sessions;
pub use table::{Method, Page, find, names};
use table::{Use, text};

/// What the Studio page is, by this machine's settings.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct StudioSettings {
    /// The slugs of its tenants; with none it sees the names of tenants and nothing else.
    pub tenants: Vec<String>,
    /// What it may do for them; never more than an issuer.
    pub role: Role,
}

impl Default for StudioSettings {
    fn default() -> Self {
        Self { tenants: Vec::new(), role: Role::Auditor }
    }
}

/// How often a store that is being opened is looked for.
const LOOKS: u32 = 50;

/// JSON, which may hold a fresh key: wiped where it is not given away.
pub type Text = Zeroizing<String>;

/// Through which page somebody asks.
#[derive(Clone, Debug)]
pub enum Way {
    /// The Studio page.
    Studio(StudioSettings),
    /// The portal, with the host's id of its User.
    Portal(u32),
}

/// Who asks, and what is theirs alone.
struct Who {
    caller: Caller,
    place: Place,
}

/// The pages.
#[derive(Clone)]
pub struct Pages(Arc<Inner>);

struct Inner {
    rpc: AdminRpc,
    sessions: Sessions,
    clock: Arc<dyn Clock>,
    entropy: Arc<dyn Entropy>,
    /// Settings that name no tenant, so that each is said once.
    unknown: Mutex<BTreeSet<String>>,
}

impl Pages {
    /// Of this process.
    pub fn new(office: Arc<dyn Office>, clock: Arc<dyn Clock>, entropy: Arc<dyn Entropy>) -> Self {
        let (sessions, unknown) = (Sessions::default(), Mutex::default());
        Self(Arc::new(Inner { rpc: AdminRpc::new(office, Peers::default()), sessions, clock, entropy, unknown }))
    }

    /// What a method answers, a failure included: always JSON.
    pub async fn answer(&self, method: &'static Method, way: Way, payload: Payload) -> Text {
        let portal = matches!(way, Way::Portal(_));
        match method.answer(self, way, payload).await {
            Ok(text) => text,
            Err(error) => failed(if portal { error.for_people() } else { error }),
        }
    }

    fn office(&self) -> &Arc<dyn Office> {
        &self.0.rpc.desk.office
    }

    /// One use of the service.
    async fn perform<U: Use>(self, way: Way, payload: Payload) -> Result<Text, ErrorView> {
        let begun = async {
            let mut input: U::Input = payload.read()?;
            let session = input.session();
            let who = self.who(way, session).await?;
            let asked = input.rpc(&who.place)?;
            Ok::<_, Refused>((who.caller, asked))
        };
        let (caller, asked) = match begun.await {
            Ok(begun) => begun,
            Err(Refused(error)) => return Err(self.refused(U::NAME, error)),
        };
        let caller = if U::NAMES_ALONE { Caller { scope: Scope::All, ..caller } } else { caller };
        let done = self.0.rpc.ask(U::NAME, caller, asked, U::about(), text::<U>).await;
        done.map_err(|failed| ErrorView::of(failed.as_ref()))
    }

    /// Counts and logs what ended before there was anybody who asks.
    fn refused(&self, method: &'static str, error: ErrorView) -> ErrorView {
        self.office().gate().metrics().admin_call(method, error.code());
        tracing::info!(method, outcome = error.code(), "a call of a page was refused");
        error
    }

    /// The use cases; waits a little for a store that is being opened, as requests do.
    async fn backend(&self) -> AdminResult<Backend> {
        for _ in 0..LOOKS {
            if let Some(backend) = self.office().backend() {
                return Ok(backend);
            }
            if self.office().gate().is_closed() {
                break;
            }
            tokio::time::sleep(OPENING_WAIT / LOOKS).await;
        }
        Err(not_open())
    }

    /// Who asks. Reads the store.
    async fn who(&self, way: Way, session: Option<SecretText>) -> Result<Who, Refused> {
        let (this, backend) = (self.clone(), self.backend().await?);
        let settled = tokio::task::spawn_blocking(move || this.settle(&backend, &way, session.as_ref())).await;
        settled.unwrap_or_else(|_| Err(Refused(ErrorView::of(None))))
    }

    /// Blocks.
    fn settle(&self, backend: &Backend, way: &Way, session: Option<&SecretText>) -> Result<Who, Refused> {
        let place = Place::default();
        match (way, session) {
            (Way::Portal(id), _) => {
                let user = UserId::new(*id).ok_or_else(Caller::not_of_the_portal)?;
                let caller = backend.portal(user)?;
                let Scope::Tenants(tenants) = &caller.scope else { return Err(Caller::not_of_the_portal().into()) };
                let tenant = *tenants.first().ok_or_else(Caller::not_of_the_portal)?;
                if self.denied([Subject::User(user), Subject::Tenant(tenant)]) {
                    return Err(Caller::not_of_the_portal().into());
                }
                let slug = backend.admin(caller.clone()).slug_of(tenant)?;
                Ok(Who { caller, place: Place { tenant: slug, user: user.get() } })
            }
            (Way::Studio(settings), Some(session)) => {
                may_raise(settings)?;
                Ok(Who { caller: self.session(backend, session)?, place })
            }
            (Way::Studio(settings), None) if settings.tenants.is_empty() => {
                Ok(Who { caller: Caller::studio(Role::Auditor, Vec::new()), place })
            }
            (Way::Studio(settings), None) => {
                let (caller, unknown) = backend.studio(&settings.tenants, settings.role)?;
                self.warn_of(unknown);
                Ok(Who { caller, place })
            }
        }
    }

    /// Whom a session is of, as they are now.
    fn session(&self, backend: &Backend, session: &SecretText) -> Result<Caller, Refused> {
        let over = || Refused(ErrorView::no_session());
        let id = self.0.sessions.of(session, self.0.clock.boot_ns()).ok_or_else(over)?;
        let caller = if self.denied([Subject::Operator(id)]) { None } else { backend.raised(id)? };
        caller.ok_or_else(|| {
            self.0.sessions.close_all_of(id);
            over()
        })
    }

    /// What this process refuses although the store does not say so yet (rule R11).
    fn denied(&self, subjects: impl IntoIterator<Item = Subject>) -> bool {
        self.office().gate().denied().denies(subjects)
    }

    fn warn_of(&self, unknown: Vec<String>) {
        let mut told = self.0.unknown.lock().unwrap_or_else(PoisonError::into_inner);
        for slug in unknown {
            if told.insert(slug.clone()) {
                tracing::warn!(slug, "studio.tenants names a tenant that is not there; it is left out");
            }
        }
    }

    /// Proves an operator's token, for five minutes.
    async fn raise(&self, way: Way, payload: Payload) -> Result<Text, ErrorView> {
        let raised = async {
            if let Way::Studio(settings) = &way {
                may_raise(settings)?;
            }
            let input: input::RaiseInput = payload.read()?;
            drop(payload);
            let busy = "too many tokens were wrong: try again in a minute";
            let now_ns = || self.0.clock.boot_ns();
            self.backend().await?;
            let ready = self.office().gate().authenticator().ok_or_else(not_open)?;
            let attempt = self.0.sessions.attempt(now_ns()).ok_or(AdminError::Busy(busy))?;
            let operator = ready.operator(input.operator_token.secret()).await.map_err(|reason| {
                tracing::info!(reason = reason.code(), outcome = "refused", "a token on the Studio page is nobody's");
                Refused(ErrorView::unidentified())
            })?;
            self.0.sessions.succeeded(attempt);
            let session = self.0.sessions.open(operator.id, now_ns(), self.0.entropy.as_ref())?;
            tracing::info!(operator = %operator.id, "the Studio page acts for an operator");
            self.office().gate().metrics().admin_call("raise", "ok");
            Ok::<_, Refused>(table::json(&output::RaisedOutput::new(&operator, session))?)
        };
        raised.await.map_err(|Refused(error)| self.refused("raise", error))
    }

    /// Ends a session.
    fn lower(&self, payload: &Payload) -> Result<Text, ErrorView> {
        let lowered = || {
            let input: input::LowerInput = payload.read()?;
            if !self.0.sessions.close(&input.session, self.0.clock.boot_ns()) {
                return Err(Refused(ErrorView::no_session()));
            }
            self.office().gate().metrics().admin_call("lower", "ok");
            Ok(table::json(&output::LoweredOutput { lowered: true })?)
        };
        lowered().map_err(|Refused(error)| self.refused("lower", error))
    }

    /// What there is to ask, for whoever may ask anything.
    async fn describe(&self, way: Way, payload: Payload) -> Result<Text, ErrorView> {
        let page = if matches!(way, Way::Portal(_)) { Page::Portal } else { Page::Studio };
        let described = async {
            let mut input: input::NothingInput = payload.read()?;
            let session = input.session();
            self.who(way, session).await?;
            Ok::<_, Refused>(table::json(&table::describe(page))?)
        };
        described.await.map_err(|Refused(error)| self.refused("describe", error))
    }
}

fn not_open() -> AdminError {
    AdminError::Unavailable("the store is not open".to_owned())
}

/// Nobody acts through a page that this machine opened for no tenant.
fn may_raise(settings: &StudioSettings) -> AdminResult<()> {
    if settings.tenants.is_empty() { Err(closed()) } else { Ok(()) }
}

/// Of a method that this machine did not open.
fn closed() -> AdminError {
    AdminError::Forbidden { needs: "tenants in the setting `studio.tenants` of the plugin's machine" }
}

/// Why nothing is asked of the service.
struct Refused(ErrorView);

impl From<AdminError> for Refused {
    fn from(error: AdminError) -> Self {
        Self(ErrorView::of(Some(&error)))
    }
}

fn failed(error: ErrorView) -> Text {
    #[derive(serde::Serialize)]
    struct Failed {
        ok: bool,
        error: ErrorView,
    }
    let text = serde_json::to_string(&Failed { ok: false, error });
    Zeroizing::new(text.unwrap_or_else(|_| r#"{"ok":false}"#.to_owned()))
}

/// For [`Sessions`]: operators by their id.
type OperatorKey = CredentialId;

#[cfg(test)]
#[path = "pages_tests.rs"]
mod tests;

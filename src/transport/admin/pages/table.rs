//! Every method of the pages: what it is for, what it takes, what it answers, and who may ask before this machine names
//! tenants for the Studio page. What is not here does not exist: nothing on a page makes tenants, Apps, Users or operators,
//! imports, or touches peppers and keys that sign (rule R18).

use futures::FutureExt as _;
use futures::future::BoxFuture;
use schemars::generate::SchemaSettings;
use schemars::{JsonSchema, Schema, SchemaGenerator};
use serde::Serialize;
use zeroize::Zeroizing;

use crate::admin::{Admin, AdminError, AdminResult, Scope};
use crate::pb::admin::v1 as pb;
use crate::transport::admin::pages::input::{self, Input};
use crate::transport::admin::pages::output::{self, HealthView, MetricsView};
use crate::transport::admin::pages::payload::Payload;
use crate::transport::admin::pages::{Pages, StudioSettings, Text, Way, closed};
use crate::transport::admin::status::ErrorView;
use crate::transport::admin::urgent::About;
use crate::transport::admin::views::{AppView, IssuerView, KeyView, TenantView};
use crate::transport::admin::{Desk, apps, audit, checklist, credentials, issuers, links, operators, tenants, users};

/// Which page has a method.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Page {
    /// Studio's, for its admins.
    Studio,
    /// The portal, for anybody with a session there.
    Portal,
}

/// How a method is answered.
enum How {
    /// By whoever serves the page: of the process, with no caller.
    Process,
    Describe,
    Raise,
    Lower,
    /// By the service.
    Use {
        run: Perform,
        /// Where no tenants are named for the Studio page; none is a refusal.
        closed: Option<Perform>,
    },
}

type Perform = fn(Pages, Way, Payload) -> BoxFuture<'static, Result<Text, ErrorView>>;

/// A method.
pub struct Method {
    /// As a page calls it.
    pub name: &'static str,
    text: &'static str,
    example: &'static str,
    input: fn(SchemaGenerator) -> Schema,
    output: fn(SchemaGenerator) -> Schema,
    how: How,
}

impl Method {
    /// Whether it is asked on every connection, by anybody.
    pub fn is_open(&self) -> bool {
        matches!(self.how, How::Process)
    }

    pub(super) async fn answer(&self, pages: &Pages, way: Way, payload: Payload) -> Result<Text, ErrorView> {
        let is_closed = matches!(&way, Way::Studio(StudioSettings { tenants, .. }) if tenants.is_empty());
        match &self.how {
            How::Process => Err(ErrorView::of(None)),
            How::Describe => pages.describe(way, payload).await,
            How::Raise => pages.raise(way, payload).await,
            How::Lower if is_closed => Err(pages.refused(self.name, ErrorView::of(Some(&closed())))),
            How::Lower => pages.lower(&payload),
            How::Use { run, closed: None } if !is_closed => run(pages.clone(), way, payload).await,
            How::Use { closed: None, .. } => Err(pages.refused(self.name, ErrorView::of(Some(&closed())))),
            How::Use { run, closed: Some(closed) } => {
                let run = if is_closed { closed } else { run };
                run(pages.clone(), way, payload).await
            }
        }
    }
}

/// One use of the service by a page.
pub(super) trait Use: 'static {
    type Input: Input;
    type Output: Serialize + JsonSchema;
    const NAME: &'static str;
    /// Whether it shows names of tenants to whoever has none.
    const NAMES_ALONE: bool = false;

    fn run(desk: &Desk, admin: &Admin, asked: <Self::Input as Input>::Rpc) -> AdminResult<Self::Output>;

    /// What it takes back, where it does.
    fn about() -> Option<About<<Self::Input as Input>::Rpc>> {
        None
    }
}

/// What a use answers, as JSON.
pub(super) fn text<U: Use>(desk: &Desk, admin: &Admin, asked: <U::Input as Input>::Rpc) -> AdminResult<Text> {
    json(&U::run(desk, admin, asked)?)
}

/// As JSON, in one piece of memory where it may hold a secret.
pub(super) fn json(output: &impl Serialize) -> AdminResult<Text> {
    let mut bytes = Zeroizing::new(Vec::with_capacity(32 * 1024));
    let unwritten = || AdminError::Unavailable("the answer cannot be written".to_owned());
    serde_json::to_writer(&mut *bytes, output).map_err(|_| unwritten())?;
    String::from_utf8(std::mem::take(&mut *bytes)).map(Zeroizing::new).map_err(|_| unwritten())
}

fn perform<U: Use>(pages: Pages, way: Way, payload: Payload) -> BoxFuture<'static, Result<Text, ErrorView>> {
    pages.perform::<U>(way, payload).boxed()
}

macro_rules! uses {
    ($($use:ident $name:literal: $input:ident => $output:ty = $run:path $(, takes $about:path)?;)+) => {
        $(
            struct $use;

            impl Use for $use {
                type Input = input::$input;
                type Output = $output;
                const NAME: &'static str = $name;
                fn run(desk: &Desk, admin: &Admin, asked: <Self::Input as Input>::Rpc) -> AdminResult<$output> {
                    $run(desk, admin, asked).map(Into::into)
                }
                $(fn about() -> Option<About<<Self::Input as Input>::Rpc>> {
                    Some($about)
                })?
            }
        )+
    };
}

uses! {
    GetCaller "get_caller": NothingInput => output::CallerOutput = caller;
    ListTenants "list_tenants": TenantsInput => output::TenantsOutput = tenants::list;
    GetTenant "get_tenant": TenantInput => TenantView = tenants::get;
    ListApps "list_apps": AppsInput => output::AppsOutput = apps::list;
    GetApp "get_app": AppInput => AppView = apps::get;
    ListUsers "list_users": UsersInput => output::UsersOutput = users::list;
    ListLinks "list_links": LinksInput => output::LinksOutput = links::list;
    CreateLink "create_link": NewLinkInput => output::LinkedOutput = links::create;
    DeleteLink "delete_link": OldLinkInput => output::UnlinkedOutput = links::delete, takes links::deletes;
    ListIssuers "list_issuers": IssuersInput => output::IssuersOutput = issuers::list;
    GetIssuer "get_issuer": IssuerInput => IssuerView = issuers::get;
    ListCredentials "list_credentials": CredentialsInput => output::CredentialsOutput = credentials::list;
    GetCredential "get_credential": CredentialInput => KeyView = credentials::get;
    IssueCredential "issue_credential": IssueInput => output::IssuedOutput = credentials::issue;
    RotateCredential "rotate_credential": RotateInput => output::IssuedOutput = credentials::rotate;
    RevokeCredential "revoke_credential": RevokeInput => output::RevokedOutput = credentials::revoke, takes credentials::revokes;
    UpdateCredential "update_credential": UpdateInput => KeyView = credentials::update;
    ListEvents "list_audit_events": EventsInput => output::EventsOutput = audit::list;
    ListOperators "list_operators": OperatorsInput => output::OperatorsOutput = operators::list;
    RunChecklist "run_checklist": ChecklistInput => checklist::ChecklistView = checklist::run_on_page;
    OwnApps "list_apps": OwnAppsInput => output::OwnAppsOutput = apps::list;
    OwnCredentials "list_credentials": OwnCredentialsInput => output::OwnCredentialsOutput = credentials::list;
    OwnCredential "get_credential": OwnCredentialInput => output::OwnKey = credentials::get;
    OwnIssue "issue_credential": OwnIssueInput => output::OwnIssuedOutput = credentials::issue;
    OwnRotate "rotate_credential": OwnRotateInput => output::OwnIssuedOutput = credentials::rotate;
    OwnRevoke "revoke_credential": OwnRevokeInput => output::OwnRevokedOutput = credentials::revoke, takes credentials::revokes;
}

struct NameTenants;

impl Use for NameTenants {
    type Input = input::TenantsInput;
    type Output = output::TenantNamesOutput;
    const NAME: &'static str = "list_tenants";
    const NAMES_ALONE: bool = true;
    fn run(desk: &Desk, admin: &Admin, asked: pb::ListTenantsRequest) -> AdminResult<Self::Output> {
        tenants::list(desk, admin, asked).map(Into::into)
    }
}

fn caller(_: &Desk, admin: &Admin, _: pb::GetCallerRequest) -> AdminResult<output::CallerOutput> {
    let caller = admin.caller();
    let tenants = match &caller.scope {
        Scope::All => Vec::new(),
        Scope::Tenants(ids) => ids.iter().map(|id| admin.slug_of(*id)).collect::<AdminResult<_>>()?,
    };
    let (actor, every_tenant) = (caller.actor.to_text(), caller.scope == Scope::All);
    Ok(output::CallerOutput { actor, role: caller.role.as_str(), every_tenant, tenants })
}

fn of<T: JsonSchema>(generator: SchemaGenerator) -> Schema {
    generator.into_root_schema_for::<T>()
}

const fn method<U: Use>(text: &'static str, example: &'static str, closed: Option<Perform>) -> Method {
    let how = How::Use { run: perform::<U>, closed };
    Method { name: U::NAME, text, example, input: of::<U::Input>, output: of::<U::Output>, how }
}

const fn plain<I: JsonSchema, O: JsonSchema>(
    name: &'static str,
    text: &'static str,
    example: &'static str,
    how: How,
) -> Method {
    Method { name, text, example, input: of::<I>, output: of::<O>, how }
}

/// What is asked of the process.
#[derive(JsonSchema)]
#[schemars(deny_unknown_fields)]
struct Nothing {}

static STUDIO: &[Method] = &[
    plain::<Nothing, HealthView>("health", "How the process is.", "{}", How::Process),
    plain::<Nothing, MetricsView>("get_metrics", "What the process counted.", "{}", How::Process),
    plain::<input::NothingInput, Described>("describe", "Every method with its schemas.", "{}", How::Describe),
    method::<GetCaller>("Who asks, and what is theirs.", "{}", Some(perform::<GetCaller>)),
    method::<ListTenants>(
        "A page of tenants; where the machine names none for this page, their names and status alone.",
        r#"{"page_size":50}"#,
        Some(perform::<NameTenants>),
    ),
    method::<GetTenant>("A tenant.", r#"{"tenant":"acme"}"#, None),
    method::<ListApps>("A page of a tenant's Apps.", r#"{"tenant":"acme"}"#, None),
    method::<GetApp>("An App.", r#"{"tenant":"acme","app_id":7}"#, None),
    method::<ListUsers>("A page of a tenant's Users.", r#"{"tenant":"acme"}"#, None),
    method::<ListLinks>("A page of a tenant's links.", r#"{"tenant":"acme","issuer":"https://id.example"}"#, None),
    method::<CreateLink>(
        "Says for which App and User an identity of an outside issuer stands. An issuer.",
        r#"{"tenant":"acme","issuer":"https://id.example","subject":"3f1c","app_id":7,"user_id":9}"#,
        None,
    ),
    method::<DeleteLink>(
        "Removes a link, at once and for good. An issuer.",
        r#"{"tenant":"acme","link_id":"3Kq9vYtVbM0a7cR1xQ2LpD"}"#,
        None,
    ),
    method::<ListIssuers>(
        "A page of a tenant's issuers of JWTs, with what each is worth.",
        r#"{"tenant":"acme"}"#,
        None,
    ),
    method::<GetIssuer>("An issuer.", r#"{"tenant":"acme","issuer_id":"3Kq9vYtVbM0a7cR1xQ2LpD"}"#, None),
    method::<ListCredentials>(
        "A page of a tenant's credentials.",
        r#"{"tenant":"acme","app_id":7,"user_id":9,"weak":false}"#,
        None,
    ),
    method::<GetCredential>("A credential.", r#"{"credential_id":"3Kq9vYtVbM0a7cR1xQ2LpD"}"#, None),
    method::<IssueCredential>(
        "Issues a credential; the answer has its key this once. An issuer.",
        r#"{"tenant":"acme","app_id":7,"user_id":9,"label":"ci","scopes":["chat"],"expires_in_seconds":86400}"#,
        None,
    ),
    method::<RotateCredential>(
        "Puts a new credential in another's place; the answer has its key this once. An issuer.",
        r#"{"credential_id":"3Kq9vYtVbM0a7cR1xQ2LpD","grace_seconds":3600}"#,
        None,
    ),
    method::<RevokeCredential>(
        "Takes a credential back, at once and for good. An issuer.",
        r#"{"credential_id":"3Kq9vYtVbM0a7cR1xQ2LpD","reason":"key_compromise"}"#,
        None,
    ),
    method::<UpdateCredential>(
        "Changes what a credential is bound to. An issuer.",
        r#"{"credential_id":"3Kq9vYtVbM0a7cR1xQ2LpD","label":"ci","update_mask":["label","cidrs"]}"#,
        None,
    ),
    method::<ListEvents>(
        "A page of the audit trail.",
        r#"{"tenant":"acme","action":"credential.issued","since":"2027-03-01T00:00:00Z"}"#,
        None,
    ),
    method::<ListOperators>("A page of operators.", "{}", None),
    method::<RunChecklist>(
        "Judges the five claims of the validation checklist for a few credentials chosen by chance, within two seconds.",
        r#"{"tenant":"acme","sample":50}"#,
        None,
    ),
    plain::<input::RaiseInput, output::RaisedOutput>(
        "raise",
        "Acts for an operator from now on, for five minutes, as an issuer at most: later calls send the answered `session`.",
        r#"{"operator_token":"lkop_…"}"#,
        How::Raise,
    ),
    plain::<input::LowerInput, output::LoweredOutput>(
        "lower",
        "Ends a session.",
        r#"{"session":"00000000000000000000000000000000"}"#,
        How::Lower,
    ),
];

static PORTAL: &[Method] = &[
    plain::<Nothing, Described>("describe", "Every method with its schemas.", "{}", How::Describe),
    method::<OwnApps>("A page of one's own Apps.", "{}", None),
    method::<OwnCredentials>("A page of one's own credentials.", r#"{"app_id":7}"#, None),
    method::<OwnCredential>("A credential of one's own.", r#"{"credential_id":"3Kq9vYtVbM0a7cR1xQ2LpD"}"#, None),
    method::<OwnIssue>(
        "Issues a credential of one's own; the answer has its key this once.",
        r#"{"app_id":7,"label":"laptop","expires_in_seconds":86400}"#,
        None,
    ),
    method::<OwnRotate>(
        "Puts a new credential in another's place; the answer has its key this once.",
        r#"{"credential_id":"3Kq9vYtVbM0a7cR1xQ2LpD","grace_seconds":0}"#,
        None,
    ),
    method::<OwnRevoke>(
        "Takes a credential of one's own back, at once and for good.",
        r#"{"credential_id":"3Kq9vYtVbM0a7cR1xQ2LpD","reason":"superseded"}"#,
        None,
    ),
];

fn methods(page: Page) -> &'static [Method] {
    match page {
        Page::Studio => STUDIO,
        Page::Portal => PORTAL,
    }
}

/// The names of all methods of a page.
pub fn names(page: Page) -> impl Iterator<Item = &'static str> {
    methods(page).iter().map(|method| method.name)
}

/// The method of that name.
pub fn find(page: Page, name: &str) -> Option<&'static Method> {
    methods(page).iter().find(|method| method.name == name)
}

/// A method, described.
#[derive(Serialize, JsonSchema)]
struct MethodView {
    name: &'static str,
    text: &'static str,
    /// What it may be asked with, as JSON text.
    example: &'static str,
    /// JSON schema (2020-12) of what it is asked with.
    input: serde_json::Value,
    /// JSON schema of what it answers.
    output: serde_json::Value,
}

/// Every method of a page.
#[derive(Serialize, JsonSchema)]
pub(super) struct Described {
    methods: Vec<MethodView>,
    /// JSON schema of `error`, beside `"ok": false`, in the answer of whatever failed.
    error: serde_json::Value,
}

/// What a page may ask.
pub(super) fn describe(page: Page) -> Described {
    let settings = || SchemaSettings::draft2020_12().with(|s| s.inline_subschemas = true);
    let taken = || settings().for_deserialize().into_generator();
    let given = || settings().for_serialize().into_generator();
    let method = |method: &Method| MethodView {
        name: method.name,
        text: method.text,
        example: method.example,
        input: (method.input)(taken()).to_value(),
        output: (method.output)(given()).to_value(),
    };
    Described { methods: methods(page).iter().map(method).collect(), error: of::<ErrorView>(given()).to_value() }
}

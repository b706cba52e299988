//! What happens in the demo, in order, and what each answer must be.

use std::collections::HashMap;
use std::time::Duration;

use anyhow::{Context as _, bail};
use tonic::transport::Channel;

use super::report::{Report, Row};
use super::stage::{APP, FOREIGN_LLM, LLM, Stage, TENANT, USER};
use crate::clock::Clock;
use crate::pb::full::plugin as pb;
use crate::pb::full::plugin::plugin_service_client::PluginServiceClient;
use crate::plugin_client::{Launch, Plugin};

/// Calls whose median is the warm time.
pub(super) const WARM_CALLS: usize = 200;
/// A revocation that is not effective after this is a failure; the promise is 100 ms.
const REVOCATION_LIMIT: Duration = Duration::from_secs(2);

/// One gateway's view of the plugin.
struct Gateway<'a> {
    service: PluginServiceClient<Channel>,
    clock: &'a dyn Clock,
    requests: u64,
}

/// What all three calls said to one credential.
struct Answers {
    auth: pb::AuthResponse,
    app: pb::GetAppResponse,
    user: pb::GetUserResponse,
    first_us: u64,
    warm_us: u64,
}

/// Plays it.
pub(super) async fn play(stage: &Stage, clock: &dyn Clock) -> anyhow::Result<Report> {
    let since = |start: u64| clock.boot_ns().saturating_sub(start);
    let (good, doomed) = (stage.issue("demo")?, stage.issue("demo, to be revoked")?);
    let started = clock.boot_ns();
    let launch = Launch::new(stage.binary())
        .without_own_environment()
        .env("LATCHKEY_DATA_DIR", stage.data_dir())
        .env("LATCHKEY_STORE__DEV", "true")
        .socket_dir(stage.socket_dir())
        .start_timeout(Duration::from_secs(20));
    let launched = launch.start().await.context("the plugin did not start")?;
    let handshake_us = since(started) / 1000;
    let plugin = launched.connect().await.context("the plugin does not answer")?;
    let started = clock.boot_ns();
    initialize(&plugin).await?;
    let mut report = Report { handshake_us, initialize_us: since(started) / 1000, ..Report::default() };

    let mut gateway = Gateway { service: plugin.service(), clock, requests: 0 };
    let answers = gateway.ask(&good.key, LLM).await?;
    report.rows.push(Row::accepted("a good key", "who it is, of which tenant: the gateway needs no more", &answers));
    let wrong = with_another_secret(&good.key);
    let answers = gateway.ask(&wrong, LLM).await?;
    report.rows.push(Row::refused("a wrong secret", "right form and checksum, right id, wrong secret", &answers));
    let answers = gateway.ask(&good.key, FOREIGN_LLM).await?;
    report.rows.push(Row::refused("the good key, a foreign LLM", "the App has no grant for that LLM", &answers));

    let before = gateway.authenticate(&doomed.key, LLM).await?;
    report.expect(before.authenticated, "the second key passes before its revocation");
    stage.revoke(&doomed.credential_id)?;
    let acknowledged = clock.boot_ns();
    while gateway.authenticate(&doomed.key, LLM).await?.authenticated {
        if since(acknowledged) > REVOCATION_LIMIT.as_nanos().try_into().unwrap_or(u64::MAX) {
            bail!("the revoked key still passes after {} s", REVOCATION_LIMIT.as_secs());
        }
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
    report.revoked_after_ms = since(acknowledged) / 1_000_000;
    let answers = gateway.ask(&doomed.key, LLM).await?;
    report.rows.push(Row::refused("a revoked key", "it passed before; revoked meanwhile by another process", &answers));

    let blocked = gateway.pre_auth(&wrong).await?;
    let challenge = blocked.headers.iter().find(|(name, _)| name.eq_ignore_ascii_case("www-authenticate"));
    report.pre_auth = challenge.map(|(_, value)| value.clone()).unwrap_or_default();
    report.expect(blocked.block && blocked.status_code == 401, "pre-auth blocks the wrong key with 401");
    report.expect(report.pre_auth.starts_with("Bearer"), "the 401 says how to authenticate");

    let started = clock.boot_ns();
    let ended = plugin.kill().await;
    report.shutdown_ms = since(started) / 1_000_000;
    report.expect(ended.cleanly(), "the plugin leaves by itself with status 0");
    Ok(report)
}

async fn initialize(plugin: &Plugin) -> anyhow::Result<()> {
    let config = HashMap::from([("_plugin_id".to_owned(), "1".to_owned())]);
    let answer = plugin.service().initialize(pb::InitRequest { config }).await?.into_inner();
    if !answer.success {
        bail!("Initialize: {}", answer.error_message);
    }
    Ok(())
}

/// The key with other characters for its secret, and the checksum that fits them.
fn with_another_secret(key: &str) -> zeroize::Zeroizing<String> {
    use crate::domain::key_format::{CHECK_LEN, SECRET_LEN, checksum};
    let head = key.len().saturating_sub(CHECK_LEN + SECRET_LEN);
    let body = format!("{}{}", key.get(..head).unwrap_or_default(), "w".repeat(SECRET_LEN));
    let check = checksum(body.as_bytes()).map(char::from);
    zeroize::Zeroizing::new(body.chars().chain(check).collect())
}

impl Gateway<'_> {
    /// All three calls, and the time of the first and of the median of many.
    async fn ask(&mut self, credential: &str, llm: u32) -> anyhow::Result<Answers> {
        let started = self.clock.boot_ns();
        let auth = self.authenticate(credential, llm).await?;
        let first_us = self.clock.boot_ns().saturating_sub(started) / 1000;
        let mut times = Vec::with_capacity(WARM_CALLS);
        for _ in 0..WARM_CALLS {
            let started = self.clock.boot_ns();
            self.authenticate(credential, llm).await?;
            times.push(self.clock.boot_ns().saturating_sub(started) / 1000);
        }
        times.sort_unstable();
        let warm_us = times.get(times.len() / 2).copied().unwrap_or_default();
        let context = Some(self.context(llm));
        let request = pb::GetAppRequest { credential: credential.to_owned(), context: context.clone() };
        let app = self.service.get_app_by_credential(request).await?.into_inner();
        let request = pb::GetUserRequest { credential: credential.to_owned(), context };
        let user = self.service.get_user_by_credential(request).await?.into_inner();
        Ok(Answers { auth, app, user, first_us, warm_us })
    }

    async fn authenticate(&mut self, credential: &str, llm: u32) -> anyhow::Result<pb::AuthResponse> {
        let context = self.context(llm);
        let message = pb::AuthRequest {
            credential: credential.to_owned(),
            auth_type: "bearer".to_owned(),
            request: Some(request(credential, context.clone())),
            context: Some(context),
        };
        Ok(self.service.authenticate(message).await.context("Authenticate")?.into_inner())
    }

    async fn pre_auth(&mut self, credential: &str) -> anyhow::Result<pb::PluginResponse> {
        let mut context = self.context(LLM);
        "openai".clone_into(&mut context.vendor);
        let message = request(credential, context);
        Ok(self.service.process_pre_auth(message).await.context("ProcessPreAuth")?.into_inner())
    }

    fn context(&mut self, llm: u32) -> pb::PluginContext {
        self.requests += 1;
        let request_id = format!("req_{:019}", self.requests);
        pb::PluginContext { request_id, llm_id: llm, llm_slug: format!("llm-{llm}"), ..pb::PluginContext::default() }
    }
}

/// A small chat request, as the gateway passes it on.
fn request(credential: &str, context: pb::PluginContext) -> pb::PluginRequest {
    let headers = [
        ("Authorization", format!("Bearer {credential}")),
        ("Content-Type", "application/json".to_owned()),
        ("User-Agent", "latchkey-demo".to_owned()),
    ];
    pb::PluginRequest {
        method: "POST".to_owned(),
        path: format!("/llm/rest/{}/v1/chat/completions", context.llm_slug),
        headers: headers.map(|(name, value)| (name.to_owned(), value)).into(),
        body: br#"{"model":"any","messages":[{"role":"user","content":"hello"}]}"#.to_vec(),
        context: Some(context),
        remote_addr: "127.0.0.1:50000".to_owned(),
    }
}

impl Row {
    fn new(credential: &'static str, shows: &'static str, answers: &Answers) -> Self {
        let Answers { auth, app, user, first_us, warm_us } = answers;
        let said = |yes: bool, what: String, error: &str| if yes { what } else { format!("no: {error}") };
        let tenant = auth.claims.get("tenant").map(String::as_str).unwrap_or_default();
        let who = format!("yes: App {}, User {}, {tenant}", auth.app_id, auth.user_id);
        let app_text = app.app.as_ref().map(|app| format!("App {} \"{}\"", app.id, app.name)).unwrap_or_default();
        let user_text =
            user.user.as_ref().map(|user| format!("User {} \"{}\"", user.id, user.name)).unwrap_or_default();
        Self {
            credential,
            authenticate: said(auth.authenticated, who, &auth.error_message),
            app: said(app.success, app_text, &app.error_message),
            user: said(user.success, user_text, &user.error_message),
            first_us: *first_us,
            warm_us: *warm_us,
            shows,
            as_expected: false,
        }
    }

    /// Must be a yes from all three calls, for the App and the User that the key was issued for.
    fn accepted(credential: &'static str, shows: &'static str, answers: &Answers) -> Self {
        let Answers { auth, app, user, .. } = answers;
        let ids = auth.authenticated && auth.app_id == APP.to_string() && auth.user_id == USER.to_string();
        let tenant = auth.claims.get("tenant").is_some_and(|tenant| tenant == TENANT);
        let app = app.success && app.app.as_ref().is_some_and(|app| app.id == APP && app.is_active);
        let user = user.success && user.user.as_ref().is_some_and(|user| user.id == USER && user.is_active);
        Self { as_expected: ids && tenant && app && user, ..Self::new(credential, shows, answers) }
    }

    /// Must be a no from all three calls, with nothing but the text.
    fn refused(credential: &'static str, shows: &'static str, answers: &Answers) -> Self {
        let Answers { auth, app, user, .. } = answers;
        let auth = !auth.authenticated && auth.app_id.is_empty() && auth.user_id.is_empty() && auth.claims.is_empty();
        let objects = !app.success && app.app.is_none() && !user.success && user.user.is_none();
        Self { as_expected: auth && objects, ..Self::new(credential, shows, answers) }
    }
}

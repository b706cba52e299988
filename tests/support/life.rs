//! A plugin's life in the order of each host, up to its end (host contract 2.2 to 2.4).

use std::collections::HashMap;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use latchkey::pb::full::plugin as pb;
use latchkey::plugin_client::Ended;
use pb::open_session_response::CloseReason;
use serde_json::Value;
use tokio::task::JoinHandle;

use super::calls::go_float;
use super::host::{Kind, TestHost};
use super::until;

/// The host's loop that holds one session open, again and again.
pub struct SessionLoop {
    task: JoinHandle<()>,
    /// How the last session ended.
    pub last: Arc<Mutex<Option<CloseReason>>>,
}

impl TestHost {
    /// Broker, Initialize, session and what else the host asks on loading.
    pub async fn begin(&mut self) {
        if self.plugin.pid().is_none() {
            self.ping().await; // attached: before Initialize
        }
        self.serve_broker().await;
        self.initialize().await;
        if self.setup.kind == Kind::Studio {
            let request = pb::GetObjectHookRegistrationsRequest {};
            self.service().get_object_hook_registrations(request).await.expect("GetObjectHookRegistrations");
        }
        if self.setup.session {
            self.session = Some(self.session_loop());
        }
        match self.setup.kind {
            Kind::Microgateway => {
                let request = pb::GetEndpointRegistrationsRequest {};
                self.service().get_endpoint_registrations(request).await.expect("GetEndpointRegistrations");
            }
            Kind::Studio => {
                let manifest = self.service().get_manifest(pb::GetManifestRequest {}).await.expect("GetManifest");
                assert!(manifest.into_inner().success, "GetManifest");
            }
        }
    }

    pub async fn serve_broker(&mut self) {
        self.broker_id = self.plugin.broker().next_id();
        self.plugin.broker().serve(self.broker_id, self.fakes.routes()).await.expect("serving behind the broker");
    }

    /// Initialize with the admin's settings and the host's own keys; at once and successful (hazards H4, H8).
    pub async fn initialize(&mut self) {
        let start = Instant::now();
        let answer = self.service().initialize(pb::InitRequest { config: self.settings() }).await;
        self.initialize_took = start.elapsed();
        let answer = answer.unwrap_or_else(|e| panic!("Initialize: {e}")).into_inner();
        assert!(answer.success, "Initialize: {}", answer.error_message);
        assert!(self.initialize_took < Duration::from_secs(1), "Initialize took {:?}", self.initialize_took);
    }

    /// The settings flattened as both hosts do (host contract 2.1).
    pub fn settings(&self) -> HashMap<String, String> {
        let mut flat = HashMap::new();
        for (name, value) in self.setup.config.as_object().into_iter().flatten() {
            let text = match value {
                Value::String(text) => text.clone(),
                Value::Number(number) => go_float(number.as_f64().unwrap()),
                other => other.to_string(),
            };
            flat.insert(name.clone(), text);
        }
        let (plugin, broker) = (self.plugin_id.to_string(), self.broker_id.to_string());
        let own = match self.setup.kind {
            Kind::Microgateway => vec![("_plugin_id", plugin), ("_service_broker_id", broker)],
            Kind::Studio => {
                vec![("plugin_id", plugin), ("service_broker_id", broker), ("has_service_api", "true".to_owned())]
            }
        };
        flat.extend(own.into_iter().map(|(name, value)| (name.to_owned(), value)));
        flat
    }

    /// The service's Ping, within the host's five seconds, healthy and echoing (hazard H4).
    pub async fn ping(&self) -> Duration {
        let start = Instant::now();
        let call = self.plugin.service();
        let mut call = call;
        let answer =
            tokio::time::timeout(Duration::from_secs(5), call.ping(pb::PingRequest { timestamp: 1_700_000_000 }));
        let answer = answer.await.expect("Ping within 5 s").unwrap_or_else(|e| panic!("Ping: {e}")).into_inner();
        assert!(answer.healthy && answer.timestamp == 1_700_000_000, "Ping: {answer:?}");
        start.elapsed()
    }

    fn session_loop(&self) -> SessionLoop {
        let last = Arc::new(Mutex::new(None));
        let (mut service, seen, late) = (self.service(), Arc::clone(&last), Arc::clone(&self.late));
        let (service_broker_id, plugin_id) = (self.broker_id, self.plugin_id);
        let task = tokio::spawn(async move {
            for opens in 1.. {
                let request = pb::OpenSessionRequest {
                    service_broker_id,
                    plugin_id,
                    timeout_ms: 30_000,
                    ..pb::OpenSessionRequest::default()
                };
                let answer = service.open_session(request).await;
                let reason = answer.map(|answer| answer.into_inner().close_reason());
                *seen.lock().unwrap() = reason.as_ref().ok().copied();
                match reason {
                    Ok(CloseReason::ExplicitClose) => return,
                    Ok(_) if opens < 20 => {}
                    Ok(reason) => return late.lock().unwrap().push(format!("the session loop spins: {reason:?}")),
                    Err(_) => tokio::time::sleep(Duration::from_secs(1)).await,
                }
            }
        });
        SessionLoop { task, last }
    }

    /// Ends the plugin's life in the host's own order, and judges how it went.
    pub async fn unload(mut self) {
        if let Some(session) = self.session.take() {
            let reason = match self.setup.kind {
                Kind::Microgateway => {
                    session.task.abort();
                    "unload"
                }
                Kind::Studio => "plugin_unload",
            };
            let request = pb::CloseSessionRequest { reason: reason.to_owned() };
            let answer = self.service().close_session(request).await.expect("CloseSession");
            assert!(answer.into_inner().success, "CloseSession");
            if self.setup.kind == Kind::Studio {
                until(Duration::from_secs(1), "the open session's end", || session.task.is_finished()).await;
                assert_eq!(*session.last.lock().unwrap(), Some(CloseReason::ExplicitClose));
            }
            session.task.abort();
        }
        let answer = self.service().shutdown(pb::ShutdownRequest { timeout_seconds: 5 }).await.expect("Shutdown");
        assert!(answer.into_inner().success, "Shutdown");
        self.kill().await;
    }

    /// go-plugin's Kill: the process goes by itself, quickly, with status 0, and leaves no socket.
    pub async fn kill(self) -> Duration {
        let attached = self.plugin.pid().is_none();
        let socket = (!attached).then(|| self.socket());
        let (logs, canaries, late) = (self.plugin.logs(), self.setup.canaries.clone(), Arc::clone(&self.late));
        if let Some(session) = &self.session {
            session.task.abort();
        }
        let start = Instant::now();
        let ended: Ended = self.plugin.kill().await;
        let took = start.elapsed();
        if let Some(socket) = socket {
            assert!(
                ended.cleanly(),
                "Kill: {ended:?}; last lines {:#?}",
                logs.lines().iter().rev().take(5).collect::<Vec<_>>()
            );
            assert!(took < Duration::from_secs(2), "Kill took {took:?}");
            assert!(!socket.exists(), "Kill left the socket {}", socket.display());
            assert_eq!(ended.stdout_after_line, 0, "bytes on stdout after the handshake line");
        }
        judge_logs(&logs, &canaries);
        assert_eq!(*late.lock().unwrap(), Vec::<String>::new(), "in the background");
        took
    }

    /// What its logs must be at any time.
    pub fn judge_logs(&self) {
        judge_logs(&self.plugin.logs(), &self.setup.canaries);
    }
}

/// Every line is one that a Go host files by its level, and none holds a part of a secret (hazard H19, control A6).
fn judge_logs(logs: &latchkey::plugin_client::Logs, canaries: &super::Canaries) {
    let problems = logs.problems();
    assert!(problems.is_empty(), "{} bad log lines, first: {:?}", problems.len(), problems[0]);
    for line in logs.lines() {
        canaries.assert_absent("a log line", line.as_bytes());
    }
}

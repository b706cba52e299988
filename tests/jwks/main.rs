//! Keys of outside issuers, against servers that answer as no server should.
#![allow(
    clippy::pedantic,
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::disallowed_methods,
    clippy::print_stdout,
    reason = "a failed test is a panic"
)]

#[path = "../support/hostile_http.rs"]
mod hostile_http;
mod keys;
mod outbound;
mod tls;

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use latchkey::domain::TenantId;
use latchkey::jwks::{Outbound, Resolve, Settings, resolve::Addresses};

const TENANT: TenantId = TenantId::from_bytes([7; 16]);

/// Names as the test says, one answer after another, the last again and again.
#[derive(Default)]
struct Names {
    answers: Mutex<HashMap<String, Vec<Vec<IpAddr>>>>,
    asked: AtomicUsize,
}

impl Names {
    fn of(name: &str, answers: &[&[&str]]) -> Arc<Self> {
        let names = Self::default();
        let answers = answers.iter().map(|all| all.iter().map(|ip| ip.parse().unwrap()).collect()).collect();
        names.answers.lock().unwrap().insert(name.to_owned(), answers);
        Arc::new(names)
    }

    fn asked(&self) -> usize {
        self.asked.load(Ordering::SeqCst)
    }
}

impl Resolve for Names {
    fn resolve(&self, name: &str) -> Addresses {
        self.asked.fetch_add(1, Ordering::SeqCst);
        let mut all = self.answers.lock().unwrap();
        let found =
            all.get_mut(name).map(|answers| if answers.len() > 1 { answers.remove(0) } else { answers[0].clone() });
        Box::pin(std::future::ready(Ok(found.unwrap_or_default())))
    }
}

/// Quick, and this machine may be asked.
fn settings() -> Settings {
    Settings {
        timeout: Duration::from_secs(2),
        allow_networks: vec!["127.0.0.1/32".parse().unwrap()],
        allow_loopback_http: true,
        ..Settings::default()
    }
}

fn outbound(settings: Settings, names: &Arc<Names>) -> Outbound {
    Outbound::new(settings, Arc::clone(names) as Arc<dyn Resolve>).unwrap()
}

//! What the admin service works on: an opened store of a command, or that of a process that serves.

use std::sync::Arc;
use std::time::Duration;

use crate::admin::Backend;
use crate::app::engine::Engine;
use crate::app::hosted::Hosted;
use crate::app::{OpenFailure, Opened, Settings};
use crate::authenticate::record::Recorder;
use crate::authenticate::{Gate, Health, Problem};
use crate::store::sqlite::ProcessKind;
use crate::telemetry::metrics::Metrics;
use crate::transport::admin::Office;

/// The office of one command, which has the files in hand.
pub struct Desk {
    gate: Arc<Gate>,
    backend: Backend,
    /// Decides, where the command asks for that.
    engine: Option<Engine>,
    // Last: whoever closes the database last folds its write-ahead log in.
    opened: Opened,
}

impl Desk {
    /// Opens the store. One that `decides` can be asked what a gateway would be told.
    ///
    /// # Errors
    /// When the store cannot be opened.
    pub fn open(settings: &Settings, decides: bool) -> Result<Self, OpenFailure> {
        let opened = crate::app::open(settings, ProcessKind::Command)?;
        let metrics = Arc::new(Metrics::new(&Recorder::reason_labels()));
        let problem = Problem { code: "command", text: "a command decides nothing".to_owned() };
        let gate = Arc::new(Gate::closed(Arc::clone(&metrics), vec![problem]));
        let engine = if decides { Some(Engine::start(&opened, settings, &metrics)?) } else { None };
        if let Some(engine) = &engine {
            gate.open(Arc::clone(&engine.authenticator), Vec::new());
        }
        Ok(Self { gate, backend: opened.backend(), engine, opened })
    }

    /// The opened store.
    pub fn opened(&self) -> &Opened {
        &self.opened
    }
}

impl Drop for Desk {
    fn drop(&mut self) {
        if let Some(engine) = &self.engine {
            engine.flush(Duration::from_secs(1));
        }
    }
}

impl Office for Desk {
    fn backend(&self) -> Option<Backend> {
        Some(self.backend.clone())
    }
    fn gate(&self) -> &Arc<Gate> {
        &self.gate
    }
    fn serves(&self) -> bool {
        false
    }
    fn uptime(&self) -> Duration {
        Duration::ZERO
    }
    fn health(&self) -> Health {
        self.gate.health()
    }
}

/// The office of a process that serves.
pub(super) struct Serving(pub(super) Arc<Hosted>);

impl Office for Serving {
    fn backend(&self) -> Option<Backend> {
        self.0.backend()
    }
    fn gate(&self) -> &Arc<Gate> {
        &self.0.gate
    }
    fn serves(&self) -> bool {
        true
    }
    fn uptime(&self) -> Duration {
        self.0.uptime()
    }
    fn health(&self) -> Health {
        self.0.health()
    }
}

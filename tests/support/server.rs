//! `latchkey serve` on a free loopback port.

use std::io::{BufRead as _, BufReader, Read as _};
use std::net::SocketAddr;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use super::secrets::Canaries;
use super::sleep_ms;
use super::store::TestStore;

/// A running server, killed on drop.
pub struct Server {
    child: Child,
    pub address: SocketAddr,
    /// What it told when it was ready.
    pub told: serde_json::Value,
    stderr: Arc<Mutex<Vec<u8>>>,
}

impl Server {
    /// Started on a port of its own choice, which it tells in a JSON line on stdout.
    pub fn start(store: &TestStore) -> Self {
        Self::of(store.command(&[]), &[])
    }

    /// The same by a command of one's own, with more options.
    pub fn of(mut command: Command, more: &[&str]) -> Self {
        let mut child = command
            .args(["serve", "--listen", "127.0.0.1:0", "--output", "json"])
            .args(more)
            .env("LATCHKEY_LOG__LEVEL", "trace")
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let stderr = Arc::new(Mutex::new(Vec::new()));
        let (mut pipe, kept) = (child.stderr.take().unwrap(), Arc::clone(&stderr));
        std::thread::spawn(move || {
            let mut buffer = [0; 4096];
            while let Ok(count @ 1..) = pipe.read(&mut buffer) {
                kept.lock().unwrap().extend_from_slice(&buffer[..count]);
            }
        });
        let mut out = BufReader::new(child.stdout.take().unwrap());
        let mut line = String::new();
        out.read_line(&mut line).unwrap();
        std::thread::spawn(move || std::io::copy(&mut out, &mut std::io::sink()));
        let told: serde_json::Value = serde_json::from_str(&line).unwrap_or_else(|_| {
            let _ = child.kill();
            let _ = child.wait();
            let said = String::from_utf8_lossy(&stderr.lock().unwrap()).into_owned();
            panic!("serve tells where it listens as JSON; it said {line:?} and {said}")
        });
        let address = told["listening"].as_str().expect("the key listening").parse().unwrap();
        Self { child, address, told, stderr }
    }

    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    pub fn runs(&self) -> bool {
        !super::proc::gone(self.pid())
    }

    pub async fn wait(&mut self, limit: Duration) -> Option<ExitStatus> {
        let start = Instant::now();
        while start.elapsed() < limit {
            if let Some(status) = self.child.try_wait().unwrap() {
                return Some(status);
            }
            sleep_ms(20).await;
        }
        None
    }

    /// Its log so far.
    pub fn log(&self) -> Vec<u8> {
        self.stderr.lock().unwrap().clone()
    }

    pub fn judge(&self, canaries: &Canaries) {
        canaries.assert_absent("the server's log", &self.log());
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

//! What the benchmarks share: paired ratios, percentiles, processor time of a child.
#![allow(dead_code, reason = "each benchmark uses a part of it")]

pub mod engine;
pub mod open_loop;
pub mod populate;

use std::path::Path;

use latchkey::pb::full::plugin as full;

/// The value below which a share `p` of the sorted samples lies.
pub fn percentile(sorted: &[u64], p: f64) -> u64 {
    let rank = ((sorted.len() as f64 - 1.0) * p).round() as usize;
    sorted.get(rank).copied().unwrap_or(0)
}

/// The median of some ratios with the 95 % interval that order statistics give: for 11 samples the
/// second and the tenth (98.8 %), and so on by the binomial distribution.
pub struct Ratio {
    pub median: f64,
    pub low: f64,
    pub high: f64,
}

impl Ratio {
    pub fn of(mut samples: Vec<f64>) -> Self {
        samples.sort_by(f64::total_cmp);
        let n = samples.len();
        // The greatest k with P(Binomial(n, 1/2) < k) <= 2.5 %.
        let (mut k, mut cumulative, mut term) = (0_usize, 0.0, 0.5_f64.powi(n as i32));
        loop {
            cumulative += term;
            if cumulative > 0.025 || k + 1 > n / 2 {
                break;
            }
            k += 1;
            term *= (n - k + 1) as f64 / k as f64;
        }
        let at = k.saturating_sub(1);
        Self { median: samples[n / 2], low: samples[at], high: samples[n - 1 - at] }
    }

    pub fn met_at_least(&self, bound: f64) -> &'static str {
        verdict(self.high >= bound)
    }

    pub fn met_at_most(&self, bound: f64) -> &'static str {
        verdict(self.low <= bound)
    }
}

impl std::fmt::Display for Ratio {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{:.3} [{:.3}..{:.3}]", self.median, self.low, self.high)
    }
}

/// Whether a bound is met, as the tables say it.
pub fn verdict(met: bool) -> &'static str {
    if met { "met" } else { "MISSED" }
}

pub fn median(mut samples: Vec<f64>) -> f64 {
    samples.sort_by(f64::total_cmp);
    samples[samples.len() / 2]
}

/// Nanoseconds that all threads of a process have run.
pub fn cpu_ns(pid: u32) -> u64 {
    let tasks = std::fs::read_dir(format!("/proc/{pid}/task")).expect("the process lives");
    tasks
        .filter_map(|task| std::fs::read_to_string(task.ok()?.path().join("schedstat")).ok())
        .filter_map(|text| text.split(' ').next()?.parse::<u64>().ok())
        .sum()
}

/// A field of /proc/PID/status in KiB.
pub fn status_kib(pid: u32, field: &str) -> u64 {
    let text = std::fs::read_to_string(format!("/proc/{pid}/status")).expect("the process lives");
    text.lines()
        .find_map(|line| line.strip_prefix(field)?.trim_start_matches(':').trim().split(' ').next()?.parse().ok())
        .unwrap_or(0)
}

/// A child that is killed, by its id, when dropped.
pub struct Child(pub std::process::Child);

impl Drop for Child {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// Runs the command line and gives its standard output.
pub fn latchkey(binary: &str, data_dir: &Path, args: &[&str]) -> String {
    let output = std::process::Command::new(binary)
        .arg("--data-dir")
        .arg(data_dir)
        .args(args)
        .env("LATCHKEY_STORE__DEV", "true")
        .output()
        .expect("the binary runs");
    assert!(output.status.success(), "{args:?}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).expect("text")
}

/// A store with one tenant, App 7 with LLMs 3 and 4, User 9, and one key.
pub fn sample_store(binary: &str, data_dir: &Path) -> String {
    latchkey(binary, data_dir, &["init"]);
    latchkey(binary, data_dir, &["tenant", "create", "acme", "--name", "Acme"]);
    latchkey(
        binary,
        data_dir,
        &["app", "add", "--tenant", "acme", "--id", "7", "--name", "Shop", "--llm", "3", "--llm", "4"],
    );
    latchkey(
        binary,
        data_dir,
        &["user", "add", "--tenant", "acme", "--id", "9", "--email", "ann@acme.example", "--name", "Ann"],
    );
    let issued = latchkey(
        binary,
        data_dir,
        &["key", "issue", "--tenant", "acme", "--app", "7", "--user", "9", "--label", "bench", "--output", "json"],
    );
    let issued: serde_json::Value = serde_json::from_str(&issued).expect("JSON");
    issued["key"].as_str().expect("a key").to_owned()
}

/// As the host that started the plugin: the store is opened by this.
pub async fn initialize(channel: &tonic::transport::Channel) {
    let mut client = latchkey::pb::full::plugin::plugin_service_client::PluginServiceClient::new(channel.clone());
    let request = latchkey::pb::full::plugin::InitRequest::default();
    assert!(client.initialize(request).await.expect("answers").into_inner().success);
}

/// A connection to a unix socket.
pub async fn connect(path: String) -> tonic::transport::Channel {
    tonic::transport::Endpoint::from_static("http://localhost")
        .connect_with_connector(tower::service_fn(move |_| {
            let path = path.clone();
            async move { tokio::net::UnixStream::connect(path).await.map(hyper_util::rt::TokioIo::new) }
        }))
        .await
        .expect("a connection")
}

/// Starts the binary as a host does and reads the handshake line.
pub fn start_plugin(binary: &str, data_dir: &Path) -> (Child, String) {
    start_plugin_with(binary, data_dir, |_| {})
}

/// The same, with more said to it.
pub fn start_plugin_with(
    binary: &str,
    data_dir: &Path,
    more: impl FnOnce(&mut std::process::Command),
) -> (Child, String) {
    use std::io::BufRead as _;
    let mut command = std::process::Command::new(binary);
    more(&mut command);
    let mut child = command
        .env("AI_STUDIO_PLUGIN", "v1")
        .env("PLUGIN_PROTOCOL_VERSIONS", "1")
        .env("PLUGIN_MIN_PORT", "10000")
        .env("PLUGIN_MAX_PORT", "25000")
        .env("LATCHKEY_DATA_DIR", data_dir)
        .env("LATCHKEY_STORE__DEV", "true")
        .stdout(std::process::Stdio::piped())
        .stderr(std::process::Stdio::null())
        .spawn()
        .expect("the binary starts");
    let mut line = String::new();
    let stdout = child.stdout.take().expect("piped");
    let mut reader = std::io::BufReader::new(stdout);
    reader.read_line(&mut line).expect("a handshake line");
    // The plugin takes a closed pipe for a dead host: keep it open as long as the child.
    std::mem::forget(reader);
    let path = line.split('|').nth(3).unwrap_or_else(|| panic!("handshake: {line:?}")).to_owned();
    (Child(child), path)
}

/// Prints how long it takes from exec to the handshake line, against a bound in milliseconds.
pub fn starts(binary: &str, data: &Path, keys: usize, bound_ms: f64) {
    const STARTS: usize = 21;
    let (mut handshakes, mut nothings) = (Vec::new(), Vec::new());
    for _ in 0..STARTS {
        let started = std::time::Instant::now();
        let plugin = start_plugin(binary, data);
        handshakes.push(started.elapsed().as_micros() as f64 / 1000.0);
        drop(plugin);
        let started = std::time::Instant::now();
        assert!(std::process::Command::new("/bin/true").status().expect("runs").success());
        nothings.push(started.elapsed().as_micros() as f64 / 1000.0);
    }
    let worst = handshakes.iter().copied().fold(0.0, f64::max);
    let (median, nothing) = (median(handshakes), median(nothings));
    println!(
        "| exec to handshake line, store of {keys} keys | median {median:.1} ms, worst of {STARTS} {worst:.1} ms | /bin/true, to its end: {nothing:.1} ms | <= {bound_ms} ms: {} |",
        verdict(median <= bound_ms)
    );
}

/// That many calls, each with the next key, 64 at a time; says how many were accepted.
pub async fn authenticate(channel: &tonic::transport::Channel, keys: &[String], calls: usize) -> usize {
    use std::sync::Arc;
    use std::sync::atomic::{AtomicUsize, Ordering};
    const IN_FLIGHT: usize = 64;
    let accepted = Arc::new(AtomicUsize::new(0));
    let (next, keys) = (Arc::new(AtomicUsize::new(0)), Arc::new(keys.to_vec()));
    let tasks: Vec<_> = (0..IN_FLIGHT.min(calls))
        .map(|_| {
            let (next, keys, accepted) = (Arc::clone(&next), Arc::clone(&keys), Arc::clone(&accepted));
            let mut client = full::plugin_service_client::PluginServiceClient::new(channel.clone());
            tokio::spawn(async move {
                loop {
                    let n = next.fetch_add(1, Ordering::Relaxed);
                    if n >= calls {
                        return;
                    }
                    let answer = client.authenticate(request(&keys[n % keys.len()])).await.expect("an answer");
                    accepted.fetch_add(usize::from(answer.get_ref().authenticated), Ordering::Relaxed);
                }
            })
        })
        .collect();
    for task in tasks {
        task.await.expect("no panic");
    }
    accepted.load(Ordering::Relaxed)
}

/// What the host asks, with a body of 2 KiB.
pub fn request(key: &str) -> full::AuthRequest {
    let context =
        full::PluginContext { request_id: "req_1".into(), llm_id: 3, llm_slug: "gpt".into(), ..Default::default() };
    full::AuthRequest {
        credential: key.to_owned(),
        auth_type: "bearer".into(),
        request: Some(full::PluginRequest { body: vec![b'x'; 2048], ..Default::default() }),
        context: Some(context),
    }
}

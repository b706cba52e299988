//! Calls at a fixed rate, however long the answers take.

use std::sync::Arc;
use std::time::{Duration, Instant};

use latchkey::pb::full::plugin::plugin_service_client::PluginServiceClient;
use tonic::transport::Channel;

use super::request;

/// For that many seconds, each call with the next of the texts. Whether each was accepted, and the nanoseconds from when it
/// was due to its answer, so that a server which stands still cannot hide the calls that it held up.
pub async fn open_loop(channel: Channel, texts: Arc<Vec<String>>, per_second: u64, seconds: f64) -> Vec<(bool, u64)> {
    let started = Instant::now();
    let total = (seconds * per_second as f64) as u64;
    let mut tasks = Vec::with_capacity(total as usize);
    let mut ticker = tokio::time::interval(Duration::from_millis(1));
    let mut sent = 0;
    while sent < total {
        ticker.tick().await;
        let due_now = (started.elapsed().as_secs_f64() * per_second as f64) as u64;
        while sent < due_now.min(total) {
            let due = started + Duration::from_nanos(sent * 1_000_000_000 / per_second);
            let (texts, mut client) = (Arc::clone(&texts), PluginServiceClient::new(channel.clone()));
            let n = sent as usize;
            tasks.push(tokio::spawn(async move {
                let answer = client.authenticate(request(&texts[n % texts.len()])).await.expect("an answer");
                (answer.get_ref().authenticated, due.elapsed().as_nanos() as u64)
            }));
            sent += 1;
        }
    }
    let mut answers = Vec::with_capacity(tasks.len());
    for task in tasks {
        answers.push(task.await.expect("no panic"));
    }
    answers
}

/// Their 99th percentile in microseconds; each must have been accepted.
pub async fn p99_us(channel: Channel, texts: Arc<Vec<String>>, per_second: u64, seconds: f64) -> f64 {
    let mut answers = open_loop(channel, texts, per_second, seconds).await;
    assert!(answers.iter().all(|(accepted, _)| *accepted), "a good call was refused");
    answers.sort_unstable();
    let times: Vec<u64> = answers.into_iter().map(|(_, took)| took).collect();
    super::percentile(&times, 0.99) as f64 / 1000.0
}

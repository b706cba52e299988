//! Control A5: the comparison of secrets takes the same time whether they differ in the first byte, in the
//! last, or not at all. After dudect (Reparaz, Balasch, Verbauwhede): Welch's t-test between two classes of
//! input, measured in random turns; beyond 4.5 the times differ.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::cast_precision_loss,
    clippy::cast_possible_truncation,
    clippy::cast_possible_wrap,
    clippy::cast_sign_loss,
    reason = "a failed test is a panic"
)]

use latchkey::clock::{Entropy as _, SystemEntropy};
use latchkey::secret::equal_in_constant_time;
use std::hint::black_box;
use std::time::Instant;

const SAMPLES: usize = 60_000;
const CALLS_PER_SAMPLE: usize = 8;

/// Welch's t over samples below the 90th percentile: interruptions are not what is measured.
fn welch(classes: &[Vec<f64>; 2]) -> f64 {
    let mut all: Vec<f64> = classes.iter().flatten().copied().collect();
    all.sort_by(f64::total_cmp);
    let cut = all[all.len() * 9 / 10];
    let [a, b] = classes.each_ref().map(|class| {
        let kept: Vec<f64> = class.iter().copied().filter(|&x| x <= cut).collect();
        let n = kept.len() as f64;
        let mean = kept.iter().sum::<f64>() / n;
        let variance = kept.iter().map(|x| (x - mean).powi(2)).sum::<f64>() / (n - 1.0);
        (mean, variance / n)
    });
    (a.0 - b.0) / (a.1 + b.1).sqrt().max(f64::MIN_POSITIVE)
}

fn t_of(compare: impl Fn(&[u8], &[u8]) -> bool) -> f64 {
    let mut secret = [0_u8; 32];
    SystemEntropy.fill(&mut secret).unwrap();
    let mut early = secret;
    early[0] ^= 1;
    let inputs = [secret, early];
    let mut order = vec![0_u8; SAMPLES];
    SystemEntropy.fill(&mut order).unwrap();
    let mut classes = [Vec::new(), Vec::new()];
    for coin in order {
        let class = usize::from(coin & 1);
        let presented = black_box(inputs[class]);
        #[expect(clippy::disallowed_methods, reason = "the time is what is measured")]
        let started = Instant::now();
        for _ in 0..CALLS_PER_SAMPLE {
            black_box(compare(black_box(&secret), black_box(&presented)));
        }
        classes[class].push(started.elapsed().as_nanos() as f64);
    }
    welch(&classes)
}

#[test]
fn a5_the_comparison_does_not_tell_where_secrets_differ() {
    // Noise of the machine can push one run over the bound; a real difference pushes every run.
    let runs: Vec<f64> = (0..5).map(|_| t_of(equal_in_constant_time)).collect();
    assert!(runs.iter().any(|t| t.abs() < 4.5), "{runs:?}");
}

#[test]
fn a5_the_measurement_finds_a_comparison_that_stops_early() {
    let stops_early = |a: &[u8], b: &[u8]| a.iter().zip(b).all(|(x, y)| black_box(x) == black_box(y));
    let runs: Vec<f64> = (0..3).map(|_| t_of(stops_early)).collect();
    assert!(runs.iter().all(|t| t.abs() > 4.5), "{runs:?}");
}

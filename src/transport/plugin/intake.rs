//! Keeps bodies out: the gateway sends the complete LLM request with every call, and pre-auth runs for anybody
//! (rule R7, hazard H9).
//!
//! A layer before the generated server. What is small passes as it came, for prost skips what it does not know. What is
//! not is read by [`Reducer`] as it streams in: the body is skipped byte by byte, never held, and the HTTP/2 window
//! is always released; what we read is kept within [`MAX_CALL`] a call and [`MAX_PROCESS`] a process. What is over,
//! or is no protobuf, is drained to its end; the call then finds a verdict in its extensions and is refused.
//! [`answer`] sees to it that an auth call never ends in a gRPC error.

pub mod answer;
pub mod reducer;

use std::convert::Infallible;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU8, AtomicUsize, Ordering};
use std::task::{Context, Poll};

use arc_swap::ArcSwap;
use bytes::{BufMut as _, Bytes, BytesMut};
use http_body::Frame;
use tonic::Status;
use tonic::body::Body;
use tonic::server::NamedService;

use crate::domain::Reason;
use crate::telemetry::metrics::Metrics;
use crate::transport::Settings;
use answer::Answer;
use reducer::{Failure, Plan, Reducer};

/// Message bytes that one auth call may hold.
pub const MAX_CALL: usize = 256 * 1024;
/// Message bytes that all auth calls of the process may hold.
pub const MAX_PROCESS: usize = 64 * 1024 * 1024;
/// Up to this size a message that came in one piece passes as it is.
const SMALL: usize = 16 * 1024;
/// Bytes before a gRPC message: a flag and its length.
const PREFIX: usize = 5;

/// The message bytes held by all auth calls.
pub struct Budget {
    held: AtomicUsize,
    metrics: Arc<Metrics>,
}

impl Budget {
    /// Nothing held yet.
    pub fn new(metrics: Arc<Metrics>) -> Self {
        Self { held: AtomicUsize::new(0), metrics }
    }

    /// Takes a share, if there is one.
    fn take(&self, bytes: usize) -> bool {
        let before = self.held.fetch_add(bytes, Ordering::AcqRel);
        if before.saturating_add(bytes) > MAX_PROCESS {
            self.held.fetch_sub(bytes, Ordering::AcqRel);
            return false;
        }
        true
    }

    fn give_back(&self, bytes: usize) {
        let before = self.held.fetch_sub(bytes, Ordering::AcqRel);
        self.metrics.intake_bytes.set(i64::try_from(before.saturating_sub(bytes)).unwrap_or(i64::MAX));
    }

    /// Bytes held now.
    pub fn held(&self) -> usize {
        self.held.load(Ordering::Acquire)
    }
}

/// What became of a message, for the handler that gets what is left of it.
#[derive(Clone, Default)]
struct Verdict(Arc<AtomicU8>);

/// Why the handler must refuse without looking, if so.
pub fn refusal<T>(request: &tonic::Request<T>) -> Option<Reason> {
    match request.extensions().get::<Verdict>()?.0.load(Ordering::Acquire) {
        1 => Some(Reason::MessageTooLarge),
        2 => Some(Reason::IntakeFull),
        3 => Some(Reason::MessageMalformed),
        _ => None,
    }
}

/// The layer.
#[derive(Clone)]
pub struct Intake<S> {
    inner: S,
    budget: Arc<Budget>,
    settings: Arc<ArcSwap<Settings>>,
}

impl<S> Intake<S> {
    /// Before `inner`, within `budget`.
    pub fn new(inner: S, budget: Arc<Budget>, settings: Arc<ArcSwap<Settings>>) -> Self {
        Self { inner, budget, settings }
    }
}

impl<S: NamedService> NamedService for Intake<S> {
    const NAME: &'static str = S::NAME;
}

impl<S> tower::Service<http::Request<Body>> for Intake<S>
where
    S: tower::Service<http::Request<Body>, Response = http::Response<Body>, Error = Infallible>,
    S::Future: Unpin,
{
    type Response = S::Response;
    type Error = S::Error;
    type Future = Answer<S::Future>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Self::Error>> {
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, mut request: http::Request<Body>) -> Self::Future {
        let method = request.uri().path().rsplit('/').next().unwrap_or_default();
        let refusal = answer::refusal_of(method);
        if let Some(plan) = reducer::plan(method, self.settings.load().client_address.reads_headers()) {
            let verdict = Verdict::default();
            request.extensions_mut().insert(verdict.clone());
            let budget = Arc::clone(&self.budget);
            request = request.map(|body| Body::new(Reduced::new(body, plan, budget, verdict)));
        }
        Answer::new(self.inner.call(request), refusal, Arc::clone(&self.budget.metrics))
    }
}

enum State {
    /// Nothing has come yet.
    Fresh,
    /// The first piece was a whole small message.
    Passing,
    /// Reading, piece by piece.
    Reducing(Box<Reducer>),
    /// The reduced message was handed on.
    Done,
}

/// A message without what is not read.
struct Reduced {
    inner: Body,
    plan: &'static Plan,
    state: State,
    share: Share,
    verdict: Verdict,
}

/// Bytes of the budget that go back when the message is done with.
struct Share {
    budget: Arc<Budget>,
    bytes: usize,
}

impl Share {
    fn grow_to(&mut self, bytes: usize) -> bool {
        let more = bytes.saturating_sub(self.bytes);
        let taken = more == 0 || self.budget.take(more);
        if taken {
            self.bytes = self.bytes.max(bytes);
        }
        taken
    }
}

impl Drop for Share {
    fn drop(&mut self) {
        if self.bytes > 0 {
            self.budget.give_back(self.bytes);
        }
    }
}

impl Reduced {
    fn new(inner: Body, plan: &'static Plan, budget: Arc<Budget>, verdict: Verdict) -> Self {
        Self { inner, plan, state: State::Fresh, share: Share { budget, bytes: 0 }, verdict }
    }

    /// Takes a piece; gives it back if it may pass as it is.
    fn take(&mut self, data: Bytes) -> Option<Bytes> {
        if matches!(self.state, State::Fresh) {
            if is_whole_and_small(&data) && self.share.grow_to(data.len()) {
                self.state = State::Passing;
                return Some(data);
            }
            self.state = State::Reducing(Box::new(Reducer::new(self.plan, MAX_CALL)));
        }
        match &mut self.state {
            State::Passing => return Some(data),
            State::Reducing(reducer) => {
                reducer.push(&data);
                if !self.share.grow_to(reducer.held()) {
                    reducer.fail(Failure::NoRoom);
                }
            }
            State::Fresh | State::Done => {}
        }
        None
    }

    /// What is left of the message when all of it has come.
    fn finish(&mut self) -> Option<Bytes> {
        let State::Reducing(reducer) = std::mem::replace(&mut self.state, State::Done) else { return None };
        let kept = match reducer.finish() {
            Ok(kept) => kept,
            Err(failure) => {
                self.share.budget.metrics.intake_refused.inc();
                self.verdict.0.store(failure as u8, Ordering::Release);
                Vec::new()
            }
        };
        let mut message = BytesMut::with_capacity(PREFIX + kept.len());
        message.put_u8(0);
        message.put_u32(u32::try_from(kept.len()).unwrap_or(0));
        message.put_slice(&kept);
        Some(message.freeze())
    }
}

fn is_whole_and_small(data: &Bytes) -> bool {
    let Some((prefix, rest)) = data.split_first_chunk::<PREFIX>() else { return false };
    let [flag, a, b, c, d] = *prefix;
    let length = u32::from_be_bytes([a, b, c, d]) as usize;
    flag == 0 && length == rest.len() && length <= SMALL
}

impl http_body::Body for Reduced {
    type Data = Bytes;
    type Error = Status;

    fn poll_frame(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Status>>> {
        let this = self.get_mut();
        loop {
            match std::task::ready!(Pin::new(&mut this.inner).poll_frame(cx)) {
                Some(Ok(frame)) => match frame.into_data() {
                    Ok(data) => {
                        if let Some(passes) = this.take(data) {
                            return Poll::Ready(Some(Ok(Frame::data(passes))));
                        }
                    }
                    // Trailers of a request mean nothing to us.
                    Err(_trailers) => {}
                },
                Some(Err(error)) => return Poll::Ready(Some(Err(error))),
                None => return Poll::Ready(this.finish().map(|message| Ok(Frame::data(message)))),
            }
        }
    }

    fn is_end_stream(&self) -> bool {
        match self.state {
            State::Fresh | State::Passing => self.inner.is_end_stream(),
            State::Reducing(_) => false,
            State::Done => true,
        }
    }
}

#[cfg(test)]
#[path = "intake_tests.rs"]
mod tests;

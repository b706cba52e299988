//! Methods that answer or are asked piece by piece. Each works on a blocking thread and stops when its caller is gone.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::mpsc;
use tokio_stream::wrappers::ReceiverStream;
use tonic::{Request, Response, Status, Streaming};

use crate::admin::audit_log::EventFilter;
use crate::admin::{Admin, AdminError, AdminResult, Caller};
use crate::pb::admin::v1 as pb;
use crate::transport::admin::{AdminRpc, Asks, audit, checklist, convert, identify, import};

/// An answer in pieces.
pub type Stream<T> = Pin<Box<dyn tokio_stream::Stream<Item = Result<T, Status>> + Send>>;

/// Pieces that wait for a slow caller.
const WAITING: usize = 16;
/// How often a trail that is followed is looked at.
const LOOK: Duration = Duration::from_millis(250);
/// Imports, exports and checklists at once.
pub(super) const LONG_CALLS: usize = 8;
/// Events sent at once.
const EVENTS: usize = 500;

impl AdminRpc {
    /// Answers piece by piece with what `work` sends. Few at once: each holds a thread, however slow its caller is.
    fn stream<Q: Asks, A: Send + 'static>(
        &self,
        method: &'static str,
        caller: Caller,
        asked: Q,
        work: impl FnOnce(&Admin, Q, &dyn Fn(A) -> bool) -> AdminResult<()> + Send + 'static,
    ) -> Result<Response<Stream<A>>, Status> {
        let turn = self.desk.long_call()?;
        let (pieces, answer) = mpsc::channel(WAITING);
        let this = self.clone();
        tokio::task::spawn_blocking(move || {
            let (actor, _turn) = (caller.actor, turn);
            let send = |piece| pieces.blocking_send(Ok(piece)).is_ok();
            let run = || this.admin(caller, &asked).and_then(|admin| work(&admin, asked, &send));
            if let Err(status) = this.told(method, actor, catch_unwind(AssertUnwindSafe(run))) {
                let _ = pieces.blocking_send(Err(status));
            }
        });
        Ok(Response::new(Box::pin(ReceiverStream::new(answer))))
    }

    pub(super) fn exporting(
        &self,
        request: Request<pb::ExportCredentialsRequest>,
    ) -> Result<Response<Stream<pb::ExportCredentialsResponse>>, Status> {
        const METHOD: &str = "export_credentials";
        let caller = identify::known(&request)?;
        self.stream(METHOD, caller, request.into_inner(), |admin, asked, send| import::export(admin, &asked, send))
    }

    pub(super) fn exporting_trail(
        &self,
        request: Request<pb::ExportAuditTrailRequest>,
    ) -> Result<Response<Stream<pb::ExportAuditTrailResponse>>, Status> {
        const METHOD: &str = "export_audit_trail";
        let caller = identify::known(&request)?;
        self.stream(METHOD, caller, request.into_inner(), |admin, _, send| audit::export(admin, send))
    }

    pub(super) fn checking(
        &self,
        request: Request<pb::RunChecklistRequest>,
    ) -> Result<Response<Stream<pb::RunChecklistResponse>>, Status> {
        const METHOD: &str = "run_checklist";
        let caller = identify::known(&request)?;
        self.stream(METHOD, caller, request.into_inner(), checklist::run)
    }

    pub(super) async fn following(
        &self,
        request: Request<pb::StreamAuditEventsRequest>,
    ) -> Result<Response<Stream<pb::AuditEvent>>, Status> {
        const METHOD: &str = "stream_audit_events";
        let caller = identify::known(&request)?;
        let (asked, actor) = (request.into_inner(), caller.actor);
        let admin = Arc::new(self.admin(caller, &asked)?);
        let at = Arc::clone(&admin);
        let begun = blocking(move || {
            let after = asked.after.map_or_else(|| at.last_event(), Ok)?;
            Ok((audit::filter(&at, asked.filter)?, after))
        });
        let (filter, after) = self.told(METHOD, actor, Ok(begun.await))?;
        let (pieces, answer) = mpsc::channel(WAITING);
        tokio::spawn(async move {
            if let Err(error) = follow(admin, filter, after, &pieces).await {
                let _ = pieces.send(Err(error.into())).await;
            }
        });
        Ok(Response::new(Box::pin(ReceiverStream::new(answer))))
    }

    pub(super) async fn importing(
        &self,
        request: Request<Streaming<pb::ImportCredentialsRequest>>,
    ) -> Result<Response<Stream<pb::ImportCredentialsResponse>>, Status> {
        const METHOD: &str = "import_credentials";
        let caller = identify::known(&request)?;
        let mut coming = request.into_inner();
        let first = coming.message().await?.unwrap_or_default();
        let Some(options) = first.options else {
            return Err(convert::invalid("options", "must be in the first message").into());
        };
        let (pieces, lines) = mpsc::channel(WAITING);
        let reader = import::Pieces::new(first.lines, lines);
        tokio::spawn(async move {
            loop {
                let piece = match coming.message().await {
                    Ok(None) => return,
                    Ok(Some(part)) if part.options.is_some() || part.lines.len() > import::MAX_PIECE => {
                        Err(std::io::Error::other("a piece of at most 1 MiB, and nothing else, is expected"))
                    }
                    Ok(Some(part)) => Ok(part.lines.into()),
                    // A stream that breaks off is no end: what was not yet stored is not.
                    Err(status) => Err(std::io::Error::other(status.message().to_owned())),
                };
                let last = piece.is_err();
                if pieces.send(piece).await.is_err() || last {
                    return;
                }
            }
        });
        let work = move |admin: &Admin, options, send: &dyn Fn(_) -> bool| import::import(admin, options, reader, send);
        self.stream(METHOD, caller, options, work)
    }
}

async fn blocking<T: Send + 'static>(work: impl FnOnce() -> AdminResult<T> + Send + 'static) -> AdminResult<T> {
    let ended = tokio::task::spawn_blocking(work).await;
    ended.unwrap_or_else(|_| Err(AdminError::Unavailable("the server is going down".to_owned())))
}

/// Events as they come, until the caller is gone or is nobody any more. Holds no thread while it waits.
async fn follow(
    admin: Arc<Admin>,
    filter: EventFilter,
    mut after: u64,
    pieces: &mpsc::Sender<Result<pb::AuditEvent, Status>>,
) -> AdminResult<()> {
    let filter = Arc::new(filter);
    loop {
        let (admin, filter) = (Arc::clone(&admin), Arc::clone(&filter));
        let page = blocking(move || {
            admin.still_in_force()?;
            admin.events(&filter, after, EVENTS)
        });
        let page = page.await?;
        after = page.scanned_to;
        for event in page.events {
            if pieces.send(Ok(audit::event(event))).await.is_err() {
                return Ok(());
            }
        }
        if !page.more {
            tokio::select! {
                () = pieces.closed() => return Ok(()),
                () = tokio::time::sleep(LOOK) => {}
            }
        }
    }
}

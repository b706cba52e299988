//! The audit trail for those who read it: lists, checks, exports, gives up what is old.

use crate::admin::authority::{Act, Permit};
use crate::admin::limits::invalid;
use crate::admin::{Admin, AdminError, AdminResult};
use crate::audit::chain::Damage;
use crate::audit::checkpoint::{Checkpoint, PublicKey};
use crate::audit::verify::{Stored, Trust, Verified, Verifier, walk};
use crate::domain::event::DetailKey;
use crate::domain::{Action, Subject, TenantId, hex};
use crate::store::{ChainedEvent, StoreError};

/// Rows taken from the store at once.
const PAGE: u32 = 1_000;

/// Which events to list. Nothing given is all of them.
#[derive(Clone, Debug, Default)]
pub struct EventFilter {
    /// Of this tenant.
    pub tenant: Option<TenantId>,
    /// This was done.
    pub action: Option<Action>,
    /// By whom, as stored: `local:UID`, `operator:ID`, `studio`, `system`.
    pub actor: Option<String>,
    /// To this thing, by its id as text.
    pub subject: Option<String>,
    /// From this moment on, milliseconds since the epoch.
    pub since_ms: Option<i64>,
    /// Before this moment.
    pub until_ms: Option<i64>,
}

impl EventFilter {
    fn wants(&self, chained: &ChainedEvent) -> bool {
        let event = &chained.event;
        self.tenant.is_none_or(|tenant| event.tenant == Some(tenant))
            && self.action.is_none_or(|action| event.action == action)
            && self.actor.as_ref().is_none_or(|actor| event.actor.to_text() == *actor)
            && self.subject.as_ref().is_none_or(|id| event.subject.id_text() == *id)
            && self.since_ms.is_none_or(|since| event.at_ms >= since)
            && self.until_ms.is_none_or(|until| event.at_ms < until)
    }
}

/// The rows of a trail up to its last event when the walk began, page by page.
struct Pages<'a, T> {
    next: Box<dyn FnMut(u64) -> Result<Vec<T>, StoreError> + 'a>,
    number: fn(&T) -> u64,
    page: std::vec::IntoIter<T>,
    after: u64,
    last: u64,
}

impl<T> Iterator for Pages<'_, T> {
    type Item = Result<T, StoreError>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.page.len() == 0 {
            match (self.next)(self.after) {
                Ok(rows) => self.page = rows.into_iter(),
                Err(error) => return Some(Err(error)),
            }
        }
        let row = self.page.next()?;
        self.after = (self.number)(&row);
        (self.after <= self.last).then_some(Ok(row))
    }
}

/// Where a trail begins and ends.
struct Extent {
    beginning: [u8; 16],
    base: Option<Checkpoint>,
    /// The last event that was given up, or 0.
    from: u64,
    /// The last event that is there.
    last: u64,
}

/// Events looked at for one page: a filter that fits few answers in bounded time, and goes on with the next page.
const MOST_SCANNED: usize = 50_000;

/// A page of events.
pub struct EventPage {
    /// Those that fit.
    pub events: Vec<ChainedEvent>,
    /// The last event that was looked at.
    pub scanned_to: u64,
    /// Whether there may be more after it.
    pub more: bool,
}

impl Permit<'_> {
    fn extent(&self) -> AdminResult<Extent> {
        let (beginning, base) = self.store().audit().beginning()?;
        let last = self.store().audit().head()?.map_or(0, |(last, _)| last);
        Ok(Extent { beginning, from: base.as_ref().map_or(0, |base| base.sequence), base, last })
    }
}

impl Admin {
    /// Events that fit, after the event `after`, in their order, at most `limit` of them. Who is bound to tenants gets
    /// those of their tenants only.
    ///
    /// # Errors
    /// When the store cannot be read.
    pub fn events(&self, filter: &EventFilter, after: u64, limit: usize) -> AdminResult<EventPage> {
        let permit = self.permit(Act::Read)?;
        let (mut page, mut scanned) = (EventPage { events: Vec::new(), scanned_to: after, more: true }, 0);
        while page.events.len() < limit && scanned < MOST_SCANNED {
            let rows = permit.store().audit().list(page.scanned_to, PAGE)?;
            if rows.is_empty() {
                page.more = false;
                break;
            }
            for event in rows {
                if page.events.len() >= limit {
                    break;
                }
                scanned += 1;
                page.scanned_to = event.sequence;
                if permit.covers(event.event.tenant) && filter.wants(&event) {
                    page.events.push(event);
                }
            }
        }
        Ok(page)
    }

    /// The number of the last event, whosever it is.
    ///
    /// # Errors
    /// When the store cannot be read.
    pub fn last_event(&self) -> AdminResult<u64> {
        Ok(self.permit(Act::Read)?.store().audit().head()?.map_or(0, |(last, _)| last))
    }

    /// Walks the trail with its checkpoints, and says what is wrong with it first. Events that are added meanwhile are
    /// left out.
    ///
    /// # Errors
    /// When the store cannot be read. Damage is a result.
    pub fn verify_trail(&self, trust: &Trust, anchors: Vec<Checkpoint>) -> AdminResult<Result<Verified, Damage>> {
        let permit = self.permit(Act::ReadAll)?;
        let Extent { beginning, base, from, last } = permit.extent()?;
        let checkpoints = checkpoint_pages(&permit, from, u64::MAX);
        // What cannot be read would be missing, and every event of it unsigned: never more is said than was seen.
        let checkpoints = Box::new(checkpoints.map_while(Result::ok).filter(|checkpoint| {
            // Of an event that came after the walk began.
            checkpoint.sequence <= last || !is_there(&permit, checkpoint.sequence)
        }));
        match Verifier::new(beginning, base.as_ref(), trust, checkpoints, anchors) {
            Ok(verifier) => Ok(walk(verifier, stored_pages(&permit, from, last))?),
            Err(damage) => Ok(Err(damage)),
        }
    }

    /// Everything that a verifier elsewhere needs: the beginning and the base first, then each event, each followed by
    /// its checkpoints.
    ///
    /// # Errors
    /// When the store cannot be read, an event of it does not read as one, or `each` fails.
    pub fn export_trail(&self, mut each: impl FnMut(Exported<'_>) -> AdminResult<()>) -> AdminResult<u64> {
        let permit = self.permit(Act::ReadAll)?;
        let Extent { beginning, base, from, last } = permit.extent()?;
        each(Exported::Beginning(&beginning, base.as_ref()))?;
        let mut checkpoints = checkpoint_pages(&permit, from, last).peekable();
        let mut count = 0;
        for stored in stored_pages(&permit, from, last) {
            let Stored { sequence, hash, event } = stored?;
            let Some(event) = event else {
                return Err(invalid(
                    "audit",
                    format!("event {sequence} does not read as one: `latchkey audit verify`"),
                ));
            };
            each(Exported::Event(&ChainedEvent { sequence, event, hash }))?;
            count += 1;
            while let Some(checkpoint) = checkpoints.next_if(|c| !c.as_ref().is_ok_and(|c| c.sequence > sequence)) {
                each(Exported::Checkpoint(&checkpoint?))?;
            }
        }
        Ok(count)
    }

    /// Gives up the events before a moment, up to a checkpoint: what is left stays verifiable. The last checkpoint's event
    /// and all after it always stay.
    ///
    /// # Errors
    /// When nothing that old was signed, or the store cannot be written.
    pub fn prune_trail(&self, before_ms: i64) -> AdminResult<(u64, Checkpoint)> {
        let permit = self.permit(Act::Govern)?;
        // Whoever has an owner's token must not be able to wipe out what was done with it.
        let kept_from_ms = self.now_ms().saturating_sub(self.backend.retention_ms);
        if self.backend.retention_ms > 0 && before_ms > kept_from_ms {
            let kept = crate::clock::rfc3339(kept_from_ms);
            return Err(invalid(
                "before",
                format!("at most {kept}: what is younger stays (`audit.min_retention_days`)"),
            ));
        }
        let audit = permit.store().audit();
        let Extent { from, last, .. } = permit.extent()?;
        let mut old = None;
        for stored in stored_pages(&permit, from, last) {
            let stored = stored?;
            match stored.event.map(|event| event.at_ms) {
                Some(at_ms) if at_ms < before_ms => old = Some(stored.sequence),
                _ => break,
            }
        }
        let signed = match old {
            Some(old) => audit.checkpoint_at_most(old)?.filter(|checkpoint| checkpoint.sequence > from),
            None => None,
        };
        let base = signed.ok_or_else(|| invalid("before", "no event before it was signed, so none can be given up"))?;
        let count = base.sequence - from;
        let details = vec![(DetailKey::Count, count.to_string()), (DetailKey::TrailHead, hex::encode(&base.head))];
        let event = self.event(Action::AuditPruned, Subject::Everything, None, details);
        audit.prune(&base, event)?;
        Ok((count, base))
    }

    /// Says in the trail that another key signs from here on; the event's number and hash, which both keys must sign.
    ///
    /// # Errors
    /// When the store cannot be written.
    pub fn note_audit_key(&self, key: &PublicKey) -> AdminResult<(u64, [u8; 32])> {
        let permit = self.permit(Act::Govern)?;
        let audit = permit.store().audit();
        let before = audit.head()?.map_or(0, |(last, _)| last);
        let event = self.event(
            Action::AuditKeyChanged,
            Subject::Everything,
            None,
            vec![(DetailKey::PublicKey, hex::encode(key))],
        );
        audit.note(event.clone())?;
        // Others may have added events since.
        let noted = audit.list(before, PAGE)?.into_iter();
        let mut noted = noted.filter(|e| e.event == event);
        let lost = || AdminError::Store(StoreError::Conflict { what: "audit key" });
        noted.next().map(|noted| (noted.sequence, noted.hash)).ok_or_else(lost)
    }
}

fn is_there(permit: &Permit<'_>, sequence: u64) -> bool {
    permit.store().audit().head().is_ok_and(|head| head.is_some_and(|(last, _)| last >= sequence))
}

fn stored_pages<'a>(
    permit: &Permit<'a>,
    after: u64,
    last: u64,
) -> impl Iterator<Item = Result<Stored, StoreError>> + use<'a> {
    let audit = permit.store().audit();
    let next = Box::new(move |after| audit.stored(after, PAGE));
    Pages { next, number: |stored: &Stored| stored.sequence, page: Vec::new().into_iter(), after, last }
}

fn checkpoint_pages<'a>(
    permit: &Permit<'a>,
    after: u64,
    last: u64,
) -> impl Iterator<Item = Result<Checkpoint, StoreError>> + use<'a> {
    let audit = permit.store().audit();
    // Whole events: two keys may have signed the same one.
    let next = Box::new(move |after| {
        let mut page = audit.checkpoints(after, PAGE)?;
        let [first, last] = [page.first(), page.last()].map(|checkpoint| checkpoint.map(|c| c.sequence));
        if page.len() >= PAGE as usize && first != last {
            page.retain(|checkpoint| Some(checkpoint.sequence) != last);
        }
        Ok(page)
    });
    let number = |checkpoint: &Checkpoint| checkpoint.sequence;
    Pages { next, number, page: Vec::new().into_iter(), after, last }
}

/// A part of an export.
pub enum Exported<'a> {
    /// What the trail begins with, and the checkpoint before which events were given up.
    Beginning(&'a [u8; 16], Option<&'a Checkpoint>),
    /// An event.
    Event(&'a ChainedEvent),
    /// A checkpoint of the event before it.
    Checkpoint(&'a Checkpoint),
}

//! Reads a gRPC message of protobuf as it streams in, and keeps only the fields that a [`Plan`] names.
//!
//! No message is ever held whole. A nested message is kept field by field, each as an occurrence of its own of the
//! parent's field: protobuf merges them when it decodes. Lengths are checked against what encloses them; work and memory
//! are bounded by what is kept, whatever the lengths claim.

use crate::transport::oauth::MAX_BODY;

/// What to do with a field.
pub enum Rule {
    /// Kept as it is.
    Keep,
    /// Kept where it has at most so many bytes; else the message is given up.
    AtMost(u64),
    /// Skipped.
    Skip,
    /// A message of which some fields are kept.
    Descend(&'static Plan),
}

/// Which fields of a message are kept; all others are skipped.
pub struct Plan(&'static [(u32, Rule)]);

impl Plan {
    fn rule(&self, field: u32) -> &'static Rule
    where
        Self: 'static,
    {
        const SKIP: Rule = Rule::Skip;
        // The table is static, so a reference into it is.
        let Self(rules) = self;
        rules.iter().find(|(number, _)| *number == field).map_or(&SKIP, |(_, rule)| rule)
    }
}

/// Nothing is read of it.
static NOTHING: Plan = Plan(&[]);
/// `PluginRequest` within `AuthRequest`: neither headers nor body.
static REQUEST_OF_AUTH: Plan = Plan(&[(6, Rule::Keep)]);
/// The same with headers, where a trusted proxy names the client in one.
static REQUEST_WITH_HEADERS: Plan = Plan(&[(3, Rule::Keep), (6, Rule::Keep)]);
/// `AuthRequest`.
static AUTH: Plan = Plan(&[(1, Rule::Keep), (2, Rule::Keep), (3, Rule::Descend(&REQUEST_OF_AUTH)), (4, Rule::Keep)]);
/// The same with headers.
static AUTH_WITH_HEADERS: Plan =
    Plan(&[(1, Rule::Keep), (2, Rule::Keep), (3, Rule::Descend(&REQUEST_WITH_HEADERS)), (4, Rule::Keep)]);
/// `PluginRequest` of pre-auth: all but the body.
static PRE_AUTH: Plan = Plan(&[(1, Rule::Keep), (2, Rule::Keep), (3, Rule::Keep), (5, Rule::Keep), (6, Rule::Keep)]);
/// `GetAppRequest` and `GetUserRequest`.
static LOOK_UP: Plan = Plan(&[(1, Rule::Keep), (2, Rule::Keep)]);

/// `EndpointRequest`: its body only as far as our endpoints read one.
static ENDPOINT: Plan = Plan(&[
    (1, Rule::Keep),
    (2, Rule::Keep),
    (3, Rule::Keep),
    (5, Rule::Keep),
    (6, Rule::AtMost(MAX_BODY as u64)),
    (7, Rule::Keep),
    (11, Rule::Keep),
]);

/// What is kept of the messages of a method, with the headers of an auth call if they are wanted; none for methods whose
/// messages are small and read whole.
pub fn plan(method: &str, with_headers: bool) -> Option<&'static Plan> {
    match method {
        "Authenticate" if with_headers => Some(&AUTH_WITH_HEADERS),
        "Authenticate" => Some(&AUTH),
        "ProcessPreAuth" => Some(&PRE_AUTH),
        "GetAppByCredential" | "GetUserByCredential" => Some(&LOOK_UP),
        "HandleEndpointRequest" | "HandleEndpointRequestStream" => Some(&ENDPOINT),
        "ProcessPostAuth"
        | "OnBeforeWriteHeaders"
        | "OnBeforeWrite"
        | "OnStreamComplete"
        | "HandleProxyLog"
        | "HandleAnalytics"
        | "HandleBudgetUsage"
        | "HandleAgentMessage"
        | "HandleObjectHook"
        | "ExecuteScheduledTask"
        | "AcceptEdgePayload"
        | "ListResourceInstances"
        | "GetResourceInstance"
        | "ValidateResourceSelection"
        | "CreateResourceInstance" => Some(&NOTHING),
        _ => None,
    }
}

/// Why nothing is left of a message.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[repr(u8)]
pub enum Failure {
    /// More to keep than a call may hold.
    TooLarge = 1,
    /// More than the process may hold.
    NoRoom = 2,
    /// No protobuf, cut off, or compressed.
    Malformed = 3,
}

/// What the next byte is part of.
enum Step {
    /// The five bytes before the message.
    Prefix,
    /// A field's tag, or the end of the message that it would be in.
    Tag,
    /// The length of a field.
    Length { field: u32 },
    /// Bytes of a field that is skipped.
    Skip { left: u64 },
    /// Bytes of a field that is kept.
    Keep { left: u64 },
    /// A varint value.
    Varint { field: u32 },
    /// The message is over, or has failed: whatever comes is thrown away.
    Drain,
}

/// A message that is being read: how much of it is left, by which plan, and as which field of its parent.
struct Level {
    left: u64,
    plan: &'static Plan,
    field: u32,
}

/// Wire types of protobuf.
const VARINT: u8 = 0;
const FIXED64: u8 = 1;
const BYTES: u8 = 2;
const FIXED32: u8 = 5;

/// The reader.
pub struct Reducer {
    step: Step,
    plan: &'static Plan,
    levels: Vec<Level>,
    /// Bytes of the prefix or varint at hand.
    pending: Vec<u8>,
    kept: Vec<u8>,
    limit: usize,
    failure: Option<Failure>,
    complete: bool,
}

impl Reducer {
    /// Reads by `plan` and keeps at most `limit` bytes.
    pub fn new(plan: &'static Plan, limit: usize) -> Self {
        Self {
            step: Step::Prefix,
            plan,
            levels: Vec::with_capacity(2),
            pending: Vec::with_capacity(10),
            kept: Vec::new(),
            limit,
            failure: None,
            complete: false,
        }
    }

    /// Bytes kept so far.
    pub fn held(&self) -> usize {
        self.kept.capacity()
    }

    /// Gives the message up; the rest is drained.
    pub fn fail(&mut self, failure: Failure) {
        self.failure.get_or_insert(failure);
        self.kept = Vec::new();
        self.step = Step::Drain;
    }

    /// Takes the next piece.
    pub fn push(&mut self, mut data: &[u8]) {
        while !data.is_empty() {
            data = match self.step {
                Step::Drain => return,
                Step::Skip { left } => self.skip(data, left),
                Step::Keep { left } => self.keep(data, left),
                Step::Prefix => self.prefix(data),
                Step::Tag | Step::Length { .. } | Step::Varint { .. } => self.varint(data),
            };
        }
    }

    /// What was kept.
    ///
    /// # Errors
    /// Why the message must be refused.
    pub fn finish(self) -> Result<Vec<u8>, Failure> {
        match self.failure {
            Some(failure) => Err(failure),
            None if self.complete => Ok(self.kept),
            None => Err(Failure::Malformed),
        }
    }

    fn prefix<'a>(&mut self, data: &'a [u8]) -> &'a [u8] {
        let (head, rest) = data.split_at(data.len().min(5 - self.pending.len().min(5)));
        self.pending.extend_from_slice(head);
        if let [flag, a, b, c, d] = *self.pending.as_slice() {
            self.pending.clear();
            if flag == 0 {
                let left = u64::from(u32::from_be_bytes([a, b, c, d]));
                self.levels.push(Level { left, plan: self.plan, field: 0 });
                self.step = Step::Tag;
                self.close_levels();
            } else {
                // No host compresses, and we announce no way to.
                self.fail(Failure::Malformed);
            }
        }
        rest
    }

    fn skip<'a>(&mut self, data: &'a [u8], left: u64) -> &'a [u8] {
        let count = usize::try_from(left).unwrap_or(usize::MAX).min(data.len());
        self.consume(count);
        self.step = Step::Skip { left: left - count as u64 };
        if left == count as u64 {
            self.step = Step::Tag;
            self.close_levels();
        }
        data.get(count..).unwrap_or_default()
    }

    fn keep<'a>(&mut self, data: &'a [u8], left: u64) -> &'a [u8] {
        let count = usize::try_from(left).unwrap_or(usize::MAX).min(data.len());
        self.consume(count);
        self.kept.extend_from_slice(data.get(..count).unwrap_or_default());
        self.step = Step::Keep { left: left - count as u64 };
        if left == count as u64 {
            self.step = Step::Tag;
            self.close_levels();
        }
        data.get(count..).unwrap_or_default()
    }

    fn varint<'a>(&mut self, data: &'a [u8]) -> &'a [u8] {
        let Some((&byte, rest)) = data.split_first() else { return data };
        if self.levels.last().is_none_or(|level| level.left == 0) || self.pending.len() >= 10 {
            self.fail(Failure::Malformed);
            return rest;
        }
        self.consume(1);
        self.pending.push(byte);
        if byte & 0x80 == 0 {
            let value = decode(&self.pending);
            self.whole_varint(value);
            self.pending.clear();
        }
        rest
    }

    fn whole_varint(&mut self, value: u64) {
        match self.step {
            Step::Tag => self.tag(value),
            Step::Length { field } => self.length(field, value),
            Step::Varint { field } => {
                if matches!(self.rule(field), Rule::Keep) {
                    let value = self.pending.clone();
                    if self.open_kept(field, VARINT, value.len() as u64, None) {
                        self.kept.extend_from_slice(&value);
                    }
                }
                if self.failure.is_none() {
                    self.step = Step::Tag;
                    self.close_levels();
                }
            }
            _ => {}
        }
    }

    fn tag(&mut self, tag: u64) {
        let (field, wire) = (u32::try_from(tag >> 3).unwrap_or(0), u8::try_from(tag & 7).unwrap_or(7));
        if field == 0 {
            return self.fail(Failure::Malformed);
        }
        match wire {
            VARINT => self.step = Step::Varint { field },
            BYTES => self.step = Step::Length { field },
            FIXED64 => self.fixed(field, wire, 8),
            FIXED32 => self.fixed(field, wire, 4),
            // Groups have not been written since proto2.
            _ => self.fail(Failure::Malformed),
        }
    }

    fn fixed(&mut self, field: u32, wire: u8, size: u64) {
        if self.levels.last().is_none_or(|level| level.left < size) {
            return self.fail(Failure::Malformed);
        }
        let keep = matches!(self.rule(field), Rule::Keep);
        if !keep {
            self.step = Step::Skip { left: size };
        } else if self.open_kept(field, wire, size, None) {
            self.step = Step::Keep { left: size };
        }
    }

    fn length(&mut self, field: u32, length: u64) {
        if self.levels.last().is_none_or(|level| level.left < length) {
            return self.fail(Failure::Malformed);
        }
        match self.rule(field) {
            Rule::AtMost(most) if length > *most => return self.fail(Failure::TooLarge),
            Rule::Skip => self.step = Step::Skip { left: length },
            Rule::Keep | Rule::AtMost(_) => {
                if self.open_kept(field, BYTES, length, Some(length)) {
                    self.step = Step::Keep { left: length };
                }
            }
            Rule::Descend(plan) => {
                self.levels.push(Level { left: length, plan, field });
                self.step = Step::Tag;
            }
        }
        // A field of no bytes is over at once.
        if let Step::Keep { left: 0 } | Step::Skip { left: 0 } = self.step {
            self.step = Step::Tag;
        }
        if matches!(self.step, Step::Tag) {
            self.close_levels();
        }
    }

    fn rule(&self, field: u32) -> &'static Rule {
        self.levels.last().map_or(&Rule::Skip, |level| level.plan.rule(field))
    }

    /// Writes what leads a kept field: its tag and length, and around them the parent's where it is nested.
    fn open_kept(&mut self, field: u32, wire: u8, size: u64, length: Option<u64>) -> bool {
        let mut lead = Vec::with_capacity(24);
        encode(&mut lead, u64::from(field) << 3 | u64::from(wire));
        if let Some(length) = length {
            encode(&mut lead, length);
        }
        if self.levels.len() > 1
            && let Some(parent) = self.levels.last().map(|level| level.field)
        {
            let mut outer = Vec::with_capacity(24);
            encode(&mut outer, u64::from(parent) << 3 | u64::from(BYTES));
            encode(&mut outer, lead.len() as u64 + size);
            outer.extend_from_slice(&lead);
            lead = outer;
        }
        let total = (self.kept.len() + lead.len()) as u64 + size;
        if total > self.limit as u64 {
            self.fail(Failure::TooLarge);
            return false;
        }
        self.kept.extend_from_slice(&lead);
        true
    }

    /// Counts bytes against every message that they are part of.
    fn consume(&mut self, count: usize) {
        for level in &mut self.levels {
            level.left = level.left.saturating_sub(count as u64);
        }
    }

    /// Ends every message that has no bytes left.
    fn close_levels(&mut self) {
        while self.levels.last().is_some_and(|level| level.left == 0) {
            self.levels.pop();
        }
        if self.levels.is_empty() {
            self.complete = true;
            self.step = Step::Drain;
        }
    }
}

fn decode(bytes: &[u8]) -> u64 {
    bytes.iter().enumerate().fold(0, |value, (place, &byte)| {
        let bits = u64::from(byte & 0x7f);
        value | bits.checked_shl(u32::try_from(place * 7).unwrap_or(64)).unwrap_or(0)
    })
}

fn encode(out: &mut Vec<u8>, mut value: u64) {
    while value >= 0x80 {
        out.push(u8::try_from(value & 0x7f).unwrap_or(0) | 0x80);
        value >>= 7;
    }
    out.push(u8::try_from(value).unwrap_or(0));
}

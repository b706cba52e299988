//! What waits to be written: single decisions up to a rate, everything else counted by reason, stage, source and second.
//!
//! Both are bounded whatever comes: junk costs a number of rows a second that does not grow with it.

use std::collections::HashMap;
use std::net::IpAddr;

use crate::domain::{AppId, CredentialId, Reason, TenantId, UserId};
use crate::store::sqlite::decisions::source::Source;

/// Alarms kept one by one each second, at least.
const ALARMS_PER_SECOND: u32 = 10;
/// Rows a second that count for one source alone; whoever comes later shares rows with others.
pub(super) const OWN_ROWS_PER_SECOND: usize = 64;

/// One decision on its way to the writer.
pub(super) struct Decided {
    pub(super) at_ms: i64,
    /// Why not; none is a yes.
    pub(super) reason: Option<Reason>,
    pub(super) stage: &'static str,
    pub(super) remote: Option<IpAddr>,
    pub(super) known: Option<(CredentialId, TenantId, AppId, UserId)>,
    /// Empty where the decision can only be counted.
    pub(super) request_id: String,
}

/// What is counted together.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub(super) struct Counted {
    pub(super) second: i64,
    pub(super) reason: &'static str,
    pub(super) stage: &'static str,
    pub(super) source: Source,
}

impl Counted {
    /// What has no stage and no source.
    pub(super) const fn all(second: i64, reason: &'static str) -> Self {
        Self { second, reason, stage: "", source: Source::Unknown }
    }
}

/// One second's decisions, or more where the second went on after a write.
pub(super) struct Gather {
    per_second: u32,
    second: i64,
    kept_this_second: u32,
    alarms_this_second: u32,
    own_this_second: usize,
    kept: Vec<Decided>,
    counts: HashMap<Counted, u64>,
}

impl Gather {
    /// Keeps at most `per_second` refusals of known credentials one by one each second.
    pub(super) fn new(per_second: u32) -> Self {
        Self {
            per_second,
            second: 0,
            kept_this_second: 0,
            alarms_this_second: 0,
            own_this_second: 0,
            kept: Vec::new(),
            counts: HashMap::new(),
        }
    }

    /// Whether a decision is of another second than those before. Callers come a little out of order; a clock that was
    /// set back by more begins anew.
    pub(super) fn begins_with(&self, decided: &Decided) -> bool {
        let second = decided.at_ms / 1000;
        second > self.second || second + 1 < self.second
    }

    pub(super) fn begin(&mut self, second: i64) {
        self.second = second;
        (self.kept_this_second, self.alarms_this_second, self.own_this_second) = (0, 0, 0);
    }

    pub(super) fn take(&mut self, decided: Decided) {
        let Some(reason) = decided.reason else { return self.kept.push(decided) };
        // Alarms have a bound of their own, so that a flood of other refusals hides none.
        let (kept, most) = match reason.alarm() {
            Some(_) => (&mut self.alarms_this_second, self.per_second.max(ALARMS_PER_SECOND)),
            None => (&mut self.kept_this_second, self.per_second),
        };
        if decided.known.is_some() && *kept < most {
            *kept += 1;
            return self.kept.push(decided);
        }
        let mut counted = Counted {
            second: decided.at_ms / 1000,
            reason: reason.code(),
            stage: decided.stage,
            source: Source::of(decided.remote),
        };
        if counted.source.is_own() && !self.counts.contains_key(&counted) {
            if self.own_this_second < OWN_ROWS_PER_SECOND {
                self.own_this_second += 1;
            } else {
                counted.source = Source::Others;
            }
        }
        self.count(counted, 1);
    }

    pub(super) fn count(&mut self, counted: Counted, calls: u64) {
        if calls > 0 {
            *self.counts.entry(counted).or_default() += calls;
        }
    }

    /// Single decisions that wait.
    pub(super) fn waiting(&self) -> usize {
        self.kept.len()
    }

    /// What there is to write, counts in their order.
    pub(super) fn drain(&mut self) -> (Vec<Decided>, Vec<(Counted, u64)>) {
        let mut counts: Vec<_> = self.counts.drain().collect();
        counts.sort_unstable();
        (std::mem::take(&mut self.kept), counts)
    }
}

/// How many of the acceptances after number `from` up to number `to` are counted, if each `one_in`th is kept.
pub(super) fn counted_between(from: u64, to: u64, one_in: u64) -> u64 {
    let kept = |number: u64| number.checked_div(one_in).unwrap_or(0);
    (to - from) - (kept(to) - kept(from))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn junk(n: u32, at_ms: i64) -> Decided {
        let remote = Some(IpAddr::from(n.to_be_bytes()));
        let reason = Some(Reason::CredentialChecksum);
        Decided { at_ms, reason, stage: "auth", remote, known: None, request_id: String::new() }
    }

    #[test]
    fn e1_junk_from_any_number_of_sources_costs_a_bounded_number_of_rows() {
        let mut gather = Gather::new(10);
        gather.begin(1);
        for _ in 0..3 {
            (0..5_000).for_each(|n| gather.take(junk(n, 1_000)));
        }
        let (kept, counts) = gather.drain();
        assert!(kept.is_empty());
        assert_eq!(counts.len(), OWN_ROWS_PER_SECOND + 1);
        let others = counts.iter().find(|(counted, _)| counted.source == Source::Others).unwrap().1;
        assert_eq!(others, 3 * (5_000 - OWN_ROWS_PER_SECOND as u64));
        assert_eq!(counts.iter().map(|(_, calls)| calls).sum::<u64>(), 15_000);
        // Written in the middle of a second, the bound holds for the rest of it.
        (0..5_000).for_each(|n| gather.take(junk(n, 1_000)));
        assert_eq!(gather.drain().1.len(), 1);
        gather.begin(2);
        gather.take(junk(1, 2_000));
        assert!(gather.drain().1[0].0.source.is_own(), "and the next second begins anew");
    }

    #[test]
    fn e1_callers_a_little_out_of_order_do_not_begin_a_second_again() {
        let mut gather = Gather::new(10);
        assert!(gather.begins_with(&junk(1, 5_000)));
        gather.begin(5);
        assert!(!gather.begins_with(&junk(1, 5_999)) && !gather.begins_with(&junk(1, 4_999)));
        assert!(gather.begins_with(&junk(1, 6_000)));
        assert!(gather.begins_with(&junk(1, 3_999)), "the clock was set back");
    }

    #[test]
    fn e1_what_is_kept_by_a_share_and_what_is_counted_are_all() {
        for one_in in [0, 1, 2, 7, 1_000] {
            let (mut kept, mut counted, mut from) = (0, 0, 0);
            for to in [0_u64, 1, 1, 5, 6, 7, 20, 999, 1_000, 5_003] {
                kept += (from + 1..=to).filter(|n| one_in > 0 && n.is_multiple_of(one_in)).count() as u64;
                counted += counted_between(from, to, one_in);
                from = to;
            }
            assert_eq!(kept + counted, 5_003, "one in {one_in}");
            assert_eq!(kept, 5_003_u64.checked_div(one_in).unwrap_or(0));
        }
    }
}

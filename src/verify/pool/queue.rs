//! Whose turn it is (rule R12). One thread at a time holds the queue, and never while it hashes.

use std::collections::{HashMap, VecDeque};

use crate::domain::{CredentialId, TenantId};
use crate::fair_cache::Digest;
use crate::verify::pool::job::{Asker, Job};

/// What one tenant waits for, in the order of its credentials' turns.
#[derive(Default)]
struct Lane {
    turns: VecDeque<CredentialId>,
    running: usize,
}

struct Running {
    /// Of what is being proven; none where a hash is made.
    digest: Option<Digest>,
    callers: Vec<Asker>,
}

/// All that waits, and what runs.
#[derive(Default)]
pub(super) struct Queue {
    waiting: HashMap<CredentialId, Vec<Job>>,
    /// Jobs that wait.
    pub(super) count: usize,
    lanes: HashMap<TenantId, Lane>,
    turns: VecDeque<TenantId>,
    running: HashMap<CredentialId, Running>,
    /// The pool ends.
    pub(super) closed: bool,
}

impl Queue {
    /// Where somebody who presents that secret joins those who wait for its proof already.
    pub(super) fn askers(&mut self, credential: CredentialId, digest: &Digest) -> Option<&mut Vec<Asker>> {
        match self.running.get_mut(&credential).filter(|running| running.digest == Some(*digest)) {
            Some(running) => Some(&mut running.callers),
            None => self.waiting.get_mut(&credential)?.iter_mut().find_map(|job| job.askers(digest)),
        }
    }

    pub(super) fn waiting_for(&self, credential: CredentialId) -> usize {
        self.waiting.get(&credential).map_or(0, Vec::len)
    }

    pub(super) fn add(&mut self, tenant: TenantId, credential: CredentialId, job: Job) {
        let jobs = self.waiting.entry(credential).or_default();
        jobs.push(job);
        self.count += 1;
        let lane = self.lanes.entry(tenant).or_default();
        if !lane.turns.contains(&credential) {
            lane.turns.push_back(credential);
        }
        if !self.turns.contains(&tenant) {
            self.turns.push_back(tenant);
        }
    }

    pub(super) fn waiting_of(&self, tenant: TenantId) -> usize {
        let credentials = self.lanes.get(&tenant).into_iter().flat_map(|lane| &lane.turns);
        credentials.filter_map(|credential| self.waiting.get(credential)).map(Vec::len).sum()
    }

    pub(super) fn longest_lane(&self) -> Option<(TenantId, usize)> {
        self.turns.iter().map(|&tenant| (tenant, self.waiting_of(tenant))).max_by_key(|(_, length)| *length)
    }

    /// The credential whose job is the `n`th that a tenant waits for.
    pub(super) fn nth_of(&self, tenant: TenantId, mut n: usize) -> Option<CredentialId> {
        for credential in &self.lanes.get(&tenant)?.turns {
            let length = self.waiting.get(credential).map_or(0, Vec::len);
            if n < length {
                return Some(*credential);
            }
            n -= length;
        }
        None
    }

    pub(super) fn remove(&mut self, credential: CredentialId, index: usize) -> Option<Job> {
        let jobs = self.waiting.get_mut(&credential)?;
        if index >= jobs.len() {
            return None;
        }
        let job = jobs.swap_remove(index);
        self.count = self.count.saturating_sub(1);
        if jobs.is_empty() {
            self.waiting.remove(&credential);
        }
        Some(job)
    }

    /// Whose turn it is: first of those who are not suspect, then of those who are.
    pub(super) fn next(
        &mut self,
        most_of_a_tenant: usize,
        chance: &dyn Fn(usize) -> usize,
    ) -> Option<(TenantId, CredentialId, Job)> {
        [false, true].into_iter().find_map(|suspect| self.next_of(suspect, most_of_a_tenant, chance))
    }

    fn next_of(
        &mut self,
        suspect: bool,
        most_of_a_tenant: usize,
        chance: &dyn Fn(usize) -> usize,
    ) -> Option<(TenantId, CredentialId, Job)> {
        for _ in 0..self.turns.len() {
            let tenant = self.turns.pop_front()?;
            let taken = match self.lanes.get_mut(&tenant) {
                Some(lane) if lane.running < most_of_a_tenant => self.next_of_lane(tenant, suspect, chance),
                _ => None,
            };
            let lane = self.lanes.get_mut(&tenant);
            if lane.as_ref().is_some_and(|lane| lane.turns.is_empty() && lane.running == 0 && taken.is_none()) {
                self.lanes.remove(&tenant);
            } else {
                // Behind the others, whether it got its turn or cannot use it now.
                self.turns.push_back(tenant);
            }
            if let Some((credential, job)) = taken {
                if let Some(lane) = self.lanes.get_mut(&tenant) {
                    lane.running += 1;
                }
                self.running.insert(credential, Running { digest: job.digest(), callers: Vec::new() });
                return Some((tenant, credential, job));
            }
        }
        None
    }

    fn next_of_lane(
        &mut self,
        tenant: TenantId,
        suspect: bool,
        chance: &dyn Fn(usize) -> usize,
    ) -> Option<(CredentialId, Job)> {
        let turns = self.lanes.get(&tenant)?.turns.len();
        for _ in 0..turns {
            let credential = self.lanes.get_mut(&tenant)?.turns.pop_front()?;
            // Nobody waits for these any more.
            while let Some(gone) =
                self.waiting.get(&credential).and_then(|jobs| jobs.iter().position(|j| !j.is_wanted()))
            {
                self.remove(credential, gone);
            }
            let mut taken = None;
            if !self.running.contains_key(&credential)
                && let Some(jobs) = self.waiting.get(&credential)
            {
                let eligible: Vec<usize> =
                    jobs.iter().enumerate().filter(|(_, job)| job.suspect == suspect).map(|(at, _)| at).collect();
                if let Some(&at) = eligible.get(chance(eligible.len())) {
                    taken = self.remove(credential, at);
                }
            }
            if self.waiting.contains_key(&credential) {
                self.lanes.get_mut(&tenant)?.turns.push_back(credential);
            }
            if let Some(job) = taken {
                return Some((credential, job));
            }
        }
        None
    }

    /// The job is done; gives back who joined it while it ran.
    pub(super) fn done(&mut self, tenant: TenantId, credential: CredentialId) -> Vec<Asker> {
        if let Some(lane) = self.lanes.get_mut(&tenant) {
            lane.running = lane.running.saturating_sub(1);
        }
        self.running.remove(&credential).map(|running| running.callers).unwrap_or_default()
    }
}

//! What is wrong although requests are decided, for `health`.

use crate::authenticate::{Authenticator, Problem};
use crate::clock::WALL_CLOCK_LAG_ALARM_MS;

impl Authenticator {
    /// All that is wrong.
    pub(super) fn problems(&self) -> impl Iterator<Item = Problem> {
        [self.clock_problem(), self.directory_problem()].into_iter().flatten()
    }

    /// What is wrong with the wall clock (rule R8).
    fn clock_problem(&self) -> Option<Problem> {
        let lag_ms = self.expiry.lag_ms();
        (lag_ms > WALL_CLOCK_LAG_ALARM_MS).then(|| Problem {
            code: "clock_behind",
            text: format!("the wall clock is {} s behind what was seen before: set it right", lag_ms / 1000),
        })
    }

    /// What is wrong with the host's Service API.
    fn directory_problem(&self) -> Option<Problem> {
        self.directory.problem().map(|text| Problem { code: "service_api", text })
    }
}

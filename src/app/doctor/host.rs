//! Hazards of the host that only its operator can close, as far as they can be seen from what the operator gives: what the
//! host's REST API lists, the plugin's command, which kind of host it is.
//!
//! Nothing here is asked of a host, and no secret of an export is ever held (`node`).

mod command;
mod export;
mod hazards;
mod node;
mod view;

use export::Export;
use hazards::HAZARDS;
use view::View;

use super::{Finding, Verdict};

/// Which hosts there are.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum HostKind {
    /// A Studio, with edges or without.
    Hub,
    /// A microgateway without a Studio.
    Standalone,
}

/// What the operator gave.
#[derive(Clone, Debug)]
pub struct Given {
    /// Answers of the host's REST API: where from, and the bytes.
    pub exports: Vec<(String, Vec<u8>)>,
    /// Commands of the plugin, as they are registered.
    pub commands: Vec<String>,
    /// Whether they say that these lists are all there is, where the host does not say how long they are.
    pub complete: bool,
    /// Which hosts there are, if they said.
    pub kind: Option<HostKind>,
    /// Whether `directory.source` is `host` on this machine.
    pub asks_host: bool,
}

impl Given {
    fn is_nothing(&self) -> bool {
        self.exports.is_empty() && self.commands.is_empty() && self.kind.is_none()
    }
}

/// The names of everything that is judged.
pub fn checks() -> impl Iterator<Item = &'static str> {
    ["host", "host.export"].into_iter().chain(HAZARDS.iter().map(|hazard| hazard.check))
}

/// Judges what can be judged. Where nothing was given it says so in a line, and in full what that leaves unknown.
pub fn examine(given: &Given, in_full: bool) -> Vec<Finding> {
    let finding = |check, (verdict, text, remedy): command::Said| Finding {
        check,
        verdict,
        text,
        remedy: Some(remedy).filter(|remedy| !remedy.is_empty()),
    };
    let mut found = Vec::new();
    if given.is_nothing() {
        let how = "give --host-export FILE, --plugin-command COMMAND, --host-kind KIND (docs/HOSTS.md); -v says what is unknown";
        found.push(finding("host", (Verdict::Unknown, "the host was not looked at".to_owned(), how.to_owned())));
        if !in_full {
            return found;
        }
    }
    let mut export = Export::default();
    for (name, text) in &given.exports {
        if let Err(error) = export.read(text) {
            let seen = format!("{name}: no JSON, at line {} column {}", error.line(), error.column());
            found.push(finding("host.export", (Verdict::Problem, seen, "export it again".to_owned())));
        }
    }
    let view = View { given, export: &export };
    let standalone = given.kind == Some(HostKind::Standalone);
    let judged = HAZARDS.iter().filter(|hazard| !(hazard.of_studio && standalone));
    let hazards: Vec<Finding> =
        judged.flat_map(|hazard| (hazard.judge)(&view).into_iter().map(|said| finding(hazard.check, said))).collect();
    if !given.exports.is_empty() {
        found.push(finding("host.export", summary(&export, &hazards)));
    }
    found.extend(hazards);
    found
}

/// What was read, and what could be judged with it.
fn summary(export: &Export, hazards: &[Finding]) -> command::Said {
    let mut judged: Vec<&str> =
        hazards.iter().filter(|finding| finding.verdict != Verdict::Unknown).map(|finding| finding.check).collect();
    judged.dedup();
    let (plugins, llms, apps) = (export.plugins.len(), export.llms.len(), export.apps.len());
    let seen = format!("{plugins} plugins, {llms} LLMs, {apps} Apps; judged: {}", judged.join(", "));
    match export.strange {
        0 if plugins + llms + apps > 0 => (Verdict::Good, seen, String::new()),
        0 => (Verdict::Warning, seen, "nothing that is known is in it: docs/HOSTS.md says what to export".to_owned()),
        strange => {
            let remedy = "docs/HOSTS.md says what to export, and in which form".to_owned();
            (Verdict::Warning, format!("{seen}; {strange} objects are none of these"), remedy)
        }
    }
}

#[cfg(test)]
#[path = "host/host_tests.rs"]
mod tests;

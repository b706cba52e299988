//! What the operator gave, as the hazards ask for it.

use super::Given;
use super::export::{Export, Kind, Llm, Plugin};

/// Things that are listed by name at most.
const LISTED: usize = 5;

/// What hazards are judged by.
pub(super) struct View<'a> {
    pub(super) given: &'a Given,
    pub(super) export: &'a Export,
}

/// The name of a thing, short and without what a terminal would obey.
pub(super) fn label(id: u32, name: Option<&String>) -> String {
    match name {
        None => id.to_string(),
        Some(name) => {
            let name: String = name.chars().filter(|c| !c.is_control()).take(40).collect();
            format!("{id} ({name})")
        }
    }
}

pub(super) fn listed(mut labels: Vec<String>) -> String {
    let more = labels.len().saturating_sub(LISTED);
    labels.truncate(LISTED);
    let text = labels.join(", ");
    if more == 0 { text } else { format!("{text} and {more} more") }
}

impl<'a> View<'a> {
    /// Whether all there are were given.
    pub(super) fn is_whole(&self, kind: Kind) -> bool {
        self.export.is_whole(kind, self.given.complete)
    }

    /// The rows that are this program, by name or command.
    pub(super) fn ours(&self) -> Vec<(u32, &'a Plugin)> {
        let means_us = |text: &Option<String>| {
            let text = text.as_deref().unwrap_or_default();
            text.split('?').next().unwrap_or_default().to_ascii_lowercase().contains("latchkey")
        };
        let all = self.export.plugins.iter().map(|(id, plugin)| (*id, plugin));
        all.filter(|(_, plugin)| means_us(&plugin.name) || means_us(&plugin.command)).collect()
    }

    /// LLMs that may be in use, each with how many active plugins of this hook it has, if that can be known.
    pub(super) fn with_hook(&self, hook: &str) -> Vec<(u32, &'a Llm, Vec<u32>, bool)> {
        let in_use = self.export.llms.iter().filter(|(_, llm)| llm.active != Some(false));
        in_use
            .map(|(id, llm)| {
                let linked = llm.plugins.iter().flatten();
                let known: Vec<(u32, Option<&Plugin>)> = linked.map(|id| (*id, self.export.plugins.get(id))).collect();
                let idle = |plugin: &Plugin| plugin.active == Some(false);
                let has = |plugin: &&Plugin| plugin.has(hook) == Some(true) && !idle(plugin);
                let sure = |plugin: Option<&Plugin>| plugin.is_some_and(|one| idle(one) || one.hooks.is_some());
                let complete = llm.plugins.is_some() && known.iter().all(|(_, plugin)| sure(*plugin));
                let having = known.iter().filter(|(_, plugin)| plugin.as_ref().is_some_and(has)).map(|(id, _)| *id);
                (*id, llm, having.collect(), complete)
            })
            .collect()
    }

    pub(super) fn plugins(&self, ids: &[u32]) -> String {
        let name = |id: &u32| self.export.plugins.get(id).and_then(|plugin| plugin.name.as_ref());
        listed(ids.iter().map(|id| label(*id, name(id))).collect())
    }

    /// LLMs with several plugins of a hook, and whether all LLMs are known.
    pub(super) fn crowded(&self, hook: &str) -> (Vec<String>, bool) {
        let all = self.with_hook(hook);
        let complete = !all.is_empty() && all.iter().all(|one| one.3) && self.is_whole(Kind::Llm);
        let crowded = all.iter().filter(|one| one.2.len() > 1);
        let text = |(id, llm, plugins, _): &(u32, &Llm, Vec<u32>, bool)| {
            format!("LLM {}: plugins {}", label(*id, llm.name.as_ref()), self.plugins(plugins))
        };
        (crowded.map(text).collect(), complete)
    }
}

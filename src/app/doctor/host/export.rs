//! What a host's REST API told its operator of plugins, LLMs and Apps, in whatever wrapping: a list, one object,
//! `{"data": …}`, `{"plugins": …, "llms": …, "apps": …}`, with or without `attributes`.

use std::collections::{BTreeMap, BTreeSet};

use super::node::{Members, Node};

/// What can be told apart.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub(super) enum Kind {
    Plugin,
    Llm,
    App,
    Credential,
}

impl Kind {
    const ALL: [(Self, &'static str); 4] =
        [(Self::Plugin, "plugins"), (Self::Llm, "llms"), (Self::App, "apps"), (Self::Credential, "credentials")];

    fn named(name: &str) -> Option<Self> {
        let name = name.to_ascii_lowercase();
        Self::ALL
            .into_iter()
            .find(|(_, many)| *many == name || many.trim_end_matches('s') == name)
            .map(|(kind, _)| kind)
    }

    /// By what only one of them has.
    fn guessed(members: &Members) -> Option<Self> {
        let has = |names: &[&str]| names.iter().any(|name| members.contains_key(name));
        match () {
            () if has(&["command", "hook_type", "hook_types", "service_scopes"]) => Some(Self::Plugin),
            () if has(&["vendor", "plugins", "plugin_ids"]) => Some(Self::Llm),
            () if has(&["credential", "credential_id", "credential_active", "credentials", "llm_ids"]) => {
                Some(Self::App)
            }
            () => None,
        }
    }
}

/// A plugin as its host has it; absent is what the host did not say.
#[derive(Clone, Default, Debug)]
pub(super) struct Plugin {
    pub(super) name: Option<String>,
    pub(super) command: Option<String>,
    pub(super) hooks: Option<BTreeSet<String>>,
    pub(super) active: Option<bool>,
    pub(super) scopes: Option<BTreeSet<String>>,
    pub(super) approved: Option<bool>,
}

impl Plugin {
    /// Whether it has a hook; unknown if nobody said which it has.
    pub(super) fn has(&self, hook: &str) -> Option<bool> {
        self.hooks.as_ref().map(|hooks| hooks.contains(hook))
    }
}

/// An LLM.
#[derive(Clone, Default, Debug)]
pub(super) struct Llm {
    pub(super) name: Option<String>,
    pub(super) slug: Option<String>,
    pub(super) active: Option<bool>,
    /// All plugins that are linked to it, if the host told.
    pub(super) plugins: Option<BTreeSet<u32>>,
}

/// The host's own secret of an App.
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug)]
pub(super) enum BuiltIn {
    /// Nobody said.
    #[default]
    Unknown,
    /// There is none, or it is not active.
    Closed,
    /// It lets in whoever has it.
    Active,
}

/// An App.
#[derive(Clone, Default, Debug)]
pub(super) struct App {
    pub(super) name: Option<String>,
    built_in: BuiltIn,
    credential: Option<u32>,
}

/// How many there are according to the host, and on how many pages, where it says so.
#[derive(Clone, Copy, Default, Debug)]
struct Total {
    count: Option<u64>,
    pages: Option<u64>,
}

impl Total {
    /// The largest that was said.
    fn and(self, other: Self) -> Self {
        Self { count: self.count.max(other.count), pages: self.pages.max(other.pages) }
    }
}

/// All that was read.
#[derive(Default, Debug)]
pub(super) struct Export {
    pub(super) plugins: BTreeMap<u32, Plugin>,
    pub(super) llms: BTreeMap<u32, Llm>,
    pub(super) apps: BTreeMap<u32, App>,
    credentials: BTreeMap<u32, bool>,
    /// Ids that no host can have meant: as they were written.
    pub(super) odd_apps: BTreeSet<String>,
    /// Objects of which nobody can tell what they are.
    pub(super) strange: usize,
    totals: BTreeMap<Kind, Total>,
    documents: BTreeMap<Kind, u64>,
}

impl Export {
    /// Adds a document, or several one after the other, each with the header of its HTTP answer or without.
    pub(super) fn read(&mut self, text: &[u8]) -> Result<(), serde_json::Error> {
        let mut rest = text.trim_ascii_start();
        while !rest.is_empty() {
            let (header, body) = header(rest);
            let mut documents = serde_json::Deserializer::from_slice(body).into_iter();
            if let Some(node) = documents.next().transpose()?
                && let Some(kind) = self.walk(&node, None)
            {
                *self.documents.entry(kind).or_default() += 1;
                let total = self.totals.entry(kind).or_default();
                *total = total.and(header);
            }
            rest = body.get(documents.byte_offset()..).unwrap_or_default().trim_ascii_start();
        }
        Ok(())
    }

    /// Whether all there are were given: the host said how many, or the operator says that these are all.
    pub(super) fn is_whole(&self, kind: Kind, assured: bool) -> bool {
        let have = match kind {
            Kind::Plugin => self.plugins.len(),
            Kind::Llm => self.llms.len(),
            Kind::App => self.apps.len() + self.odd_apps.len(),
            Kind::Credential => self.credentials.len(),
        };
        match self.totals.get(&kind).copied().unwrap_or_default() {
            Total { count: Some(count), .. } => have as u64 >= count,
            Total { pages: Some(pages), .. } => self.documents.get(&kind).is_some_and(|seen| *seen >= pages),
            // Of a list that was forgotten nobody says that it is whole.
            Total { count: None, pages: None } => assured && have > 0,
        }
    }

    /// Whether an App can be used with a secret of the host's own.
    pub(super) fn built_in(&self, app: &App) -> BuiltIn {
        match (app.built_in, app.credential.and_then(|id| self.credentials.get(&id))) {
            (BuiltIn::Unknown, Some(true)) => BuiltIn::Active,
            (BuiltIn::Unknown, Some(false)) => BuiltIn::Closed,
            (known, _) => known,
        }
    }

    /// Returns what it is a list of, where it is one.
    fn walk(&mut self, node: &Node, hint: Option<Kind>) -> Option<Kind> {
        match node {
            Node::List(list) => list.iter().filter_map(|item| self.walk(item, hint)).last(),
            Node::Members(members) => self.object(members, hint),
            _ => None,
        }
    }

    fn object(&mut self, members: &Members, hint: Option<Kind>) -> Option<Kind> {
        if members.contains_key("id") {
            return self.entity(members, hint);
        }
        let mut found = None;
        for (name, node) in members {
            let below = if *name == "data" { hint } else { Kind::named(name).filter(|_| is_many(node)) };
            if *name == "data" || below.is_some() {
                found = self.walk(node, below).or(found);
            }
        }
        let about = ["meta", "pagination"].iter().find_map(|name| members.get(name)?.members()).unwrap_or(members);
        let number = |names: &[&str]| names.iter().find_map(|name| about.get(name)?.number());
        if let Some(kind) = found {
            let said = Total { count: number(&["total_count", "total"]), pages: number(&["total_pages"]) };
            let total = self.totals.entry(kind).or_default();
            *total = total.and(said);
        } else if !members.keys().any(|name| *name == "data" || Kind::named(name).is_some()) {
            self.strange += 1;
        }
        found
    }

    fn entity(&mut self, outer: &Members, hint: Option<Kind>) -> Option<Kind> {
        // What is nearer to the object counts more: its own members, its attributes, what it is related to.
        let mut members = Members::new();
        for part in ["relationships", "attributes"] {
            members.extend(outer.get(part).and_then(Node::members).cloned().unwrap_or_default());
        }
        let typed = outer.get("type").and_then(Node::text).and_then(Kind::named);
        members.extend(outer.iter().map(|(name, node)| (*name, node.clone())));
        let Some(kind) = typed.or(hint).or_else(|| Kind::guessed(&members)) else {
            self.strange += 1;
            return None;
        };
        let Some(id) = members.get("id").and_then(id) else {
            match kind {
                Kind::App => drop(self.odd_apps.insert(written(members.get("id")))),
                _ => self.strange += 1,
            }
            return Some(kind);
        };
        match kind {
            Kind::Plugin => self.plugin(id, &members),
            Kind::Llm => self.llm(id, &members),
            Kind::App => self.app(id, &members),
            Kind::Credential => {
                if let Some(active) = active(&members) {
                    self.credentials.insert(id, active);
                }
            }
        }
        Some(kind)
    }

    fn plugin(&mut self, id: u32, members: &Members) {
        let words = |name: &str| -> Option<BTreeSet<String>> {
            let list = members.get(name)?.list()?;
            Some(list.iter().filter_map(Node::text).map(str::to_owned).collect())
        };
        let one = members.get("hook_type").and_then(Node::text).filter(|hook| !hook.is_empty() && *hook != "pending");
        let hooks = match (words("hook_types"), one) {
            (None, None) => None,
            (many, one) => Some(many.into_iter().flatten().chain(one.map(str::to_owned)).collect()),
        };
        let plugin = self.plugins.entry(id).or_default();
        keep(&mut plugin.name, text(members, "name"));
        keep(&mut plugin.command, text(members, "command"));
        keep(&mut plugin.hooks, hooks);
        keep(&mut plugin.active, active(members));
        keep(&mut plugin.scopes, words("service_scopes"));
        keep(&mut plugin.approved, members.get("service_access_authorized").and_then(Node::flag));
    }

    fn llm(&mut self, id: u32, members: &Members) {
        let linked = ["plugins", "plugin_ids"].iter().find_map(|name| linked(members.get(name)?));
        if let Some(node) = members.get("plugins") {
            // Bare references, which say nothing of the plugin, must not make it a known one.
            for plugin in listed(node).into_iter().flatten().filter(|node| is_described(node)) {
                self.walk(plugin, Some(Kind::Plugin));
            }
        }
        let llm = self.llms.entry(id).or_default();
        keep(&mut llm.name, text(members, "name"));
        keep(&mut llm.slug, text(members, "slug"));
        keep(&mut llm.active, active(members));
        keep(&mut llm.plugins, linked);
    }

    fn app(&mut self, id: u32, members: &Members) {
        let single = members.get("credential").and_then(Node::members).and_then(active);
        let several = members.get("credentials").and_then(listed).and_then(|list| {
            let all: Option<Vec<bool>> = list.iter().map(|node| active(node.members()?)).collect();
            all.map(|all| all.contains(&true))
        });
        let flag = members.get("credential_active").and_then(Node::flag);
        let reference = members.get("credential_id").and_then(Node::number);
        let built_in = match (single.or(several).or(flag), reference) {
            (Some(true), _) => BuiltIn::Active,
            (Some(false), _) | (None, Some(0)) => BuiltIn::Closed,
            (None, _) => BuiltIn::Unknown,
        };
        let app = self.apps.entry(id).or_default();
        keep(&mut app.name, text(members, "name"));
        keep(&mut app.credential, reference.and_then(|id| u32::try_from(id).ok()).filter(|id| *id != 0));
        if built_in != BuiltIn::Unknown {
            app.built_in = built_in;
        }
    }
}

/// What the header of an HTTP answer says of how many there are (Studio says it nowhere else), and what follows it.
fn header(text: &[u8]) -> (Total, &[u8]) {
    let mut total = Total::default();
    if !text.starts_with(b"HTTP/") {
        return (total, text);
    }
    let mut rest = text;
    while let Some(end) = rest.iter().position(|byte| *byte == b'\n') {
        let (line, after) = rest.split_at(end + 1);
        rest = after;
        let line = String::from_utf8_lossy(line.trim_ascii());
        match line.split_once(':').map(|(name, value)| (name.to_ascii_lowercase(), value.trim().parse().ok())) {
            Some((name, value)) if name == "x-total-count" => total.count = value,
            Some((name, value)) if name == "x-total-pages" => total.pages = value,
            _ if line.is_empty() => break,
            _ => {}
        }
    }
    (total, rest)
}

/// What is said later counts, what is not said changes nothing.
fn keep<T>(place: &mut Option<T>, said: Option<T>) {
    if said.is_some() {
        *place = said;
    }
}

fn is_many(node: &Node) -> bool {
    matches!(node, Node::List(_) | Node::Members(_))
}

/// A list, also one in `{"data": …}`.
fn listed(node: &Node) -> Option<&[Node]> {
    node.list().or_else(|| node.members()?.get("data")?.list())
}

fn is_described(node: &Node) -> bool {
    let known = |members: &Members| Kind::guessed(members) == Some(Kind::Plugin);
    node.members()
        .is_some_and(|members| known(members) || members.get("attributes").and_then(Node::members).is_some_and(known))
}

/// The ids of a list of ids or of objects; nothing where one of them has none.
fn linked(node: &Node) -> Option<BTreeSet<u32>> {
    listed(node)?.iter().map(|node| id(node.members().and_then(|members| members.get("id")).unwrap_or(node))).collect()
}

fn id(node: &Node) -> Option<u32> {
    node.number().and_then(|number| u32::try_from(number).ok()).filter(|id| *id != 0)
}

fn written(node: Option<&Node>) -> String {
    match node {
        Some(Node::Text(text)) => text.clone(),
        Some(Node::Number(number)) => number.to_string(),
        _ => "nothing".to_owned(),
    }
}

fn text(members: &Members, name: &str) -> Option<String> {
    members.get(name).and_then(Node::text).map(str::to_owned)
}

fn active(members: &Members) -> Option<bool> {
    ["is_active", "active"].iter().find_map(|name| members.get(name)?.flag())
}

#[cfg(test)]
#[path = "export_tests.rs"]
mod tests;

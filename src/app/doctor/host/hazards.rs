//! What a host does that no plugin can guard against (SECURITY.md, the host), judged by what the operator gave. What was not
//! given is unknown, never good.

use super::HostKind;
use super::command::{self, Judge, Said};
use super::export::{App, BuiltIn, Kind, Plugin};
use super::view::{View, label, listed};
use crate::app::doctor::Verdict;

/// The scope of the Service API that Apps are asked for with.
const SCOPE: &str = "apps.read";
/// A hazard and how it is judged.
pub(super) struct Hazard {
    /// Its stable name.
    pub(super) check: &'static str,
    /// Whether it is one of Studio's alone.
    pub(super) of_studio: bool,
    pub(super) judge: fn(&View<'_>) -> Vec<Said>,
}

const fn hazard(check: &'static str, of_studio: bool, judge: fn(&View<'_>) -> Vec<Said>) -> Hazard {
    Hazard { check, of_studio, judge }
}

/// All of them, in the order of the report.
pub(super) const HAZARDS: &[Hazard] = &[
    hazard("host.plugin", false, plugin),
    hazard("host.built_in_secrets", false, built_in_secrets),
    hazard("host.two_auth_plugins", false, two_auth_plugins),
    hazard("host.pre_auth_chain", false, pre_auth_chain),
    hazard("host.several_llms", true, several_llms),
    hazard("host.app_one", false, app_one),
    hazard("host.open_route", false, open_route),
    hazard("host.scopes", true, scopes),
    hazard("host.command_studio", true, |view| commands(view, Judge::Studio)),
    hazard("host.command_gateway", false, |view| commands(view, Judge::Gateway)),
    hazard("host.command_file", false, command_files),
    hazard("host.studio_start", true, studio_start),
    hazard("host.embedded_gateway", true, embedded_gateway),
    hazard("host.pushed", true, pushed),
    hazard("host.directory_source", false, directory_source),
];

fn said(verdict: Verdict, seen: impl Into<String>, remedy: impl Into<String>) -> Vec<Said> {
    vec![(verdict, seen.into(), remedy.into())]
}

const LINKS: &str = "give all LLMs, their plugins, and how many LLMs there are (docs/HOSTS.md, or --host-complete)";

fn plugin(view: &View<'_>) -> Vec<Said> {
    let ours = view.ours();
    if ours.is_empty() {
        let how = "give the plugins (GET /api/v1/plugins); one whose name or command has `latchkey` in it is taken for this one";
        return said(Verdict::Unknown, "no plugin was given that looks like this one", how);
    }
    ours.into_iter()
        .map(|(id, plugin)| {
            let name = label(id, plugin.name.as_ref());
            match (plugin.active, plugin.has("auth")) {
                (Some(false), _) => (
                    Verdict::Problem,
                    format!("plugin {name} is inactive: its LLMs take the host's own App secrets"),
                    "activate it, or unlink it and mean it".to_owned(),
                ),
                (_, Some(false)) => (
                    Verdict::Problem,
                    format!(
                        "plugin {name} has no hook `auth`: nobody asks it, and the host's own App secrets are taken"
                    ),
                    "register it with the hooks of its manifest: validate-and-load, hook_types_customized false"
                        .to_owned(),
                ),
                (Some(true), Some(true)) if plugin.has("pre_auth") == Some(false) => (
                    Verdict::Warning,
                    format!(
                        "plugin {name} has no hook `pre_auth`: a refused Bearer client sees 500 in the place of 401"
                    ),
                    "register it with both, where the host takes more than one hook".to_owned(),
                ),
                (Some(true), Some(true)) => {
                    (Verdict::Good, format!("plugin {name} is active, with hook auth"), String::new())
                }
                _ => (
                    Verdict::Unknown,
                    format!("plugin {name}: the export does not say whether it is active or has hook auth"),
                    "GET /api/v1/plugins/ID".to_owned(),
                ),
            }
        })
        .collect()
}

fn built_in_secrets(view: &View<'_>) -> Vec<Said> {
    let export = view.export;
    let of = |wanted: BuiltIn| -> Vec<String> {
        let all = export.apps.iter().filter(|(_, app)| export.built_in(app) == wanted);
        all.map(|(id, app): (&u32, &App)| label(*id, app.name.as_ref())).collect()
    };
    let (active, unknown) = (of(BuiltIn::Active), of(BuiltIn::Unknown));
    if !active.is_empty() {
        let bare =
            view.with_hook("auth").into_iter().filter(|(_, _, plugins, complete)| *complete && plugins.is_empty());
        let bare: Vec<String> = bare.map(|(id, llm, ..)| label(id, llm.name.as_ref())).collect();
        let remedy = "deactivate them (POST /api/v1/apps/ID/deactivate-credential), then push; keep one only where /tools or /datasource need it";
        let apps = listed(active);
        return if bare.is_empty() {
            let seen = format!(
                "Apps {apps} have active secrets of the host's own, which are taken wherever no auth plugin is asked: while it \
                 cannot start, on /tools and /datasource, on Studio's own gateway"
            );
            said(Verdict::Warning, seen, remedy)
        } else {
            let seen = format!(
                "Apps {apps} have active secrets of the host's own, and LLMs {} have no auth plugin: there they are taken",
                listed(bare)
            );
            said(Verdict::Problem, seen, format!("link the plugin to these LLMs, or {remedy}"))
        };
    }
    let how = "give all Apps, their credentials, and how many Apps there are (docs/HOSTS.md, or --host-complete)";
    if !unknown.is_empty() {
        let seen = format!("whether Apps {} have active secrets of the host's own", listed(unknown));
        return said(Verdict::Unknown, seen, how);
    }
    if !view.is_whole(Kind::App) {
        let seen = format!(
            "none of the {} Apps given has an active secret of the host's own; whether these are all, nobody said",
            export.apps.len()
        );
        return said(Verdict::Unknown, seen, how);
    }
    said(Verdict::Good, format!("none of the {} Apps has an active secret of the host's own", export.apps.len()), "")
}

fn two_auth_plugins(view: &View<'_>) -> Vec<Said> {
    match view.crowded("auth") {
        (crowded, _) if !crowded.is_empty() => said(
            Verdict::Problem,
            format!("several auth plugins on one LLM, where every request fails: {}", listed(crowded)),
            "leave one auth plugin on each LLM, then push the configuration",
        ),
        (_, true) => said(Verdict::Good, "no LLM has two auth plugins", ""),
        _ => said(Verdict::Unknown, "whether an LLM has two auth plugins, where every request fails", LINKS),
    }
}

fn pre_auth_chain(view: &View<'_>) -> Vec<Said> {
    match view.crowded("pre_auth") {
        (crowded, _) if !crowded.is_empty() => said(
            Verdict::Warning,
            format!(
                "several pre_auth plugins on one LLM: after one that modifies the request the next makes it a 500. {}",
                listed(crowded)
            ),
            "this one never modifies: take the hook from the others, or order them so that only the last modifies; edges keep no order",
        ),
        (_, true) => said(Verdict::Good, "no LLM has two pre_auth plugins", ""),
        _ => said(Verdict::Unknown, "whether a pre_auth plugin that modifies requests runs before another", LINKS),
    }
}

fn several_llms(view: &View<'_>) -> Vec<Said> {
    let llms = &view.export.llms;
    let mut linked: std::collections::BTreeMap<u32, Vec<u32>> = std::collections::BTreeMap::new();
    for (llm, plugin) in
        llms.iter().flat_map(|(id, llm)| llm.plugins.iter().flatten().map(move |plugin| (*id, *plugin)))
    {
        linked.entry(plugin).or_default().push(llm);
    }
    linked.retain(|_, llms| llms.len() > 1);
    let complete = !llms.is_empty() && llms.values().all(|llm| llm.plugins.is_some()) && view.is_whole(Kind::Llm);
    if !linked.is_empty() {
        let plugins: Vec<u32> = linked.keys().copied().collect();
        return said(
            Verdict::Warning,
            format!(
                "on several LLMs: plugins {}. An edge may roll its whole sync back over that",
                view.plugins(&plugins)
            ),
            "link it to one LLM, or register it once for each, until a push was seen to reach an edge of your version",
        );
    }
    if complete {
        said(Verdict::Good, "no plugin is linked to two LLMs", "")
    } else {
        said(Verdict::Unknown, "whether a plugin is linked to two LLMs, which may stop the sync of edges", LINKS)
    }
}

fn app_one(view: &View<'_>) -> Vec<Said> {
    let (export, mut found) = (view.export, Vec::new());
    if !export.odd_apps.is_empty() {
        let ids = export.odd_apps.iter().map(|id| id.chars().filter(|c| !c.is_control()).take(20).collect());
        let seen = format!("App ids that are no numbers from 1 to 4294967295: {}", listed(ids.collect()));
        found.extend(said(Verdict::Problem, seen, "no key can be issued for them; look at how the export was made"));
    }
    found.extend(if let Some(app) = export.apps.get(&1) {
        let seen = format!(
            "App {} is what the host takes for any answer of an auth plugin that names no App. This plugin always names one; others may not",
            label(1, app.name.as_ref())
        );
        said(Verdict::Warning, seen, "keep App 1 without LLMs, budget and members, or inactive, and claim it for no tenant")
    } else if !view.is_whole(Kind::App) {
        let seen = "whether there is an App 1, which the host takes for any answer that names no App. This plugin always names one";
        said(Verdict::Unknown, seen, "give all Apps, and how many there are (docs/HOSTS.md, or --host-complete); keep App 1 without LLMs and budget")
    } else {
        said(Verdict::Good, "no App has the id 1, which the host takes for an answer that names none", "")
    });
    found
}

fn open_route(view: &View<'_>) -> Vec<Said> {
    let slugs = view.export.llms.values().filter_map(|llm| llm.slug.as_ref());
    let slugs: Vec<String> = slugs.map(|slug| slug.chars().filter(|c| !c.is_control()).take(40).collect()).collect();
    let on = if slugs.is_empty() { String::new() } else { format!(" (slugs: {})", listed(slugs)) };
    said(
        Verdict::Unknown,
        format!(
            "whether POST /ai/SLUG/v1/completions is blocked before the gateway, which serves it without any authentication{on}"
        ),
        "block it at the ingress; `curl -s -o /dev/null -w '%{http_code}' -X POST -d '{}' https://GATEWAY/ai/SLUG/v1/completions` must \
         answer what the ingress answers",
    )
}

fn scopes(view: &View<'_>) -> Vec<Said> {
    if !view.given.asks_host {
        return said(Verdict::Good, "directory.source is `store`: the host is asked nothing, no scope is needed", "");
    }
    let how = "GET /api/v1/plugins/ID tells service_scopes and service_access_authorized; approve: POST \
               /api/v1/plugins/ID/approve-scopes {\"approved\":true}";
    let one = |(id, plugin): (u32, &Plugin)| {
        let name = label(id, plugin.name.as_ref());
        match (plugin.scopes.as_ref().map(|scopes| scopes.contains(SCOPE)), plugin.approved) {
            (Some(false), _) => (
                Verdict::Problem,
                format!(
                    "plugin {name} lacks the scope {SCOPE}: edges refuse what is asked of Apps, and every request is refused"
                ),
                "POST /api/v1/plugins/ID/validate-and-load takes the scopes from the manifest; approve them, push"
                    .to_owned(),
            ),
            (Some(true), Some(false)) => {
                (Verdict::Warning, format!("the scopes of plugin {name} are not approved"), how.to_owned())
            }
            (Some(true), Some(true)) => {
                (Verdict::Good, format!("plugin {name} has {SCOPE}, and it is approved"), String::new())
            }
            _ => {
                (Verdict::Unknown, format!("whether plugin {name} has the scope {SCOPE}, and approval"), how.to_owned())
            }
        }
    };
    let found: Vec<Said> = view.ours().into_iter().map(one).collect();
    if found.is_empty() {
        said(Verdict::Unknown, format!("whether the plugin has the scope {SCOPE}, and approval"), how)
    } else {
        found
    }
}

fn commands(view: &View<'_>, judge: Judge) -> Vec<Said> {
    let exported = view.ours().into_iter().filter_map(|(_, plugin)| plugin.command.as_ref());
    let mut all: Vec<&String> = view.given.commands.iter().chain(exported).collect();
    all.sort_unstable();
    all.dedup();
    if all.is_empty() {
        return said(Verdict::Unknown, "no command was given", "--plugin-command COMMAND, as it is registered");
    }
    all.into_iter().map(|command| command::rules(judge, command)).collect()
}

fn command_files(view: &View<'_>) -> Vec<Said> {
    if view.given.commands.is_empty() {
        let how = "--plugin-command COMMAND, on each machine that runs it, in the directory that the host runs in";
        return said(Verdict::Unknown, "no file was looked at", how);
    }
    view.given.commands.iter().map(|command| command::file(command)).collect()
}

fn studio_start(view: &View<'_>) -> Vec<Said> {
    let unknown = "whether Studio starts the plugin, which it does for hooks studio_ui, agent and object_hooks alone";
    let one = |(id, plugin): (u32, &Plugin)| {
        let name = label(id, plugin.name.as_ref());
        match &plugin.hooks {
            None => (Verdict::Unknown, unknown.to_owned(), "GET /api/v1/plugins/ID tells hook_types".to_owned()),
            Some(hooks)
                if hooks.is_empty()
                    || ["studio_ui", "agent", "object_hooks"].iter().any(|hook| hooks.contains(*hook)) =>
            {
                (Verdict::Good, format!("plugin {name} is started in Studio"), String::new())
            }
            Some(_) => (
                Verdict::Warning,
                format!("plugin {name} is never started in Studio: no page, no portal, nothing of Studio's is seen"),
                "take the hooks of the manifest, with studio_ui: validate-and-load, then reload".to_owned(),
            ),
        }
    };
    let found: Vec<Said> = view.ours().into_iter().map(one).collect();
    if found.is_empty() { said(Verdict::Unknown, unknown, "give the plugins (GET /api/v1/plugins)") } else { found }
}

fn embedded_gateway(_: &View<'_>) -> Vec<Said> {
    said(
        Verdict::Unknown,
        "whether clients reach the gateway inside Studio, which never asks an auth plugin",
        "let clients reach microgateways alone: block Studio's gateway port, and deactivate the host's own App secrets",
    )
}

fn pushed(_: &View<'_>) -> Vec<Said> {
    said(
        Verdict::Unknown,
        "whether edges have what Studio has: registering, linking, changing and approving reach them by a push alone",
        "POST /api/v1/edges/reload after each change, and see in the edge's log that its sync went through",
    )
}

fn directory_source(view: &View<'_>) -> Vec<Said> {
    let plugins = &view.export.plugins;
    let told = plugins.values().any(|plugin| plugin.scopes.is_some() || plugin.approved.is_some());
    let kind = view.given.kind.or(told.then_some(HostKind::Hub));
    let to_store = "set directory.source = \"store\" in the machine's configuration, and keep Apps with `latchkey app`";
    match (kind, view.given.asks_host) {
        (Some(HostKind::Hub), true) => said(Verdict::Good, "directory.source is `host`, and there is a Studio", ""),
        (Some(HostKind::Hub), false) => said(
            Verdict::Warning,
            "directory.source is `store`: what Studio says of Apps is not asked, only what `latchkey app` was told",
            "set directory.source = \"host\", or deactivate Apps here too",
        ),
        (Some(HostKind::Standalone), true) => said(
            Verdict::Problem,
            "directory.source is `host`, and a gateway without a Studio permits no such calls: every request is refused",
            to_store,
        ),
        (Some(HostKind::Standalone), false) => {
            said(Verdict::Good, "directory.source is `store`, as a gateway without a Studio needs it", "")
        }
        (None, true) if !plugins.is_empty() => said(
            Verdict::Warning,
            "directory.source is `host`, and no plugin given has service scopes: it looks like a gateway without a Studio, where every \
             request is refused",
            format!("say --host-kind; without a Studio {to_store}"),
        ),
        (None, asks) => said(
            Verdict::Unknown,
            format!("directory.source is `{}`; whether there is a Studio", if asks { "host" } else { "store" }),
            "say --host-kind hub or standalone",
        ),
    }
}

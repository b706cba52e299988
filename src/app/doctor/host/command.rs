//! What a plugin's command may be, by the rules of Studio and of the microgateway (host contract 1.5 to 1.7), and the file
//! behind it.

use std::os::unix::fs::PermissionsExt as _;
use std::path::{Component, Path};

use crate::app::doctor::Verdict;

/// Where both hosts find a plugin.
pub(super) const DIRECTORY: &str = "/opt/microgateway/plugins";

/// How it is: a verdict, what is seen, what to do.
pub(super) type Said = (Verdict, String, String);

/// Which host judges.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Judge {
    Studio,
    Gateway,
}

impl Judge {
    fn name(self) -> &'static str {
        match self {
            Self::Studio => "Studio",
            Self::Gateway => "the microgateway",
        }
    }
}

/// How a command is started.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Scheme<'a> {
    Path { path: &'a str, file_scheme: bool },
    Oci(&'a str),
    Grpc(&'a str),
    Other(&'a str),
}

fn scheme(command: &str) -> Scheme<'_> {
    match command.split_once("://") {
        None => Scheme::Path { path: command, file_scheme: false },
        Some(("file", path)) => Scheme::Path { path, file_scheme: true },
        Some(("oci", reference)) => Scheme::Oci(reference),
        Some(("grpc", address)) => Scheme::Grpc(address),
        Some((other, _)) => Scheme::Other(other),
    }
}

/// A command without what may be a secret in it: what stands before `@` in an address, and all parameters.
pub(super) fn shown(command: &str) -> String {
    let (start, hidden) = match command.split_once('?') {
        Some((start, _)) => (start, "?…"),
        None => (command, ""),
    };
    let start = match start.split_once("://") {
        Some((scheme, rest)) => {
            let (address, path) = rest.split_at(rest.find('/').unwrap_or(rest.len()));
            let address = address.rsplit_once('@').map_or(address, |(_, host)| host);
            format!("{scheme}://{address}{path}")
        }
        None => start.to_owned(),
    };
    let mut text: String = start.chars().take(200).map(|c| if c.is_control() { '\u{fffd}' } else { c }).collect();
    if start.chars().count() > 200 {
        text.push('…');
    }
    text + hidden
}

/// Judges a command by a host's rules. The file behind it is another matter: [`file`].
pub(super) fn rules(judge: Judge, command: &str) -> Said {
    let refusal = api(command).or_else(|| match judge {
        Judge::Studio => studio(command),
        Judge::Gateway => gateway(command),
    });
    let (name, shown) = (judge.name(), shown(command));
    match refusal {
        Some((why, remedy)) => (Verdict::Problem, format!("{name} refuses {shown}: {why}"), remedy),
        None => match scheme(command) {
            Scheme::Grpc(address) if !is_loopback(address) => (
                Verdict::Warning,
                format!("{shown} crosses a network in plaintext, and whoever reaches it is served"),
                "use a private network or a tunnel; the host's Service API does not work across machines".to_owned(),
            ),
            Scheme::Oci(reference) if !reference.contains("@sha256:") => (
                Verdict::Warning,
                format!("{name} takes {shown}, and whoever may push its tag decides what runs"),
                "name it by its digest, oci://REGISTRY/NAME@sha256:…".to_owned(),
            ),
            _ => (Verdict::Good, format!("{name} takes {shown}"), String::new()),
        },
    }
}

type Refusal = Option<(String, String)>;

#[expect(clippy::unnecessary_wraps, reason = "each rule ends with it")]
fn refused(why: impl Into<String>, remedy: impl Into<String>) -> Refusal {
    Some((why.into(), remedy.into()))
}

/// What the REST API of both refuses when a plugin is registered.
fn api(command: &str) -> Refusal {
    const FORBIDDEN: &[&str] = &[";", "|", "&", "`", "$(", "\n", "\r", "\0"];
    let elsewhere = || format!("use a bare path below {DIRECTORY}, plugins/NAME, or oci://");
    if command.is_empty() {
        return refused("it is empty", elsewhere());
    }
    if command.chars().count() > 500 {
        return refused("it is longer than 500 characters, which is what the database holds", "shorten it");
    }
    if command.contains("../") || command.contains("..\\") {
        return refused("it climbs to a parent directory", "write the path without ..");
    }
    if let Some(found) = FORBIDDEN.iter().find(|text| command.contains(**text)) {
        let remedy = match scheme(command) {
            Scheme::Oci(_) => "keep to one parameter",
            _ => "a command is a path alone: arguments and shell syntax are not possible",
        };
        return refused(format!("it contains {}", found.escape_default()), remedy);
    }
    match scheme(command) {
        Scheme::Path { path, file_scheme: true } => {
            let allowed = ["/usr/bin/", "/bin/", "/usr/local/bin/", "/opt/plugins/", "plugins/"];
            if allowed.iter().any(|start| path.starts_with(start)) {
                return None;
            }
            refused("file:// is for a few directories alone, and this is none of them", "leave file:// out")
        }
        Scheme::Grpc(address) if !has_port(address) => {
            refused("it names no host and port", "write grpc://HOST:PORT, where `latchkey serve` listens")
        }
        Scheme::Oci("") => refused("it names no artifact", "write oci://REGISTRY/NAME@sha256:…"),
        Scheme::Other(other) => refused(format!("{other}:// is nothing that it can start"), elsewhere()),
        _ => None,
    }
}

/// What Studio cannot start although its API takes it.
fn studio(command: &str) -> Refusal {
    match scheme(command) {
        Scheme::Grpc(_) => refused(
            "its plugin manager does not attach to servers",
            format!(
                "a bare path below {DIRECTORY}, plugins/NAME or oci:// work in both hosts; grpc:// is for a gateway \
                     without a Studio"
            ),
        ),
        _ => None,
    }
}

/// What the microgateway cannot start although an API took it.
fn gateway(command: &str) -> Refusal {
    const FORBIDDEN: &str = ";&|$(){}[]<>?*!~`\\";
    let Scheme::Path { path, .. } = scheme(command) else { return None };
    if let Some(found) = path.chars().find(|c| FORBIDDEN.contains(*c)) {
        return refused(format!("it contains {found}"), "rename the file");
    }
    let below = |dir: &str| Path::new(path).strip_prefix(dir).is_ok_and(|rest| rest.components().next().is_some());
    let climbs = Path::new(path).components().any(|part| part == Component::ParentDir);
    // `Path` takes ./plugins and plugins for the same once the leading dot is gone.
    let relative = Path::new(path.trim_start_matches("./"));
    let in_plugins = relative.strip_prefix("plugins").is_ok_and(|rest| rest.components().next().is_some());
    if !climbs && (below(DIRECTORY) || in_plugins) {
        return None;
    }
    refused(
        format!("it lies neither below {DIRECTORY} nor below plugins/ of its working directory"),
        format!(
            "install it as {DIRECTORY}/latchkey, or set MICROGATEWAY_ALLOW_ALL_PLUGIN_PATHS=1 in the gateway's \
                 environment"
        ),
    )
}

/// Judges the file behind a command as this machine has it.
pub(super) fn file(command: &str) -> Said {
    let unknown = |seen: &str, how: &str| (Verdict::Unknown, seen.to_owned(), how.to_owned());
    let path = match scheme(command) {
        Scheme::Path { path, .. } => Path::new(path),
        Scheme::Oci(_) => {
            return unknown(
                "nothing was fetched",
                "the artifact's first layer must be the raw executable (docs/HOSTS.md); Studio needs AI_STUDIO_OCI_CACHE_DIR",
            );
        }
        Scheme::Grpc(_) => {
            return unknown(
                "nothing was asked",
                "`latchkey serve --listen` must be there before the gateway's first request",
            );
        }
        Scheme::Other(_) => return unknown("no file", "see the rules"),
    };
    let problem =
        |seen: String, remedy: &str| (Verdict::Problem, format!("{}: {seen}", path.display()), remedy.to_owned());
    let metadata = match path.symlink_metadata() {
        Ok(metadata) => metadata,
        Err(_) if path.is_relative() => {
            return unknown(
                "a relative path is looked up in the host's working directory, which is not this one",
                "run this in the directory that the host runs in, or give an absolute path",
            );
        }
        Err(error) => {
            return problem(format!("{error}"), "install it: a gateway that cannot start it lets its own secrets in");
        }
    };
    let mode = metadata.permissions().mode() & 0o777;
    if metadata.is_symlink() {
        return problem("a symlink, which the microgateway refuses".to_owned(), "install a copy in its place");
    }
    if !metadata.is_file() {
        return problem("not a file".to_owned(), "install the binary there");
    }
    if mode & 0o111 == 0 {
        return problem(format!("mode {mode:04o}, not executable"), "chmod 0755 it");
    }
    if mode & 0o022 != 0 {
        return problem(format!("mode {mode:04o}: others may replace what the host runs"), "chmod 0755 it");
    }
    (Verdict::Good, format!("{}: a file of mode {mode:04o}", path.display()), String::new())
}

fn has_port(address: &str) -> bool {
    address
        .rsplit_once(':')
        .is_some_and(|(host, port)| !host.is_empty() && port.parse::<u16>().is_ok_and(|port| port != 0))
}

fn is_loopback(address: &str) -> bool {
    let host = address.rsplit_once(':').map_or(address, |(host, _)| host);
    let host = host.trim_start_matches('[').trim_end_matches(']');
    host == "localhost" || host.parse::<std::net::IpAddr>().is_ok_and(|address| address.is_loopback())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn verdicts(command: &str) -> (Verdict, Verdict) {
        (rules(Judge::Studio, command).0, rules(Judge::Gateway, command).0)
    }

    #[test]
    fn commands_as_both_hosts_take_them() {
        use Verdict::{Good, Problem, Warning};
        let long = format!("{DIRECTORY}/{}", "x".repeat(475));
        for (command, expected) in [
            ("/opt/microgateway/plugins/latchkey", (Good, Good)),
            ("plugins/latchkey", (Good, Good)),
            ("./plugins/latchkey", (Good, Good)),
            ("file://plugins/latchkey", (Good, Good)),
            ("/usr/local/bin/latchkey", (Good, Problem)),
            ("file:///usr/local/bin/latchkey", (Good, Problem)),
            ("file:///opt/microgateway/plugins/latchkey", (Problem, Problem)),
            ("file:///plugins/latchkey", (Problem, Problem)),
            ("/opt/microgateway/plugins-of-others/latchkey", (Good, Problem)),
            ("/opt/microgateway/plugins", (Good, Problem)),
            ("/opt/microgateway/plugins/../latchkey", (Problem, Problem)),
            ("/opt/microgateway/plugins/..", (Good, Problem)),
            ("/opt/microgateway/plugins/latch(key)", (Good, Problem)),
            ("/opt/microgateway/plugins/latchkey; id", (Problem, Problem)),
            ("/opt/microgateway/plugins/$(id)", (Problem, Problem)),
            ("/opt/microgateway/plugins/a\nb", (Problem, Problem)),
            ("latchkey", (Good, Problem)),
            ("", (Problem, Problem)),
            (&long, (Problem, Problem)),
            ("grpc://127.0.0.1:7443", (Problem, Good)),
            ("grpc://[::1]:7443", (Problem, Good)),
            ("grpc://10.0.0.2:7443", (Problem, Warning)),
            ("grpc://latchkey", (Problem, Problem)),
            ("oci://registry.example/latchkey@sha256:00", (Good, Good)),
            ("oci://registry.example/latchkey:1", (Warning, Warning)),
            ("oci://registry.example/latchkey@sha256:00?arch=linux/amd64", (Good, Good)),
            ("oci://registry.example/latchkey@sha256:00?arch=linux/amd64&auth=x", (Problem, Problem)),
            ("https://registry.example/latchkey", (Problem, Problem)),
        ] {
            assert_eq!(verdicts(command), expected, "{command}");
            for judge in [Judge::Studio, Judge::Gateway] {
                let (verdict, _, remedy) = rules(judge, command);
                assert_eq!(verdict == Good, remedy.is_empty(), "{command}: what to do");
            }
        }
    }

    #[test]
    fn nothing_of_a_command_that_may_be_secret_is_shown() {
        assert_eq!(shown("oci://u:CANARY@registry/x@sha256:00?auth=CANARY"), "oci://registry/x@sha256:00?…");
        assert_eq!(shown("/opt/x\u{1b}[1m"), "/opt/x\u{fffd}[1m");
        assert!(shown(&"x".repeat(900)).chars().count() <= 201);
        for judge in [Judge::Studio, Judge::Gateway] {
            let (_, seen, remedy) = rules(judge, "oci://u:CANARY@registry/x?a=CANARY&auth=CANARY");
            assert!(!seen.contains("CANARY") && !remedy.contains("CANARY"), "{seen} {remedy}");
        }
    }

    #[test]
    fn the_file_is_a_file_that_can_be_run_and_only_its_owner_writes() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("latchkey");
        let said = || file(path.to_str().unwrap());
        assert!(said().0 == Verdict::Problem && said().1.contains("No such file"), "{:?}", said());
        std::fs::write(&path, "x").unwrap();
        let expect = |mode, verdict, word: &str| {
            std::fs::set_permissions(&path, std::fs::Permissions::from_mode(mode)).unwrap();
            assert!(said().0 == verdict && said().1.contains(word), "{mode:o}: {:?}", said());
        };
        expect(0o644, Verdict::Problem, "not executable");
        expect(0o777, Verdict::Problem, "others may replace");
        expect(0o755, Verdict::Good, "0755");
        let link = dir.path().join("link");
        std::os::unix::fs::symlink(&path, &link).unwrap();
        let (verdict, seen, _) = file(&format!("file://{}", link.display()));
        assert!(verdict == Verdict::Problem && seen.contains("symlink"), "{seen}");
        assert_eq!(file(dir.path().to_str().unwrap()).0, Verdict::Problem);
        for unknown in ["oci://r/x", "grpc://h:1", "plugins/there-is-none"] {
            assert_eq!(file(unknown).0, Verdict::Unknown, "{unknown}");
        }
    }
}

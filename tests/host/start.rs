//! From exec to the handshake line: who may start it, what it prints, what it reads (go-plugin-wire 1 to 3).

use std::io::{BufRead as _, BufReader};
use std::os::unix::fs::{FileTypeExt as _, PermissionsExt as _};
use std::os::unix::net::UnixStream;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use crate::support::proc::gone;
use crate::support::store::bare_command;
use crate::support::{APP, Setup, TestHost, TestStore, USER, run, sleep_ms, until};

/// The binary with a host's variables but without a host.
struct Bare {
    child: Child,
    out: BufReader<std::process::ChildStdout>,
}

impl Bare {
    fn start(change: impl FnOnce(&mut Command)) -> Self {
        let mut command = bare_command();
        command.env("AI_STUDIO_PLUGIN", "v1").env("PLUGIN_PROTOCOL_VERSIONS", "1");
        command.env("PLUGIN_MIN_PORT", "10000").env("PLUGIN_MAX_PORT", "25000");
        change(&mut command);
        let mut child = command.stdout(Stdio::piped()).stderr(Stdio::null()).spawn().unwrap();
        let out = BufReader::new(child.stdout.take().unwrap());
        Self { child, out }
    }

    fn line(&mut self) -> String {
        let mut line = String::new();
        self.out.read_line(&mut line).unwrap();
        line
    }

    fn fields(&mut self) -> Vec<String> {
        let line = self.line();
        let line = line.strip_suffix('\n').unwrap_or_else(|| panic!("no whole line: {line:?}"));
        line.split('|').map(str::to_owned).collect()
    }
}

impl Drop for Bare {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

#[test]
fn without_the_right_cookie_it_helps_on_stderr_and_exits_1() {
    run(20, async {
        for cookie in [None, Some(""), Some("v2"), Some("V1"), Some(" v1")] {
            let mut command = bare_command();
            cookie.map(|cookie| command.env("AI_STUDIO_PLUGIN", cookie));
            command.env("PLUGIN_PROTOCOL_VERSIONS", "1");
            let output = command.output().unwrap();
            assert_eq!(output.status.code(), Some(1), "{cookie:?}");
            assert!(output.stdout.is_empty(), "{cookie:?}: something on stdout");
            let help = String::from_utf8(output.stderr).unwrap();
            assert!(help.contains("latchkey") && help.to_lowercase().contains("gateway"), "{cookie:?}: {help:?}");
        }
    });
}

#[test]
fn the_line_is_exact_and_the_private_socket_listens_before_it() {
    run(20, async {
        for _ in 0..5 {
            let mut plugin = Bare::start(|_| {});
            let fields = plugin.fields();
            let socket = PathBuf::from(&fields[3]);
            UnixStream::connect(&socket).expect("listens before the line is printed");
            assert_eq!(fields[..3], ["1", "1", "unix"]);
            assert_eq!(fields[4..], ["grpc", ""], "no certificate and no mux field was asked for");
            let metadata = std::fs::symlink_metadata(&socket).unwrap();
            assert!(metadata.file_type().is_socket() && fields[3].len() < 104);
            let private = |path: &std::path::Path| std::fs::metadata(path).unwrap().permissions().mode() & 0o077 == 0;
            assert!(private(&socket) || private(socket.parent().unwrap()), "others can connect to {fields:?}");
        }
    });
}

#[test]
fn it_goes_where_the_host_says_and_speaks_version_1_whatever_is_offered() {
    run(20, async {
        let dir = tempfile::Builder::new().prefix("lks").tempdir().unwrap();
        for versions in ["7,x,1,3", "1,2", "2", "", "9999999999999999999999"] {
            let fields = Bare::start(|command| {
                command.env("PLUGIN_UNIX_SOCKET_DIR", dir.path()).env("PLUGIN_PROTOCOL_VERSIONS", versions);
            })
            .fields();
            assert_eq!(fields[1], "1", "{versions:?}");
            assert!(fields[3].starts_with(dir.path().to_str().unwrap()), "{fields:?}");
        }
        let fields = Bare::start(|command| {
            command.env_remove("PLUGIN_PROTOCOL_VERSIONS").env_remove("PLUGIN_MIN_PORT").env_remove("PLUGIN_MAX_PORT");
        })
        .fields();
        assert_eq!(fields[1], "1", "a host of old sends no list");
    });
}

#[test]
fn variables_that_an_outer_host_leaked_are_followed_and_a_broken_certificate_is_fatal() {
    run(20, async {
        let fields = Bare::start(|command| {
            command.env("PLUGIN_CLIENT_CERT", "").env("PLUGIN_MULTIPLEX_GRPC", "");
        })
        .fields();
        assert_eq!(fields[4..], ["grpc", ""], "empty is not set");
        let identity = latchkey::plugin_client::HostIdentity::generate().unwrap();
        let fields = Bare::start(|command| {
            command.env("PLUGIN_CLIENT_CERT", identity.pem()).env("PLUGIN_MULTIPLEX_GRPC", "false");
        })
        .fields();
        assert!(fields[5].len() > 50 && !fields[5].ends_with('='), "a certificate, unpadded: {:?}", fields[5]);
        assert!(["true", "false"].contains(&fields[6].as_str()), "{fields:?}");
        let mut plugin = Bare::start(|command| {
            command.env("PLUGIN_CLIENT_CERT", "not a certificate");
        });
        assert_eq!(plugin.line(), "", "no line with a certificate that cannot be read");
        assert_ne!(plugin.child.wait().unwrap().code(), Some(0));
    });
}

#[test]
fn a_socket_directory_that_is_none_is_said_and_fatal_or_replaced() {
    run(20, async {
        let long = std::env::temp_dir().join("d".repeat(120));
        for dir in [PathBuf::from("/nonexistent/latchkey"), long] {
            let mut plugin = Bare::start(|command| {
                command.env("PLUGIN_UNIX_SOCKET_DIR", &dir);
            });
            let line = plugin.line();
            if line.is_empty() {
                assert_ne!(plugin.child.wait().unwrap().code(), Some(0));
            } else {
                let socket = line.split('|').nth(3).unwrap();
                UnixStream::connect(socket).unwrap_or_else(|e| panic!("{socket}: {e}"));
            }
        }
    });
}

#[test]
fn a_closed_stdout_pipe_ends_it_and_it_unlinks_its_socket() {
    run(20, async {
        let mut plugin = Bare::start(|_| {});
        let socket = PathBuf::from(&plugin.fields()[3]);
        let pid = plugin.child.id();
        let Bare { child, out } = &mut plugin;
        *out = BufReader::new(Command::new("true").stdout(Stdio::piped()).spawn().unwrap().stdout.take().unwrap());
        until(Duration::from_secs(3), "the end after stdout was closed", || gone(pid)).await;
        assert_eq!(child.wait().unwrap().code(), Some(0));
        assert!(!socket.exists(), "the socket was left behind");
    });
}

#[test]
fn r17_variables_of_the_environment_that_are_traps_are_not_read() {
    run(30, async {
        let trap = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", trap.local_addr().unwrap());
        let touched = Arc::new(AtomicUsize::new(0));
        let counter = Arc::clone(&touched);
        tokio::spawn(async move {
            while trap.accept().await.is_ok() {
                counter.fetch_add(1, Ordering::Relaxed);
            }
        });
        let store = TestStore::new();
        let key = store.issue(APP, USER);
        let mut setup = Setup::on(&store).quiet();
        for name in ["HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "http_proxy", "OTEL_EXPORTER_OTLP_ENDPOINT"] {
            setup = setup.env(name, &url);
        }
        for (name, value) in [
            ("OTEL_TRACES_EXPORTER", "otlp"),
            ("RUST_LOG", "trace"),
            ("RUST_BACKTRACE", "full"),
            ("SSL_CERT_FILE", "/nonexistent/trap"),
            ("SQLITE_TMPDIR", "/nonexistent/trap"),
            ("CLICOLOR_FORCE", "1"),
        ] {
            setup = setup.env(name, value);
        }
        let host = TestHost::start(setup).await;
        for call in 0..20 {
            host.must_accept(&key, &format!("call {call}")).await;
        }
        sleep_ms(200).await;
        assert_eq!(touched.load(Ordering::Relaxed), 0, "connections to an address from the environment");
        let entries = host.plugin.logs().entries();
        assert!(entries.iter().all(|entry| entry.level != "trace"), "RUST_LOG switched tracing on");
        host.unload().await;
    });
}

//! TLS files that are replaced while we serve: what is there now is what the next connection sees. What does not serve
//! changes nothing, and is said once.

use std::os::unix::fs::MetadataExt as _;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use arc_swap::ArcSwap;

use crate::transport::go_plugin::listener::ServerTls;
use crate::transport::tls_files::{TlsFileError, TlsFiles};

/// How often the files are looked at. A change is taken in at the second look that finds it, so that files which are
/// replaced one after the other are mostly read together.
const LOOK: Duration = Duration::from_millis(500);

/// What tells a file from the one that was there before: device, inode, size, and when content or inode changed.
type Stamp = (u64, u64, u64, (i64, i64), (i64, i64));
/// Of each file that counts; none where it cannot be looked at.
type Stamps = [Option<Stamp>; 3];

/// The files of some listeners, as last taken in.
pub struct Served {
    files: TlsFiles,
    tls: ServerTls,
    /// What was there at the last look.
    seen: Stamps,
    /// What was last read, whether it serves or not.
    tried: Stamps,
}

impl Served {
    /// Reads the files.
    ///
    /// # Errors
    /// What is wrong with which file.
    pub fn load(files: TlsFiles) -> Result<Self, TlsFileError> {
        // Before the files are read: what is written meanwhile is a change.
        let stamps = stamps(&files);
        let tls = Arc::new(ArcSwap::new(files.load()?));
        Ok(Self { files, tls, seen: stamps, tried: stamps })
    }

    /// For listeners.
    pub fn tls(&self) -> ServerTls {
        Arc::clone(&self.tls)
    }

    /// Takes in what changed, once it was there at two looks.
    fn look(&mut self) {
        let now = stamps(&self.files);
        let settled = now == self.seen;
        self.seen = now;
        if !settled || now == self.tried {
            return;
        }
        self.tried = now;
        match self.files.load() {
            Ok(config) => {
                self.tls.store(config);
                tracing::info!(certificate = ?self.files.cert, "the TLS files were replaced; new connections see the new ones");
            }
            Err(error) => {
                let error: &dyn std::error::Error = &error;
                tracing::warn!(error, "the TLS files were replaced and do not serve; what was read before goes on");
            }
        }
    }
}

/// Looks at the files as long as the process lives.
///
/// # Errors
/// When the system gives no thread.
pub fn watch(mut all: Vec<Served>) -> std::io::Result<()> {
    // A thread of its own: files may be on a network that stands still.
    let look = move || {
        loop {
            std::thread::sleep(LOOK);
            all.iter_mut().for_each(Served::look);
        }
    };
    std::thread::Builder::new().name("tls-watch".to_owned()).spawn(look).map(drop)
}

fn stamps(files: &TlsFiles) -> Stamps {
    let stamp = |path: &Path| {
        let metadata = std::fs::metadata(path).ok()?;
        let (modified, changed) =
            ((metadata.mtime(), metadata.mtime_nsec()), (metadata.ctime(), metadata.ctime_nsec()));
        Some((metadata.dev(), metadata.ino(), metadata.size(), modified, changed))
    };
    [stamp(&files.cert), stamp(&files.key), files.client_ca.as_deref().and_then(stamp)]
}

#[cfg(test)]
mod tests {
    use super::*;

    fn write(files: &TlsFiles) {
        let made = rcgen::generate_simple_self_signed(vec!["localhost".to_owned()]).unwrap();
        std::fs::write(&files.cert, made.cert.pem()).unwrap();
        std::fs::write(&files.key, made.signing_key.serialize_pem()).unwrap();
    }

    #[test]
    fn what_was_replaced_is_taken_in_once_it_is_whole_and_what_does_not_serve_changes_nothing() {
        let dir = tempfile::tempdir().unwrap();
        let path = |name: &str| dir.path().join(name);
        let files = TlsFiles {
            cert: path("cert.pem"),
            key: path("key.pem"),
            client_ca: None,
            protocol: crate::transport::tls_files::HTTP_2,
        };
        write(&files);
        let mut served = Served::load(files.clone()).unwrap();
        let first = served.tls.load_full();
        served.look();
        served.look();
        assert!(Arc::ptr_eq(&first, &served.tls.load_full()), "nothing changed");
        std::fs::write(&files.key, "broken").unwrap();
        served.look();
        served.look();
        assert!(Arc::ptr_eq(&first, &served.tls.load_full()) && served.tried == served.seen, "broken");
        std::fs::remove_file(&files.cert).unwrap();
        served.look();
        served.look();
        assert!(Arc::ptr_eq(&first, &served.tls.load_full()), "gone");
        write(&files);
        served.look();
        assert!(Arc::ptr_eq(&first, &served.tls.load_full()), "it may not be whole yet");
        served.look();
        assert!(!Arc::ptr_eq(&first, &served.tls.load_full()));
    }

    #[test]
    fn authorities_are_a_file_to_be_looked_at_too() {
        let dir = tempfile::tempdir().unwrap();
        let path = |name: &str| dir.path().join(name);
        let ca = path("ca.pem");
        let files = TlsFiles {
            cert: path("cert.pem"),
            key: path("key.pem"),
            client_ca: Some(ca.clone()),
            protocol: crate::transport::tls_files::HTTP_2,
        };
        write(&files);
        assert!(Served::load(files.clone()).is_err(), "none is no way to ask for none");
        std::fs::copy(&files.cert, &ca).unwrap();
        let mut served = Served::load(files).unwrap();
        let first = served.tls.load_full();
        std::fs::write(&ca, rcgen::generate_simple_self_signed(vec!["b".to_owned()]).unwrap().cert.pem()).unwrap();
        served.look();
        served.look();
        assert!(!Arc::ptr_eq(&first, &served.tls.load_full()));
    }
}

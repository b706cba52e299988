//! Where peppers come from: made by `init` and `pepper rotate`, read at start, never made up when missing (rule R5).
//!
//! A file of ours with mode 0600, an environment variable, or what a command prints: in each a pepper a line, 64
//! hexadecimal digits, several while one takes another's place. The file lies beside the database by default, which
//! protects against a copied database file and not against a copied directory; backups leave it out.

use std::fmt;
use std::fs::{File, OpenOptions};
use std::io::{Read as _, Write as _};
use std::os::unix::fs::{MetadataExt as _, OpenOptionsExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::time::Duration;

use zeroize::Zeroizing;

use crate::clock::Entropy;
use crate::secret::{Kind, Pepper, Secret};
use crate::verify::imported::HmacKey;
use crate::verify::tag::PEPPER_LEN;

/// The file's name in a data directory.
pub const FILE_NAME: &str = "pepper";

/// Why there is no pepper. The texts say what to do.
#[derive(Debug, thiserror::Error)]
pub enum PepperError {
    /// There is none.
    #[error("no pepper at {}: restore it from where it was kept; without it no credential verifies", path.display())]
    Missing {
        /// Where it should be.
        path: PathBuf,
    },
    /// Somebody else may read or change it.
    #[error("{} must be a file of ours with mode 0600 (it is {mode:04o}, owner {owner}): chmod 600 it", path.display())]
    Exposed {
        /// Which file.
        path: PathBuf,
        /// Its permission bits.
        mode: u32,
        /// Its owner.
        owner: u32,
    },
    /// Not lines of 64 hexadecimal digits.
    #[error(
        "{source_name} holds no pepper: expected 64 hexadecimal digits a line, at most {MOST} lines (and hmac: lines)"
    )]
    Malformed {
        /// Which source.
        source_name: String,
    },
    /// The variable is not set.
    #[error("no pepper in {ENVIRONMENT}, where the configuration says it is: without it no credential verifies")]
    Unset,
    /// The command did not print one.
    #[error("the pepper command {command} {problem}: without it no credential verifies")]
    Command {
        /// Which command.
        command: String,
        /// What happened.
        problem: String,
    },
    /// One exists already, and is never overwritten.
    #[error("{} exists already", path.display())]
    Exists {
        /// Which file.
        path: PathBuf,
    },
    /// The file could not be read or written.
    #[error("cannot {operation} {}", path.display())]
    Io {
        /// What was tried.
        operation: &'static str,
        /// Which file.
        path: PathBuf,
        /// Why it failed.
        #[source]
        source: std::io::Error,
    },
    /// No randomness.
    #[error("the operating system's random generator failed")]
    Entropy,
}

/// The variable that may hold peppers, where the configuration says so.
pub const ENVIRONMENT: &str = "LATCHKEY_PEPPER";
/// Most peppers of a source.
const MOST: usize = 8;
/// What a line with the constant key of another system's HMAC begins with; the key follows in hexadecimal.
const HMAC: &[u8] = b"hmac:";
/// Most such lines.
const MOST_HMAC: usize = 4;
/// How long a pepper command may take.
const COMMAND_LIMIT: Duration = Duration::from_secs(5);

/// What a source holds.
pub struct Kept {
    /// The peppers, in their order.
    pub peppers: Vec<Secret<Pepper>>,
    /// Constant keys of other systems' HMACs, by which keys that were imported from there are found.
    pub hmac: Vec<HmacKey>,
}

/// Where the peppers of a process are.
#[derive(Clone)]
pub enum Source {
    /// A file of ours.
    File(PathBuf),
    /// What [`ENVIRONMENT`] held when the process started, shared so that no copy is made.
    Environment(Option<Arc<Secret<Pepper>>>),
    /// What a program prints: its path and arguments, run with an empty environment.
    Command(Vec<String>),
}

impl fmt::Debug for Source {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl fmt::Display for Source {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::File(path) => write!(f, "at {}", path.display()),
            Self::Environment(_) => write!(f, "in {ENVIRONMENT}"),
            Self::Command(words) => write!(f, "of the command {}", words.first().map_or("", String::as_str)),
        }
    }
}

impl Source {
    /// All peppers of the source, in their order. Blocks.
    ///
    /// # Errors
    /// When there is none, or it is exposed or malformed.
    pub fn read(&self) -> Result<Vec<Secret<Pepper>>, PepperError> {
        self.read_all().map(|kept| kept.peppers)
    }

    /// All that the source holds. Blocks.
    ///
    /// # Errors
    /// As [`Source::read`].
    #[expect(clippy::disallowed_methods, reason = "the variable's text is parsed here")]
    pub fn read_all(&self) -> Result<Kept, PepperError> {
        match self {
            Self::File(path) => self.parse(&read_file(path)?),
            Self::Environment(None) => Err(PepperError::Unset),
            Self::Environment(Some(text)) => self.parse(text.expose()),
            Self::Command(words) => self.parse(&run(words)?),
        }
    }

    fn parse(&self, text: &[u8]) -> Result<Kept, PepperError> {
        let lines = text.split(|&c| c == b'\n' || c == b',').map(<[u8]>::trim_ascii).filter(|line| !line.is_empty());
        let (hmac, peppers): (Vec<_>, Vec<_>) = lines.partition(|line| line.starts_with(HMAC));
        let peppers = peppers.into_iter().map(parse).collect::<Option<Vec<_>>>();
        let hmac = hmac.into_iter().map(|line| HmacKey::parse(line.get(HMAC.len()..)?)).collect::<Option<Vec<_>>>();
        let peppers = peppers.filter(|all| (1..=MOST).contains(&all.len()));
        match (peppers, hmac.filter(|all| all.len() <= MOST_HMAC)) {
            (Some(peppers), Some(hmac)) => Ok(Kept { peppers, hmac }),
            _ => Err(PepperError::Malformed { source_name: self.to_string() }),
        }
    }
}

/// What a program prints within [`COMMAND_LIMIT`].
fn run(words: &[String]) -> Result<Zeroizing<Vec<u8>>, PepperError> {
    let (program, arguments) = words.split_first().ok_or(PepperError::Unset)?;
    let failed = |problem: String| PepperError::Command { command: program.clone(), problem };
    let mut command = Command::new(program);
    command.args(arguments).env_clear().stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::null());
    let mut child = command.spawn().map_err(|error| failed(format!("cannot be run ({error})")))?;
    let stdout = child.stdout.take();
    let (done, text) = std::sync::mpsc::sync_channel(1);
    std::thread::spawn(move || {
        let mut text = Zeroizing::new(Vec::with_capacity(FILE_MOST));
        let read = stdout.map(|stdout| stdout.take(FILE_MOST as u64).read_to_end(&mut text));
        let _ = done.send(matches!(read, Some(Ok(_))).then_some(text));
    });
    let text = text.recv_timeout(COMMAND_LIMIT).ok().flatten();
    if text.is_none() {
        let _ = child.kill();
    }
    let status = child.wait().map_err(|error| failed(format!("cannot be waited for ({error})")))?;
    match text {
        None => Err(failed(format!("printed nothing within {} s", COMMAND_LIMIT.as_secs()))),
        Some(_) if !status.success() => Err(failed(format!("ended with {status}"))),
        Some(text) => Ok(text),
    }
}

/// Most bytes of a source.
const FILE_MOST: usize =
    (2 * PEPPER_LEN + 2) * (MOST + 1) + (HMAC.len() + 2 * *HmacKey::LENGTHS.end() + 2) * (MOST_HMAC + 1);

/// A new pepper as a line of its source.
///
/// # Errors
/// When there is no randomness.
pub fn generate(entropy: &dyn Entropy) -> Result<(Secret<Pepper>, Zeroizing<Vec<u8>>), PepperError> {
    new_key(entropy)
}

/// As long as a pepper, and as a line of hexadecimal: for every key that lies in a file of its own.
fn new_key<K: Kind>(entropy: &dyn Entropy) -> Result<(Secret<K>, Zeroizing<Vec<u8>>), PepperError> {
    let mut bytes = Zeroizing::new(vec![0; PEPPER_LEN]);
    entropy.fill(&mut bytes).map_err(|_| PepperError::Entropy)?;
    let mut text = Zeroizing::new(Vec::with_capacity(2 * PEPPER_LEN + 1));
    for byte in bytes.iter() {
        text.extend([byte >> 4, byte & 15].map(|digit| if digit < 10 { b'0' + digit } else { b'a' + digit - 10 }));
    }
    text.push(b'\n');
    Ok((Secret::new(bytes.to_vec()), text))
}

pub(super) fn sync_parent(path: &Path) -> std::io::Result<()> {
    path.parent().map_or(Ok(()), |dir| File::open(dir).and_then(|dir| dir.sync_all()))
}

/// Makes a file with a new pepper; refuses to overwrite one. Durable when it returns.
///
/// # Errors
/// When one exists, or the file cannot be written.
pub fn create(path: &Path, entropy: &dyn Entropy) -> Result<Secret<Pepper>, PepperError> {
    create_file(path, entropy)
}

/// The same for a key of any kind.
pub(super) fn create_file<K: Kind>(path: &Path, entropy: &dyn Entropy) -> Result<Secret<K>, PepperError> {
    let io = |operation: &'static str| {
        move |source: std::io::Error| match source.kind() {
            std::io::ErrorKind::AlreadyExists => PepperError::Exists { path: path.to_owned() },
            _ => PepperError::Io { operation, path: path.to_owned(), source },
        }
    };
    let (key, text) = new_key(entropy)?;
    let mut file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(path).map_err(io("create"))?;
    file.write_all(&text).and_then(|()| file.sync_all()).map_err(io("write"))?;
    sync_parent(path).map_err(io("sync the directory of"))?;
    Ok(key)
}

/// Adds a new pepper to a file that holds some, or to none. The file is replaced whole, so that nobody ever reads half
/// of it. Durable when it returns.
///
/// # Errors
/// When the file cannot be read or written.
pub fn append(path: &Path, entropy: &dyn Entropy) -> Result<Secret<Pepper>, PepperError> {
    let io = |operation: &'static str| move |source| PepperError::Io { operation, path: path.to_owned(), source };
    let mut whole = match read_file(path) {
        Ok(text) => text,
        Err(PepperError::Missing { .. }) => Zeroizing::new(Vec::new()),
        Err(error) => return Err(error),
    };
    let (pepper, line) = generate(entropy)?;
    whole.reserve_exact(line.len() + 1);
    if whole.last().is_some_and(|&last| last != b'\n') {
        whole.push(b'\n');
    }
    whole.extend_from_slice(&line);
    let beside = path.with_extension("new");
    let opened = OpenOptions::new().write(true).create_new(true).mode(0o600).open(&beside);
    let mut file = opened.map_err(|source| PepperError::Io { operation: "create", path: beside.clone(), source })?;
    file.write_all(&whole).and_then(|()| file.sync_all()).map_err(io("write"))?;
    std::fs::rename(&beside, path).map_err(io("replace"))?;
    sync_parent(path).map_err(io("sync the directory of"))?;
    Ok(pepper)
}

/// Reads the first pepper of a file.
///
/// # Errors
/// When it is missing, exposed or not a pepper.
pub fn load(path: &Path) -> Result<Secret<Pepper>, PepperError> {
    let source = Source::File(path.to_owned());
    source.read()?.into_iter().next().ok_or_else(|| PepperError::Malformed { source_name: source.to_string() })
}

/// A file's text, after checking whose file it is.
pub(super) fn read_file(path: &Path) -> Result<Zeroizing<Vec<u8>>, PepperError> {
    read_at_most(path, FILE_MOST)
}

/// The same, and nothing beyond so many bytes.
pub(super) fn read_at_most(path: &Path, most: usize) -> Result<Zeroizing<Vec<u8>>, PepperError> {
    let io = |source: std::io::Error| match source.kind() {
        std::io::ErrorKind::NotFound => PepperError::Missing { path: path.to_owned() },
        _ => PepperError::Io { operation: "read", path: path.to_owned(), source },
    };
    let file = File::open(path).map_err(io)?;
    let metadata = file.metadata().map_err(io)?;
    let (mode, owner) = (metadata.permissions().mode() & 0o7777, metadata.uid());
    if !metadata.is_file() || mode & 0o077 != 0 || owner != rustix::process::geteuid().as_raw() {
        return Err(PepperError::Exposed { path: path.to_owned(), mode, owner });
    }
    let mut text = Zeroizing::new(Vec::with_capacity(most));
    file.take(most as u64).read_to_end(&mut text).map_err(io)?;
    Ok(text)
}

/// From 64 hexadecimal digits.
pub fn parse(text: &[u8]) -> Option<Secret<Pepper>> {
    parse_key(text)
}

/// The same for a key of any kind.
pub(super) fn parse_key<K: Kind>(text: &[u8]) -> Option<Secret<K>> {
    if text.len() != 2 * PEPPER_LEN {
        return None;
    }
    let digits = text.iter().map(|&c| char::from(c).to_digit(16).and_then(|d| u8::try_from(d).ok()));
    let digits: Zeroizing<Vec<u8>> = Zeroizing::new(digits.collect::<Option<_>>()?);
    let bytes = digits.chunks_exact(2).map(|pair| pair.iter().fold(0, |byte, digit| byte << 4 | digit));
    Some(Secret::new(bytes.collect()))
}

#[cfg(test)]
#[expect(clippy::disallowed_methods, reason = "tests look inside secrets")]
mod tests {
    use super::*;
    use crate::clock::SystemEntropy;

    #[test]
    fn r5_a_pepper_is_made_once_and_read_back() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join(FILE_NAME);
        let made = create(&path, &SystemEntropy).unwrap();
        assert_eq!(load(&path).unwrap().expose(), made.expose());
        assert!(matches!(create(&path, &SystemEntropy), Err(PepperError::Exists { .. })));
        assert_eq!(load(&path).unwrap().expose(), made.expose(), "the first one is untouched");
    }

    #[test]
    fn r5_a_missing_pepper_is_said_and_never_made() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join(FILE_NAME);
        assert!(matches!(load(&path), Err(PepperError::Missing { .. })));
        assert!(!path.exists());
    }

    proptest::proptest! {
        #[test]
        fn only_64_hexadecimal_digits_are_a_pepper(text in proptest::collection::vec(proptest::prelude::any::<u8>(), 60..70)) {
            let digits = text.len() == 64 && text.iter().all(u8::is_ascii_hexdigit);
            proptest::prop_assert_eq!(parse(&text).is_some(), digits);
        }
    }

    #[test]
    fn a_pepper_that_others_may_read_or_that_is_none_is_refused() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join(FILE_NAME);
        create(&path, &SystemEntropy).unwrap();
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o640)).unwrap();
        assert!(matches!(load(&path), Err(PepperError::Exposed { mode: 0o640, .. })));
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o600)).unwrap();
        for bad in ["", "abc", &"g".repeat(64), &"a".repeat(63), &"a".repeat(200)] {
            std::fs::write(&path, bad).unwrap();
            assert!(matches!(load(&path), Err(PepperError::Malformed { .. })), "{bad:?}");
        }
    }
}

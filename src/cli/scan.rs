//! `latchkey scan`: keys where none belong. Never prints a secret.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{IsTerminal as _, Read};
use std::path::{Path, PathBuf};

use serde::Serialize;

use crate::cli::Outcome;
use crate::cli::client::Client;
use crate::cli::context::{Context, Failure};
use crate::cli::output::Listing;
use crate::domain::CredentialKind;
use crate::domain::key_scan::{self, Found};
use crate::pb::admin::v1 as pb;
use crate::store::sqlite::FILE_NAME;

/// Bytes looked at in one piece.
const PIECE: usize = 1 << 20;

#[derive(clap::Args)]
pub(super) struct ScanArgs {
    /// Files and directories; without any, stdin is read
    paths: Vec<PathBuf>,
    /// Do not ask the store what became of a key
    #[arg(long)]
    no_store: bool,
}

#[derive(Serialize)]
struct FoundView {
    path: String,
    line: u64,
    prefix: String,
    credential_id: String,
    checksum: &'static str,
    status: Option<String>,
}

struct Scan<'a> {
    listing: Listing<'a>,
    client: Option<Client>,
    known: BTreeMap<String, String>,
    found: u64,
    unreadable: Vec<String>,
}

pub(super) fn run(context: &Context, args: &ScanArgs) -> Outcome {
    let config = context.settings()?;
    // What became of a key is worth knowing where there is a store; without one it is found all the same.
    let store = context.server().is_some() || config.app.data_dir.is_some_and(|dir| dir.join(FILE_NAME).exists());
    let client = if store && !args.no_store { Some(context.client()?) } else { None };
    let columns = &["path", "line", "prefix", "credential_id", "checksum", "status"];
    let mut scan = Scan {
        listing: Listing::new(context, columns),
        client,
        known: BTreeMap::new(),
        found: 0,
        unreadable: Vec::new(),
    };
    if args.paths.is_empty() {
        if std::io::stdin().is_terminal() {
            context.tell("Reading stdin; Ctrl-D ends it.");
        }
        scan.text("-", &mut std::io::stdin().lock())?;
    }
    for path in &args.paths {
        if path.symlink_metadata().is_err() {
            return Err(Failure::usage(format_args!("{} does not exist", path.display())));
        }
        scan.path(path)?;
    }
    let Scan { listing, found, unreadable, .. } = scan;
    listing.finish("keys")?;
    for path in &unreadable {
        context.tell(&format!("could not be read: {path}"));
    }
    Ok(found == 0 && unreadable.is_empty())
}

impl Scan<'_> {
    /// A file, or all that is in a directory. Links are not followed, and what git keeps is packed and not looked at.
    fn path(&mut self, path: &Path) -> Result<(), Failure> {
        let Ok(metadata) = path.symlink_metadata() else { return Ok(()) };
        if metadata.is_dir() {
            if path.file_name().is_some_and(|name| name == ".git") {
                return Ok(());
            }
            let Ok(entries) = std::fs::read_dir(path) else {
                self.unreadable.push(path.display().to_string());
                return Ok(());
            };
            let mut inside: Vec<PathBuf> = entries.filter_map(|entry| Some(entry.ok()?.path())).collect();
            inside.sort();
            return inside.iter().try_for_each(|path| self.path(path));
        }
        if !metadata.is_file() {
            return Ok(());
        }
        let name = path.display().to_string();
        let read = File::open(path).map_err(Failure::from).and_then(|mut file| self.text(&name, &mut file));
        if read.is_err() {
            self.unreadable.push(name);
        }
        Ok(())
    }

    /// Piece by piece, so that a file of any size is looked at in little memory.
    fn text(&mut self, name: &str, source: &mut dyn Read) -> Result<(), Failure> {
        let (mut buffer, mut line) = (Vec::new(), 1);
        loop {
            let read = source.take(PIECE as u64).read_to_end(&mut buffer)?;
            let last = read < PIECE;
            // What begins in the overlap may go on in the next piece, and is found there.
            let settled = if last { buffer.len() } else { buffer.len().saturating_sub(key_scan::OVERLAP) };
            for found in key_scan::find(&buffer).filter(|found| found.start < settled) {
                let before = buffer.get(..found.start).unwrap_or_default();
                self.tell(name, line + newlines(before), &found)?;
            }
            if last {
                return Ok(());
            }
            line += newlines(buffer.get(..settled).unwrap_or_default());
            buffer.drain(..settled);
        }
    }

    fn tell(&mut self, path: &str, line: u64, found: &Found) -> Result<(), Failure> {
        self.found += 1;
        let id = found.id.to_string();
        let status = match (&mut self.client, found.kind) {
            (Some(client), CredentialKind::ApiKey) if found.checksum => {
                if !self.known.contains_key(&id) {
                    let request = pb::GetCredentialRequest { credential_id: id.clone() };
                    let status = client.run(async |rpc| match rpc.get_credential(request).await {
                        Ok(row) => Ok(row.into_inner().status),
                        Err(status) if status.code() == tonic::Code::NotFound => Ok("unknown".to_owned()),
                        Err(status) => Err(status.into()),
                    })?;
                    self.known.insert(id.clone(), status);
                }
                self.known.get(&id).cloned()
            }
            _ => None,
        };
        self.listing.add(&FoundView {
            path: path.to_owned(),
            line,
            prefix: found.prefix.clone(),
            credential_id: id,
            checksum: if found.checksum { "right" } else { "wrong" },
            status,
        });
        Ok(())
    }
}

fn newlines(text: &[u8]) -> u64 {
    text.split(|c| *c == b'\n').count() as u64 - 1
}

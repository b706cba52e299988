//! Whether tokens can be signed, with a key that is ours alone.

use std::path::Path;

use crate::app::doctor::{Told, Verdict};
use crate::app::{Settings, subject_key};
use crate::domain::SigningKeyRow;
use crate::issue::keys;
use crate::store::Store;
use crate::verify::subject::SubjectKey;

/// What the findings are called.
const CHECK: &str = "token key";

pub(super) fn examine(store: &dyn Store, settings: &Settings, dir: &Path, told: Told<'_>) {
    let key_dir = settings.tokens.key_dir(dir);
    let (rows, key) = match (store.tokens().keys(), store.links().key()) {
        (Ok(rows), Ok(known)) => (rows.row, SubjectKey::load_known(&subject_key(settings, dir), known)),
        (Err(error), _) | (_, Err(error)) => return told(CHECK, Verdict::Problem, error.to_string()),
    };
    // That there is none is a finding of its own.
    let Ok(key) = key else { return };
    let (rows, forged): (Vec<_>, Vec<_>) =
        rows.into_iter().partition(|row| key.is_genuine_signing_key(row) && keys::is_named_right(row));
    for row in &forged {
        let text = format!(
            "the row of {} was not written by Latchkey, or under another key of subject hashes: it is ignored",
            row.kid
        );
        told(CHECK, Verdict::Warning, text);
    }
    let signing = SigningKeyRow::signing(&rows);
    match signing.map(|row| keys::load(&key_dir, &row.kid, row.algorithm)) {
        Some(Ok(signer)) => {
            let public = signer.public();
            told(CHECK, Verdict::Good, format!("{} ({}) in {}", public.kid, public.algorithm, key_dir.display()));
        }
        Some(Err(error)) => told(CHECK, Verdict::Problem, format!("no token can be issued: {error}")),
        None => {
            let text = "none signs tokens, so that none can be issued: `latchkey token rotate-key` makes one";
            told(CHECK, Verdict::Warning, text.to_owned());
        }
    }
    let signs = |kid: &str| signing.is_some_and(|row| row.kid == kid);
    match keys::found(&key_dir) {
        Ok(found) => {
            for kid in found.iter().filter(|kid| !signs(kid)) {
                let text = format!("token-{kid}.key in {} signs nothing: remove it", key_dir.display());
                told(CHECK, Verdict::Warning, text);
            }
        }
        Err(error) => told(CHECK, Verdict::Problem, format!("{}: {error}", key_dir.display())),
    }
}

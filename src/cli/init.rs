//! `latchkey init`

use serde::Serialize;
use zeroize::Zeroizing;

use crate::app::init::{Initialised, init};
use crate::cli::Outcome;
use crate::cli::context::Context;
use crate::verify::pepper::Source;

#[derive(clap::Args)]
pub(super) struct InitArgs {}

/// What `init` answers in JSON.
#[derive(Serialize)]
struct InitView<'a> {
    data_dir: String,
    pepper_file: String,
    subject_key_file: String,
    token_key_id: String,
    audit_public_key: String,
    operator_id: String,
    operator_token: &'a str,
}

pub(super) fn run(context: &Context, _: &InitArgs) -> Outcome {
    let config = context.settings()?;
    let made = init(&config.app)?;
    print(context, &made)
}

#[expect(clippy::disallowed_methods, reason = "the operator's token is shown, this once")]
fn print(context: &Context, made: &Initialised) -> Outcome {
    let token = std::str::from_utf8(made.owner.token.expose()).map_err(anyhow::Error::from)?;
    // Large enough that it never grows, which would leave a copy behind.
    let mut text = Zeroizing::new(Vec::with_capacity(64 * 1024));
    if context.json() {
        let view = InitView {
            data_dir: made.data_dir.display().to_string(),
            pepper_file: match &made.pepper {
                Source::File(path) => path.display().to_string(),
                _ => String::new(),
            },
            subject_key_file: made.subject_key.display().to_string(),
            token_key_id: made.token_key.clone(),
            audit_public_key: made.audit_public_key_hex(),
            operator_id: made.owner.operator.id.to_string(),
            operator_token: token,
        };
        serde_json::to_writer(&mut *text, &view).map_err(anyhow::Error::from)?;
    } else {
        text.extend_from_slice(token.as_bytes());
        let dir = made.data_dir.display();
        context.tell(&format!(
            "The store is in {dir}; its pepper is {}.\nBack both up, apart from each other: without the pepper no key \
             verifies.\nNext: latchkey --data-dir {dir} tenant create acme --name \"Acme Ltd\"\nThe first operator's token \
             is shown this once:",
            made.pepper
        ));
    }
    text.push(b'\n');
    context.write(&text)
}

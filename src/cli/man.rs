//! `latchkey man`

use std::path::PathBuf;

use anyhow::Context as _;

use crate::cli::Outcome;
use crate::cli::context::Context;

#[derive(clap::Args)]
pub(super) struct ManArgs {
    /// Where to write latchkey.1 and a page for each command, latchkey-key-issue.1 and the like; made if it is not there
    dir: Option<PathBuf>,
}

pub(super) fn run(context: &Context, command: clap::Command, args: &ManArgs) -> Outcome {
    let Some(dir) = &args.dir else {
        let mut page = Vec::new();
        clap_mangen::Man::new(command.disable_help_subcommand(true)).render(&mut page)?;
        return context.write(&page);
    };
    std::fs::create_dir_all(dir)
        .and_then(|()| clap_mangen::generate_to(command, dir))
        .with_context(|| format!("cannot write manual pages to {}", dir.display()))?;
    Ok(true)
}

//! The `latchkey` binary: what a host starts, and what people type.

use std::process::ExitCode;

#[cfg(feature = "mimalloc")]
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    latchkey::process::harden();
    latchkey::cli::run()
}

//! What a setting is.

use crate::config::kind::Kind;

/// Who may set a setting (rule R2).
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Scope {
    /// Only this machine: a file that only root or our user can write, or the operator's environment.
    LocalOnly,
    /// This machine; the host only where this machine says nothing.
    LocalFirst,
    /// The host too.
    HostMaySet,
}

/// One setting.
#[derive(Clone, Copy, Debug)]
pub struct Setting {
    /// `section.name`; the environment variable is `LATCHKEY_SECTION__NAME`.
    pub key: &'static str,
    /// What it takes.
    pub kind: Kind,
    /// What holds when nobody sets it.
    pub default: &'static str,
    /// Who may set it.
    pub scope: Scope,
    /// What it does and why one would change it.
    pub doc: &'static str,
}

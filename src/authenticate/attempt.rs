//! What is asked, beside the credential itself.

use std::net::IpAddr;

use crate::domain::presented::Scheme;
use crate::domain::{LlmId, Presented, Reason};

/// At which point of a request the question is put.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Stage {
    /// Before the host authenticates: decides whether a refusal can be a proper 401.
    PreAuth,
    /// The host's authentication call.
    Auth,
    /// A look-up of the App or User behind a credential, for no LLM in particular.
    LookUp,
    /// A program at our own OAuth endpoints, which proves a key and nothing else (rule R15).
    Client,
    /// Somebody asks what a token of ours is worth.
    Introspect,
    /// The command line.
    CommandLine,
}

impl Stage {
    /// Whether it is about a client's request: only then may anything be changed by it.
    pub const fn is_of_a_request(self) -> bool {
        matches!(self, Self::PreAuth | Self::Auth)
    }

    /// As in logs and the decision log.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::PreAuth => "pre_auth",
            Self::Auth => "auth",
            Self::LookUp => "look_up",
            Self::Client => "client",
            Self::Introspect => "introspect",
            Self::CommandLine => "command_line",
        }
    }

    /// Lets through what may be shown here: a program gets nothing for what was itself derived (rule R15).
    pub(super) fn admit(self, presented: Presented<'_>) -> Result<Presented<'_>, Reason> {
        let derived = matches!(presented.scheme(), Scheme::Jwt);
        if self == Self::Client && derived { Err(Reason::WrongKind) } else { Ok(presented) }
    }

    /// Whether it is asked who somebody is, for no LLM in particular.
    pub const fn names_no_llm(self) -> bool {
        !matches!(self, Self::PreAuth | Self::Auth)
    }

    /// Whether somebody else than its holder asks about a credential: no use of it, and no failure of whoever asks.
    pub const fn is_trial(self) -> bool {
        matches!(self, Self::CommandLine | Self::Introspect)
    }
}

/// The LLM that a request is for, as the host names it.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct RequestedLlm<'a> {
    /// Its id, where given.
    pub id: Option<LlmId>,
    /// Its slug, where given.
    pub slug: Option<&'a str>,
}

impl RequestedLlm<'_> {
    /// Whether the request names none.
    pub fn is_none(&self) -> bool {
        self.id.is_none() && self.slug.is_none()
    }
}

/// One question to the authenticator. Only facts of the request: nothing in it grants anything.
#[derive(Clone, Copy, Debug)]
pub struct Attempt<'a> {
    /// Where in the request it is put.
    pub stage: Stage,
    /// The LLM asked for.
    pub llm: RequestedLlm<'a>,
    /// The gateway's namespace, where it has one.
    pub namespace: Option<&'a str>,
    /// The client's address, where it is known for certain.
    pub remote: Option<IpAddr>,
    /// The host's id of the request; may be empty.
    pub request_id: &'a str,
}

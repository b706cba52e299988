//! What a setting takes, and its one form however it was written.

use crate::domain::Role;

/// What a setting takes.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Kind {
    /// `true` or `false`.
    Bool,
    /// A whole number within bounds.
    Number {
        /// At least.
        min: u64,
        /// At most.
        max: u64,
    },
    /// An absolute path; empty for none.
    Path,
    /// One of these words.
    Word(&'static [&'static str]),
    /// One text without spaces, such as a URL; may be empty.
    Claim,
    /// Texts separated by commas; may be empty.
    List,
    /// Ranges of addresses separated by commas; may be empty.
    Networks,
    /// The name of an HTTP header.
    Header,
    /// Users of this machine and what they may do, separated by commas; may be empty.
    Peers,
    /// Gateway namespaces and the tenants that have them, separated by commas; may be empty.
    Namespaces,
}

impl Kind {
    /// The value in one form, if the setting takes it. Numbers come from Go hosts as printed floats: a million is `1e+06`
    /// (hazard H13).
    pub fn normalise(self, value: &str) -> Option<String> {
        let value = value.trim();
        match self {
            Self::Bool => value.parse::<bool>().ok().map(|on| on.to_string()),
            Self::Number { min, max } => whole(value).filter(|n| (min..=max).contains(n)).map(|n| n.to_string()),
            Self::Path => (value.is_empty() || value.starts_with('/')).then(|| value.to_owned()),
            Self::Word(words) => words.contains(&value).then(|| value.to_owned()),
            Self::Claim => {
                (value.len() <= 512 && value.bytes().all(|c| c.is_ascii_graphic())).then(|| value.to_owned())
            }
            Self::List => Some(value.to_owned()),
            Self::Networks => networks(value).map(|_| value.to_owned()),
            Self::Header => is_token(value).then(|| value.to_owned()),
            Self::Peers => peers(value).map(|_| value.to_owned()),
            Self::Namespaces => namespaces(value).map(|_| value.to_owned()),
        }
    }

    /// In words, for error texts.
    pub fn expected(self) -> String {
        match self {
            Self::Bool => "true or false".to_owned(),
            Self::Number { min, max } => format!("a whole number from {min} to {max}"),
            Self::Path => "an absolute path".to_owned(),
            Self::Word(words) => format!("one of {}", words.join(", ")),
            Self::Claim => "one text of at most 512 ASCII characters without spaces, such as a URL".to_owned(),
            Self::List => "texts separated by commas".to_owned(),
            Self::Networks => "ranges of addresses such as 10.0.0.0/8, separated by commas".to_owned(),
            Self::Header => "the name of an HTTP header".to_owned(),
            Self::Namespaces => "pairs such as eu=acme, each namespace once, separated by commas".to_owned(),
            Self::Peers => {
                "user ids such as 1001, each once, with =owner, =issuer or =auditor (the default), separated by commas"
                    .to_owned()
            }
        }
    }

    /// As in a JSON schema.
    pub const fn json_type(self) -> &'static str {
        match self {
            Self::Bool => "boolean",
            Self::Number { .. } => "number",
            Self::Path
            | Self::Word(_)
            | Self::Claim
            | Self::List
            | Self::Networks
            | Self::Header
            | Self::Peers
            | Self::Namespaces => "string",
        }
    }
}

/// Ranges separated by commas; a range that has bits beyond its length is most often a mistake.
pub(super) fn networks(value: &str) -> Option<Vec<ipnet::IpNet>> {
    let items = value.split(',').map(str::trim).filter(|item| !item.is_empty());
    items.map(|item| item.parse().ok().filter(|net: &ipnet::IpNet| net.trunc() == *net)).collect()
}

/// What the kernel says of users that have no number in our user namespace: anybody at all.
const UNMAPPED: u32 = 65_534;

/// Users and their roles; who has none is an auditor. One that stands twice is most often a mistake.
pub(super) fn peers(value: &str) -> Option<Vec<(u32, Role)>> {
    let mut peers: Vec<(u32, Role)> = Vec::new();
    for item in value.split(',').map(str::trim).filter(|item| !item.is_empty()) {
        let (uid, role) = item.split_once('=').unwrap_or((item, Role::Auditor.as_str()));
        let uid = uid.trim_end().parse().ok().filter(|uid| *uid != u32::MAX && *uid != UNMAPPED)?;
        if peers.iter().any(|(listed, _)| *listed == uid) {
            return None;
        }
        peers.push((uid, Role::parse(role.trim_start())?));
    }
    Some(peers)
}

/// Namespaces and slugs of tenants. One that stands twice is most often a mistake.
pub(super) fn namespaces(value: &str) -> Option<Vec<(String, String)>> {
    let mut pairs: Vec<(String, String)> = Vec::new();
    for item in value.split(',').map(str::trim).filter(|item| !item.is_empty()) {
        let (namespace, tenant) = item.split_once('=').map(|(namespace, tenant)| (namespace.trim(), tenant.trim()))?;
        if namespace.is_empty() || tenant.is_empty() || pairs.iter().any(|(listed, _)| listed == namespace) {
            return None;
        }
        pairs.push((namespace.to_owned(), tenant.to_owned()));
    }
    Some(pairs)
}

/// A token of RFC 9110 section 5.6.2.
fn is_token(value: &str) -> bool {
    let of_token = |c: u8| c.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&c);
    (1..=64).contains(&value.len()) && value.bytes().all(of_token)
}

/// A whole number, however it is written: up to 2^53, where doubles are exact.
fn whole(value: &str) -> Option<u64> {
    if let Ok(number) = value.parse::<u64>() {
        return Some(number);
    }
    let number = value.parse::<f64>().ok()?;
    let exact = number.is_finite() && number >= 0.0 && number.fract() == 0.0 && number <= 9_007_199_254_740_992.0;
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "checked to be whole and in range")]
    exact.then_some(number as u64)
}

//! What a page asks: JSON of these forms and no other, made into the RPC's own messages.

use prost_types::Timestamp;
use schemars::JsonSchema;
use serde::Deserialize;
use serde::de::DeserializeOwned;

use crate::admin::AdminResult;
use crate::pb::admin::v1 as pb;
use crate::transport::admin::Asks;
use crate::transport::admin::convert::{invalid, timestamp};
use crate::transport::admin::pages::payload::SecretText;

/// What is the portal's User's own, whatever a request says: none of it is asked for there.
#[derive(Default)]
pub(super) struct Place {
    /// Their tenant's slug.
    pub(super) tenant: String,
    /// Their id.
    pub(super) user: u32,
}

/// The input of a method.
pub(super) trait Input: DeserializeOwned + JsonSchema + Send + 'static {
    /// What it asks of the service.
    type Rpc: Asks;

    /// The session that it is asked in.
    fn session(&mut self) -> Option<SecretText> {
        None
    }

    /// As the service wants it.
    fn rpc(self, place: &Place) -> AdminResult<Self::Rpc>;
}

/// A moment as RFC 3339 has it, in whole milliseconds.
fn moment(field: &'static str, text: Option<String>) -> AdminResult<Option<Timestamp>> {
    let Some(text) = text else { return Ok(None) };
    let read = text.parse::<jiff::Timestamp>().ok();
    let whole = read.filter(|moment| moment.subsec_nanosecond() % 1_000_000 == 0);
    let wrong = || invalid(field, "a time such as 2027-03-01T00:00:00Z, in whole milliseconds");
    whole.map(|moment| Some(timestamp(moment.as_millisecond()))).ok_or_else(wrong)
}

/// Every form has this derived; what asks for a page of a listing says which, and has a session where the page has them.
macro_rules! inputs {
    ($($(#[$doc:meta])* $name:ident $(by $page_size:ident $page_token:ident)? $(in $session:ident)? { $($(#[$about:meta])* $field:ident: $type:ty,)* }
        => $rpc:ident |$this:ident, $place:ident| $make:expr;)+) => {
        $(
            $(#[$doc])*
            #[derive(Deserialize, JsonSchema)]
            #[serde(deny_unknown_fields)]
            pub(in crate::transport::admin::pages) struct $name {
                $($(#[$about])* $field: $type,)*
                $(
                    /// Rows at most.
                    #[serde(default)]
                    $page_size: u16,
                    /// As in `next_page_token` of the page before.
                    #[serde(default)]
                    $page_token: String,
                )?
                $(
                    /// The handle that `raise` answered.
                    #[serde(default)]
                    $session: Option<SecretText>,
                )?
            }

            impl Input for $name {
                type Rpc = pb::$rpc;
                $(fn session(&mut self) -> Option<SecretText> {
                    self.$session.take()
                })?
                fn rpc(self, $place: &Place) -> AdminResult<Self::Rpc> {
                    let $this = self;
                    $make
                }
            }
        )+
    };
}

/// The RPC's enumerations, by their last words.
macro_rules! words {
    ($($(#[$doc:meta])* $name:ident { $first:ident $(, $more:ident)* })+) => {
        $(
            $(#[$doc])*
            #[derive(Clone, Copy, Default, Deserialize, JsonSchema)]
            #[serde(rename_all = "snake_case")]
            pub(super) enum $name { #[default] $first $(, $more)* }

            impl $name {
                fn rpc(self) -> pb::$name {
                    match self {
                        Self::$first => pb::$name::$first,
                        $(Self::$more => pb::$name::$more,)*
                    }
                }
            }
        )+
    };
}

words! {
    /// Which of a tenant's environments a key is for.
    Environment { Live, Test }
    /// Why a credential is revoked, after RFC 5280 section 5.3.1.
    RevocationReason {
        Unspecified, KeyCompromise, AffiliationChanged, Superseded, CessationOfOperation, PrivilegeWithdrawn
    }
}

mod portal;
mod studio;

pub(super) use portal::*;
pub(super) use studio::*;

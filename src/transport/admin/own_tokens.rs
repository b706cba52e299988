//! A token that is taken back by the program that it was issued to (RFC 7009): as urgent as when an admin does it
//! (rule R11).

use crate::admin::{AdminError, AdminResult, Caller, TokenRef};
use crate::domain::TokenId;
use crate::transport::admin::urgent::Effect;
use crate::transport::admin::{AdminRpc, Asks};

/// What is asked, in the terms of a call.
#[derive(Clone, PartialEq, Eq, prost::Message)]
struct TakesBack {
    #[prost(string, tag = "1")]
    id: String,
}

impl Asks for TakesBack {}

fn which(asked: &TakesBack) -> AdminResult<TokenRef> {
    let id = asked.id.parse::<TokenId>();
    id.map(TokenRef::Id).map_err(|_| AdminError::Unavailable("internal error".to_owned()))
}

impl AdminRpc {
    /// Takes a token of the caller's tenant back: effective when this is over, and written down or an error.
    ///
    /// # Errors
    /// When it could not be written down; `DeniedHere` where it is refused in this process all the same.
    pub(in crate::transport) async fn take_back_token(&self, caller: Caller, id: TokenId) -> AdminResult<()> {
        let asked = TakesBack { id: id.to_string() };
        let ended = self.ask(
            "revoke_token",
            caller,
            asked,
            Some(|_, admin, asked| admin.may_revoke_token(None, &which(asked)?).map(Effect::Takes)),
            |_, admin, asked| admin.revoke_token(None, &which(&asked)?).map(drop),
        );
        ended.await.map_err(|failed| failed.unwrap_or_else(|| AdminError::Unavailable("internal error".to_owned())))
    }
}

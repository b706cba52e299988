//! `POST /oauth/revoke`: a program takes back a token that it was given, RFC 7009.
//!
//! Whatever the token is, and whoever's, the answer is the same; only one that was issued for the caller's own credential is
//! taken back. The credential of a rotation in its grace is another than the one that took its place.

use crate::admin::AdminError;
use crate::secret::Secret;
use crate::transport::oauth::answer::{self, Response};
use crate::transport::oauth::client::{self, Ways};
use crate::transport::oauth::form::Form;
use crate::transport::oauth::{Oauth, Request};

impl Oauth {
    pub(super) async fn revoke(&self, request: &Request<'_>, mut form: Form) -> Response {
        let caller = match client::known(self.office.gate(), request, &mut form, Ways::Resource).await {
            Ok(caller) => caller,
            Err(refusal) => return refusal,
        };
        // `token_type_hint` is one of optimisation, and there is nothing to optimise (section 2.1).
        let Some(mut token) = form.take("token") else { return answer::invalid_request("token is missing") };
        let text = Secret::new(std::mem::take(&mut *token).into_bytes());
        let by = crate::admin::client(&caller, request.source);
        let found = self.blocking(move |backend| backend.token_of_client(&caller, text)).await;
        let done = match found {
            Ok(None) => Ok(()),
            Ok(Some(id)) => self.rpc.take_back_token(by, id).await,
            Err(error) => Err(error),
        };
        match done {
            // Gone meanwhile: its end was long ago.
            Ok(()) | Err(AdminError::NotFound { .. }) => Response::done(),
            Err(AdminError::DeniedHere) => answer::denied_here(),
            Err(error) => {
                tracing::warn!(%error, "a token could not be taken back");
                answer::unavailable()
            }
        }
    }
}

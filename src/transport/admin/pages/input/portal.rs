//! What people ask in the portal: of what is their own, so that nobody has to say whose.

use schemars::JsonSchema;
use serde::Deserialize;

use crate::admin::AdminResult;
use crate::pb::admin::v1 as pb;
use crate::transport::admin::pages::input::{Environment, Input, Place, RevocationReason, moment};

inputs! {
    /// A page of one's own Apps.
    OwnAppsInput by page_size page_token {} => ListAppsRequest |this, place| {
        let (tenant, page_size, page_token) = (place.tenant.clone(), this.page_size.into(), this.page_token);
        Ok(pb::ListAppsRequest { tenant, page_size, page_token })
    };

    /// A page of one's own credentials.
    OwnCredentialsInput by page_size page_token {
        /// Those that act as this App.
        #[serde(default)]
        app_id: u32,
    } => ListCredentialsRequest |this, place| {
        let (tenant, user_id, page_size) = (place.tenant.clone(), place.user, this.page_size.into());
        let OwnCredentialsInput { app_id, page_token, .. } = this;
        Ok(pb::ListCredentialsRequest { tenant, page_size, page_token, app_id, user_id, weak: false })
    };

    /// A credential of one's own.
    OwnCredentialInput {
        /// Its public id.
        credential_id: String,
    } => GetCredentialRequest |this, _place| Ok(pb::GetCredentialRequest { credential_id: this.credential_id });

    /// A credential to be issued to oneself.
    OwnIssueInput {
        /// The App it acts as, one of one's own.
        app_id: u32,
        /// A name for people.
        #[serde(default)]
        label: String,
        /// Live where nothing is said.
        #[serde(default)]
        environment: Environment,
        /// What the gateway is told it may do.
        #[serde(default)]
        scopes: Vec<String>,
        /// The ranges of addresses it may be used from; none means any.
        #[serde(default)]
        cidrs: Vec<String>,
        /// First valid moment, RFC 3339.
        not_before: Option<String>,
        /// First invalid moment, RFC 3339; the last that there may be where nothing is said.
        expires_at: Option<String>,
        /// The same as seconds from now.
        #[serde(default)]
        expires_in_seconds: u64,
        /// Of one's own choice; the same request with the same id is carried out once.
        #[serde(default)]
        request_id: String,
    } => IssueCredentialRequest |this, place| {
        let credential = pb::Credential {
            tenant: place.tenant.clone(),
            app_id: this.app_id,
            user_id: place.user,
            label: this.label,
            environment: this.environment.rpc().into(),
            scopes: this.scopes,
            cidrs: this.cidrs,
            not_before: moment("not_before", this.not_before)?,
            expires_at: moment("expires_at", this.expires_at)?,
            ..pb::Credential::default()
        };
        let (expires_in_seconds, request_id) = (this.expires_in_seconds, this.request_id);
        Ok(pb::IssueCredentialRequest { credential: Some(credential), expires_in_seconds, argon2: None, request_id })
    };

    /// A credential of one's own that gives its place to a new one.
    OwnRotateInput {
        /// Its public id.
        credential_id: String,
        /// How long it stays good beside the new one.
        #[serde(default)]
        grace_seconds: u64,
        /// The new one's first invalid moment, RFC 3339.
        expires_at: Option<String>,
        /// The same as seconds from now.
        #[serde(default)]
        expires_in_seconds: u64,
        /// Of one's own choice; the same request with the same id is carried out once.
        #[serde(default)]
        request_id: String,
    } => RotateCredentialRequest |this, _place| {
        let expires_at = moment("expires_at", this.expires_at)?;
        let OwnRotateInput { credential_id, grace_seconds, expires_in_seconds, request_id, .. } = this;
        let (argon2, etag) = (None, String::new());
        Ok(pb::RotateCredentialRequest { credential_id, grace_seconds, expires_at, expires_in_seconds, argon2, etag, request_id })
    };

    /// A credential of one's own to be taken back.
    OwnRevokeInput {
        /// Its public id.
        credential_id: String,
        /// Why.
        #[serde(default)]
        reason: RevocationReason,
        /// Ties the trail's event to one's own request.
        #[serde(default)]
        request_id: String,
    } => RevokeCredentialRequest |this, _place| {
        let (credential_id, reason, request_id) = (this.credential_id, this.reason.rpc().into(), this.request_id);
        Ok(pb::RevokeCredentialRequest { credential_id, reason, request_id })
    };
}

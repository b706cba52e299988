//! What the Studio page asks.

use prost_types::FieldMask;
use schemars::JsonSchema;
use serde::Deserialize;

use crate::admin::AdminResult;
use crate::pb::admin::v1 as pb;
use crate::transport::admin::pages::input::{Environment, Input, Place, RevocationReason, moment};
use crate::transport::admin::pages::payload::SecretText;

inputs! {
    /// Nothing.
    NothingInput in session {} => GetCallerRequest |_this, _place| Ok(pb::GetCallerRequest {});

    /// A page of tenants.
    TenantsInput by page_size page_token in session {} => ListTenantsRequest |this, _place| {
        Ok(pb::ListTenantsRequest { page_size: this.page_size.into(), page_token: this.page_token })
    };

    /// A tenant.
    TenantInput in session {
        /// Its slug.
        tenant: String,
    } => GetTenantRequest |this, _place| Ok(pb::GetTenantRequest { tenant: this.tenant });

    /// A page of a tenant's Apps.
    AppsInput by page_size page_token in session {
        /// The tenant's slug.
        tenant: String,
    } => ListAppsRequest |this, _place| {
        let (tenant, page_size, page_token) = (this.tenant, this.page_size.into(), this.page_token);
        Ok(pb::ListAppsRequest { tenant, page_size, page_token })
    };

    /// An App.
    AppInput in session {
        /// The tenant's slug.
        tenant: String,
        /// The host's id.
        app_id: u32,
    } => GetAppRequest |this, _place| Ok(pb::GetAppRequest { tenant: this.tenant, app_id: this.app_id });

    /// A page of a tenant's Users.
    UsersInput by page_size page_token in session {
        /// The tenant's slug.
        tenant: String,
    } => ListUsersRequest |this, _place| {
        let (tenant, page_size, page_token) = (this.tenant, this.page_size.into(), this.page_token);
        Ok(pb::ListUsersRequest { tenant, page_size, page_token })
    };

    /// A page of a tenant's links.
    LinksInput by page_size page_token in session {
        /// The tenant's slug.
        tenant: String,
        /// Those of this issuer, exactly as in `iss`.
        #[serde(default)]
        issuer: String,
        /// The one of this subject of the issuer, exactly as in `sub`.
        #[serde(default)]
        subject: String,
    } => ListLinksRequest |this, _place| {
        let LinksInput { tenant, issuer, subject, page_size, page_token, .. } = this;
        Ok(pb::ListLinksRequest { tenant, page_size: page_size.into(), page_token, issuer, subject })
    };

    /// A link to be added.
    NewLinkInput in session {
        /// The tenant's slug.
        tenant: String,
        /// The issuer, exactly as in `iss`.
        issuer: String,
        /// Who there, exactly as in `sub`; kept as a keyed hash.
        subject: String,
        /// The App it acts as.
        app_id: u32,
        /// The User it acts for.
        user_id: u32,
        /// Of one's own choice; the same request with the same id is carried out once.
        #[serde(default)]
        request_id: String,
    } => CreateLinkRequest |this, _place| {
        let NewLinkInput { tenant, issuer, subject, app_id, user_id, request_id, .. } = this;
        let link = Some(pb::Link { tenant, issuer, app_id, user_id, ..pb::Link::default() });
        Ok(pb::CreateLinkRequest { link, subject, request_id })
    };

    /// A link to be removed.
    OldLinkInput in session {
        /// The tenant's slug.
        tenant: String,
        /// Its id.
        link_id: String,
        /// Ties the trail's event to one's own request.
        #[serde(default)]
        request_id: String,
    } => DeleteLinkRequest |this, _place| {
        let (tenant, link_id, request_id) = (this.tenant, this.link_id, this.request_id);
        Ok(pb::DeleteLinkRequest { tenant, link_id, request_id })
    };

    /// A page of a tenant's issuers.
    IssuersInput by page_size page_token in session {
        /// The tenant's slug.
        tenant: String,
    } => ListIssuersRequest |this, _place| {
        let (tenant, page_size, page_token) = (this.tenant, this.page_size.into(), this.page_token);
        Ok(pb::ListIssuersRequest { tenant, page_size, page_token })
    };

    /// An issuer.
    IssuerInput in session {
        /// The tenant's slug.
        tenant: String,
        /// Its id.
        issuer_id: String,
    } => GetIssuerRequest |this, _place| Ok(pb::GetIssuerRequest { tenant: this.tenant, issuer_id: this.issuer_id });

    /// A page of a tenant's credentials.
    CredentialsInput by page_size page_token in session {
        /// The tenant's slug.
        tenant: String,
        /// Those that act as this App.
        #[serde(default)]
        app_id: u32,
        /// Those that act for this User.
        #[serde(default)]
        user_id: u32,
        /// Only those in force that cost a slow hash at first use.
        #[serde(default)]
        weak: bool,
    } => ListCredentialsRequest |this, _place| {
        let CredentialsInput { tenant, app_id, user_id, weak, page_size, page_token, .. } = this;
        Ok(pb::ListCredentialsRequest { tenant, page_size: page_size.into(), page_token, app_id, user_id, weak })
    };

    /// A credential.
    CredentialInput in session {
        /// Its public id.
        credential_id: String,
    } => GetCredentialRequest |this, _place| Ok(pb::GetCredentialRequest { credential_id: this.credential_id });

    /// A credential to be issued.
    IssueInput in session {
        /// The tenant's slug.
        tenant: String,
        /// The App it acts as.
        app_id: u32,
        /// The User it acts for.
        user_id: u32,
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
        /// First invalid moment, RFC 3339.
        expires_at: Option<String>,
        /// The same as seconds from now.
        #[serde(default)]
        expires_in_seconds: u64,
        /// A honey key: refused like any other bad key, and an alarm when it is used.
        #[serde(default)]
        decoy: bool,
        /// Of one's own choice; the same request with the same id is carried out once.
        #[serde(default)]
        request_id: String,
    } => IssueCredentialRequest |this, _place| {
        let credential = pb::Credential {
            tenant: this.tenant,
            app_id: this.app_id,
            user_id: this.user_id,
            label: this.label,
            environment: this.environment.rpc().into(),
            scopes: this.scopes,
            cidrs: this.cidrs,
            not_before: moment("not_before", this.not_before)?,
            expires_at: moment("expires_at", this.expires_at)?,
            decoy: this.decoy,
            ..pb::Credential::default()
        };
        let (expires_in_seconds, request_id) = (this.expires_in_seconds, this.request_id);
        Ok(pb::IssueCredentialRequest { credential: Some(credential), expires_in_seconds, argon2: None, request_id })
    };

    /// A credential that gives its place to a new one.
    RotateInput in session {
        /// Its public id.
        credential_id: String,
        /// How long it stays good beside the new one.
        #[serde(default)]
        grace_seconds: u64,
        /// The new one's first invalid moment, RFC 3339; without it, it lives as long as the old one was made for.
        expires_at: Option<String>,
        /// The same as seconds from now.
        #[serde(default)]
        expires_in_seconds: u64,
        /// As it was read, to be refused where it was changed since.
        #[serde(default)]
        etag: String,
        /// Of one's own choice; the same request with the same id is carried out once.
        #[serde(default)]
        request_id: String,
    } => RotateCredentialRequest |this, _place| {
        let expires_at = moment("expires_at", this.expires_at)?;
        let RotateInput { credential_id, grace_seconds, expires_in_seconds, etag, request_id, .. } = this;
        let argon2 = None;
        Ok(pb::RotateCredentialRequest { credential_id, grace_seconds, expires_at, expires_in_seconds, argon2, etag, request_id })
    };

    /// A credential to be taken back.
    RevokeInput in session {
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

    /// What is to change of a credential.
    UpdateInput in session {
        /// Its public id.
        credential_id: String,
        /// A name for people.
        #[serde(default)]
        label: String,
        /// What the gateway is told it may do.
        #[serde(default)]
        scopes: Vec<String>,
        /// The ranges of addresses it may be used from.
        #[serde(default)]
        cidrs: Vec<String>,
        /// First valid moment, RFC 3339.
        not_before: Option<String>,
        /// First invalid moment, RFC 3339.
        expires_at: Option<String>,
        /// The same as seconds from now.
        #[serde(default)]
        expires_in_seconds: u64,
        /// The fields that change: `label`, `scopes`, `cidrs`, `not_before`, `expires_at`. One that is named and not given
        /// becomes empty. Without it, those that are given.
        #[serde(default)]
        update_mask: Vec<String>,
        /// As it was read, to be refused where it was changed since.
        #[serde(default)]
        etag: String,
        /// Ties the trail's event to one's own request.
        #[serde(default)]
        request_id: String,
    } => UpdateCredentialRequest |this, _place| {
        let credential = pb::Credential {
            credential_id: this.credential_id,
            label: this.label,
            scopes: this.scopes,
            cidrs: this.cidrs,
            not_before: moment("not_before", this.not_before)?,
            expires_at: moment("expires_at", this.expires_at)?,
            etag: this.etag,
            ..pb::Credential::default()
        };
        let update_mask = Some(this.update_mask).filter(|paths| !paths.is_empty()).map(|paths| FieldMask { paths });
        let (expires_in_seconds, request_id) = (this.expires_in_seconds, this.request_id);
        Ok(pb::UpdateCredentialRequest { credential: Some(credential), update_mask, expires_in_seconds, request_id })
    };

    /// A page of the audit trail.
    EventsInput by page_size page_token in session {
        /// Events of this tenant.
        #[serde(default)]
        tenant: String,
        /// In which this was done, such as `credential.issued`.
        #[serde(default)]
        action: String,
        /// By whom, as in an event.
        #[serde(default)]
        actor: String,
        /// To the thing of this id.
        #[serde(default)]
        subject: String,
        /// From this moment on, RFC 3339.
        since: Option<String>,
        /// Before this moment, RFC 3339.
        until: Option<String>,
        /// After the event of this number.
        #[serde(default)]
        after: u64,
    } => ListAuditEventsRequest |this, _place| {
        let (since, until) = (moment("since", this.since)?, moment("until", this.until)?);
        let (tenant, action, actor, subject) = (this.tenant, this.action, this.actor, this.subject);
        let filter = Some(pb::AuditFilter { tenant, action, actor, subject, since, until });
        let (page_size, page_token, after) = (this.page_size.into(), this.page_token, this.after);
        Ok(pb::ListAuditEventsRequest { filter, page_size, page_token, after })
    };

    /// A run of the validation checklist.
    ChecklistInput in session {
        /// The slug of a tenant; without it all that are the page's.
        #[serde(default)]
        tenant: String,
        /// How many credentials, chosen by chance; 200 at most, and where nothing is said.
        #[serde(default)]
        sample: u32,
        /// Ties the trail's event to one's own request.
        #[serde(default)]
        request_id: String,
    } => RunChecklistRequest |this, _place| {
        Ok(pb::RunChecklistRequest { sample: this.sample, tenant: this.tenant, request_id: this.request_id })
    };

    /// A page of operators.
    OperatorsInput by page_size page_token in session {} => ListOperatorsRequest |this, _place| {
        Ok(pb::ListOperatorsRequest { page_size: this.page_size.into(), page_token: this.page_token })
    };
}

/// An operator's token.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(in crate::transport::admin::pages) struct RaiseInput {
    /// `lkop_…`.
    pub(in crate::transport::admin::pages) operator_token: SecretText,
}

/// A session.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(in crate::transport::admin::pages) struct LowerInput {
    /// The handle that `raise` answered.
    pub(in crate::transport::admin::pages) session: SecretText,
}

//! Short-lived tokens, and the keys that sign them.

use crate::admin::{
    Admin, AdminError, AdminResult, JudgedSigningKey, JudgedToken, SigningKeyState, TokenRef, TokenRequest, TokenState,
    Verdict,
};
use crate::domain::{Algorithm, LlmId, SigningKeyRow};
use crate::pb::admin::v1 as pb;
use crate::secret::Secret;
use crate::transport::admin::Desk;
use crate::transport::admin::convert::{self, invalid, required, timestamp};
use crate::transport::admin::credentials;
use crate::transport::admin::page::Listing;
use crate::transport::admin::urgent::Effect;

fn message(tenant: &str, judged: &JudgedToken) -> pb::Token {
    let JudgedToken { token, state } = judged;
    pb::Token {
        token_id: token.jti.id().to_string(),
        tenant: tenant.to_owned(),
        credential_id: token.credential.to_string(),
        status: state.as_str().to_owned(),
        issued_at: Some(timestamp(token.issued_at_ms)),
        expires_at: Some(timestamp(token.expires_at_ms)),
        revoked_at: token.revoked_at_ms.map(timestamp),
    }
}

/// With the slug of its tenant.
fn described(admin: &Admin, judged: &JudgedToken) -> AdminResult<pb::Token> {
    Ok(message(&admin.slug_of(judged.token.tenant)?, judged))
}

fn key_message(key: SigningKeyRow, state: SigningKeyState) -> pb::SigningKey {
    pb::SigningKey {
        kid: key.kid,
        algorithm: key.algorithm.as_str().to_owned(),
        public_jwk: key.public_jwk,
        status: state.as_str().to_owned(),
        created_at: Some(timestamp(key.created_at_ms)),
        retires_at: key.retires_at_ms.map(timestamp),
    }
}

fn given(text: &str) -> Option<&str> {
    Some(text).filter(|text| !text.is_empty())
}

pub(super) fn issue(_: &Desk, admin: &Admin, q: pb::IssueTokenRequest) -> AdminResult<pb::IssueTokenResponse> {
    if q.no_scopes && !q.scopes.is_empty() {
        return Err(invalid("no_scopes", "not beside scopes"));
    }
    let llms = q.llm_ids.iter().map(|id| LlmId::new(*id)).collect::<Option<Vec<_>>>();
    let llms = llms.ok_or_else(|| invalid("llm_ids", "ids from 1 to 4294967295"))?;
    let request = TokenRequest {
        scopes: (q.no_scopes || !q.scopes.is_empty()).then_some(q.scopes),
        llms: Some(llms).filter(|llms| !llms.is_empty()),
        ttl_s: Some(q.expires_in_seconds).filter(|seconds| *seconds > 0),
    };
    let id = convert::credential_id(&q.credential_id)?;
    match admin.issue_token(given(&q.tenant), id, &request) {
        Err(AdminError::Replayed { resource }) => {
            let issued = described(admin, &admin.token(convert::token_id(&resource)?)?)?;
            Ok(pb::IssueTokenResponse { issued: Some(issued), replayed: true, ..Default::default() })
        }
        other => {
            let minted = other?;
            let judged = JudgedToken { token: minted.token, state: TokenState::Active };
            let llm_ids = minted.llms.unwrap_or_default().iter().map(|llm| llm.get()).collect();
            Ok(pb::IssueTokenResponse {
                token: convert::shown(&minted.text),
                issued: Some(described(admin, &judged)?),
                scopes: minted.scopes,
                llm_ids,
                replayed: false,
            })
        }
    }
}

pub(super) fn list(_: &Desk, admin: &Admin, q: pb::ListTokensRequest) -> AdminResult<pb::ListTokensResponse> {
    let listing = Listing::of("ListTokens", &[&q.tenant, &q.credential_id]);
    let page = listing.page(q.page_size, &q.page_token)?;
    let id = convert::credential_id(&q.credential_id)?;
    let (tenant, listed) = admin.list_tokens(given(&q.tenant), id, page)?;
    let next_page_token = listing.token(listed.next.as_ref());
    let tokens = listed.rows.iter().map(|token| message(&tenant.slug, token)).collect();
    Ok(pb::ListTokensResponse { tokens, next_page_token })
}

fn which(q: &pb::RevokeTokenRequest) -> AdminResult<TokenRef> {
    use pb::revoke_token_request::Which;
    Ok(match required("token_id", q.which.as_ref())? {
        Which::TokenId(id) => TokenRef::Id(convert::token_id(id)?),
        Which::Token(text) => TokenRef::Text(Secret::new(text.as_bytes().to_vec())),
    })
}

pub(super) fn revokes(_: &Desk, admin: &Admin, q: &pb::RevokeTokenRequest) -> AdminResult<Effect> {
    admin.may_revoke_token(given(&q.tenant), &which(q)?).map(Effect::Takes)
}

pub(super) fn revoke(_: &Desk, admin: &Admin, q: pb::RevokeTokenRequest) -> AdminResult<pb::RevokeTokenResponse> {
    let (revoked, already) = admin.revoke_token(given(&q.tenant), &which(&q)?)?;
    Ok(pb::RevokeTokenResponse { token: Some(described(admin, &revoked)?), already })
}

pub(super) fn revokes_all(_: &Desk, admin: &Admin, q: &pb::RevokeCredentialTokensRequest) -> AdminResult<Effect> {
    admin.may_revoke_tokens_of(given(&q.tenant), convert::credential_id(&q.credential_id)?).map(Effect::Takes)
}

pub(super) fn revoke_all(
    _: &Desk,
    admin: &Admin,
    q: pb::RevokeCredentialTokensRequest,
) -> AdminResult<pb::RevokeCredentialTokensResponse> {
    let parent = admin.revoke_tokens_of(given(&q.tenant), convert::credential_id(&q.credential_id)?)?;
    let credential = credentials::message(&admin.tenant_of(&parent)?, parent, admin.now_ms());
    Ok(pb::RevokeCredentialTokensResponse { credential: Some(credential) })
}

pub(super) fn inspect(_: &Desk, admin: &Admin, q: pb::InspectTokenRequest) -> AdminResult<pb::InspectTokenResponse> {
    let told = admin.inspect_token(&Secret::new(q.token.into_bytes()))?;
    let checks = told.checks.iter().map(|(check, verdict)| {
        let (outcome, reason, text) = match verdict {
            Verdict::Holds => (pb::Outcome::Holds, "", ""),
            Verdict::Fails { code, text } => (pb::Outcome::Fails, *code, *text),
            Verdict::NotJudged => (pb::Outcome::NotJudged, "", ""),
        };
        let (check, reason, text) = ((*check).to_owned(), reason.to_owned(), text.to_owned());
        pb::TokenCheck { check, outcome: outcome.into(), reason, text }
    });
    Ok(pb::InspectTokenResponse {
        valid: told.holds(),
        checks: checks.collect(),
        token: told.token.as_ref().map(|token| described(admin, token)).transpose()?,
        header: told.header.unwrap_or_default(),
        claims: told.claims.unwrap_or_default(),
    })
}

pub(super) fn keys(_: &Desk, admin: &Admin, _: pb::ListSigningKeysRequest) -> AdminResult<pb::ListSigningKeysResponse> {
    let keys = admin.list_signing_keys()?.into_iter();
    let keys = keys.map(|JudgedSigningKey { key, state }| key_message(key, state)).collect();
    Ok(pb::ListSigningKeysResponse { keys })
}

pub(super) fn rotate_key(
    _: &Desk,
    admin: &Admin,
    q: pb::RotateSigningKeyRequest,
) -> AdminResult<pb::RotateSigningKeyResponse> {
    let algorithm = given(&q.algorithm).map_or(Some(Algorithm::EdDSA), Algorithm::parse);
    let algorithm = algorithm.filter(|algorithm| SigningKeyRow::ALGORITHMS.contains(algorithm));
    let algorithm = algorithm.ok_or_else(|| invalid("algorithm", "EdDSA or ES256"))?;
    let rotated = admin.rotate_signing_key(algorithm, q.at_once)?;
    let state = if q.at_once { SigningKeyState::Retired } else { SigningKeyState::Verifying };
    Ok(pb::RotateSigningKeyResponse {
        key: Some(key_message(rotated.key, SigningKeyState::Signing)),
        retired: rotated.retired.into_iter().map(|key| key_message(key, state)).collect(),
    })
}

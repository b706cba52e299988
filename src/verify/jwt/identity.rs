//! Whom a verified token of an outside issuer stands for: what is fixed, what its claims say, or the link of its subject.
//!
//! The User is never found by the subject alone, and never by an address of mail: always within the issuer (control C5).

use crate::domain::credential::{MAX_SCOPES, is_scope};
use crate::domain::issuer::{ClaimPath, Half, Identity, Issuer};
use crate::domain::{AppId, LinkId, Position, Reason, Subject, UserId};
use crate::jwt::claims::Claims;
use crate::jwt::json::Value;
use crate::jwt::token::VerifiedToken;
use crate::verify::jwt::first_use::Added;
use crate::verify::jwt::{Jwts, resting};
use crate::verify::subject::SubjectKey;
use crate::verify::{Refused, RestsOn};

/// Whom a token stands for.
pub struct Standing {
    /// The App.
    pub app: AppId,
    /// The User.
    pub user: UserId,
    /// The link that says so.
    pub link: Option<LinkId>,
    /// The feed position that the link was read at.
    pub position: Option<Position>,
}

impl Jwts {
    pub(super) async fn standing(
        &self,
        key: &SubjectKey,
        issuer: &Issuer,
        position: Position,
        token: &VerifiedToken,
        may_link: bool,
        now_ms: i64,
    ) -> Result<Standing, Refused> {
        match &issuer.identity {
            Identity::Mapped { app, user } => {
                let (app, user) = (half(app, token.claims())?, half(user, token.claims())?);
                Ok(Standing { app, user, link: None, position: None })
            }
            Identity::Linked { first_use } => {
                let subject = token.claims().subject().ok_or(Reason::ClaimUnusable)?;
                let missing = match self.link(key, issuer, position, subject) {
                    Err(refused) if refused.reason == Reason::LinkMissing => refused,
                    found => return found,
                };
                let Some(rule) = first_use else { return Err(missing) };
                match self.add_link(key, issuer, rule, token.claims(), subject, may_link, now_ms).await? {
                    Added::Linked => self.link(key, issuer, position, subject),
                    // Its claims, the rule and who was linked before say so; that changes with the issuer's row.
                    Added::Never => Err(missing),
                    Added::NotNow => Err(Reason::LinkMissing.into()),
                }
            }
        }
    }

    fn link(&self, key: &SubjectKey, issuer: &Issuer, position: Position, subject: &str) -> Result<Standing, Refused> {
        let hash = key.hash(issuer.tenant, &issuer.rules.iss, subject);
        let found = self.store.links().look_up(issuer.tenant, &issuer.rules.iss, hash);
        let found = found.map_err(|_| Reason::StoreUnavailable)?;
        let Some(link) = found.row else {
            let missing = resting(Reason::LinkMissing, found.position.min(position), Subject::Links);
            let rests_on = missing.rests_on.map(|on| RestsOn { beside: Some(Subject::Issuer(issuer.id)), ..on });
            return Err(Refused { rests_on, ..missing });
        };
        let about =
            (link.tenant, link.issuer.as_str(), link.subject) == (issuer.tenant, issuer.rules.iss.as_str(), hash);
        if !about || !key.is_genuine(&link) {
            return Err(Reason::LinkForged.into());
        }
        Ok(Standing { app: link.app, user: link.user, link: Some(link.id), position: Some(found.position) })
    }
}

/// An id of the host: a decimal without sign or leading zeros, as text or as a number.
trait HostId: Copy {
    fn of(value: u32) -> Option<Self>;
}

impl HostId for AppId {
    fn of(value: u32) -> Option<Self> {
        Self::new(value)
    }
}

impl HostId for UserId {
    fn of(value: u32) -> Option<Self> {
        Self::new(value)
    }
}

fn half<Id: HostId>(half: &Half<Id>, claims: &Claims) -> Result<Id, Reason> {
    let path = match half {
        Half::Fixed(id) => return Ok(*id),
        Half::Claim(path) => path,
    };
    let number = match claims.get(path) {
        Some(Value::Integer(number)) => u32::try_from(*number).ok(),
        Some(Value::Text(text)) => text.parse().ok().filter(|number: &u32| number.to_string() == *text),
        _ => None,
    };
    number.and_then(Id::of).ok_or(Reason::ClaimUnusable)
}

/// The scopes that a token gives: a text of them with spaces between (RFC 8693 section 4.2), or a list of texts; none where
/// it says nothing. What is no scope by RFC 6749 section 3.3 is in no header of a gateway.
pub(super) fn scopes(issuer: &Issuer, claims: &Claims) -> Result<Vec<String>, Reason> {
    let texts: Vec<String> = match claims.get(&issuer.scope_claim) {
        None => return Ok(Vec::new()),
        Some(Value::Text(text)) if text.is_empty() => return Ok(Vec::new()),
        Some(Value::Text(text)) => text.split(' ').map(str::to_owned).collect(),
        Some(_) => {
            let texts = claims.text_or_list(&issuer.scope_claim).ok_or(Reason::ClaimUnusable)?;
            texts.into_iter().map(str::to_owned).collect()
        }
    };
    let fit = texts.len() <= MAX_SCOPES && texts.iter().all(|scope| is_scope(scope));
    fit.then_some(texts).ok_or(Reason::ClaimUnusable)
}

/// Whether the claim at `path` is exactly this text, or has it in its list.
pub(super) fn says(claims: &Claims, path: &ClaimPath, text: &str) -> bool {
    claims.text_or_list(path).is_some_and(|texts| texts.contains(&text))
}

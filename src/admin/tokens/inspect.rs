//! What is said of a token of ours, check by check: for admins, who may know; never on the answer path.

use crate::admin::authority::{Act, Permit};
use crate::admin::tokens::rows::{AS_PRESENTED, JudgedToken, no_token};
use crate::admin::{Admin, AdminResult};
use crate::domain::token::content_hash;
use crate::domain::token::{GENERATION, TYP};
use crate::domain::{Credential, CredentialId, JtiHash, SigningKeyRow};
use crate::issue::jwks;
use crate::jwt::claims::{Claims, Rules};
use crate::jwt::compact::{self, Compact};
use crate::jwt::keys::KeySet;
use crate::jwt::token::Unverified;
use crate::jwt::{Check, Fault, MAX_TOKEN_LEN};
use crate::secret::{Secret, TokenText};

/// How a check turned out.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Verdict {
    /// It holds.
    Holds,
    /// It does not, and why.
    Fails {
        /// A stable name.
        code: &'static str,
        /// In words, with the clause that says so.
        text: &'static str,
    },
    /// One before it failed.
    NotJudged,
}

/// A token, looked at.
pub struct Inspection {
    /// Every check in its order.
    pub checks: Vec<(&'static str, Verdict)>,
    /// What its header says, as JSON; none where it has not the form of a token.
    pub header: Option<String>,
    /// What it says, as JSON: to be believed only where every check holds.
    pub claims: Option<String>,
    /// What is kept of it.
    pub token: Option<JudgedToken>,
}

impl Inspection {
    /// Whether a request with it would be taken, as far as that is not a matter of the request.
    pub fn holds(&self) -> bool {
        self.checks.iter().all(|(_, verdict)| *verdict == Verdict::Holds)
    }
}

type OwnCheck = fn(&Facts<'_>) -> Option<(&'static str, &'static str)>;

struct Facts<'a> {
    claims: &'a Claims,
    row: Option<&'a JudgedToken>,
    genuine: bool,
    payload: &'a [u8],
    parent: Option<&'a Credential>,
    now_ms: i64,
}

/// What is asked beyond what every JWT is asked, in its order.
const OWN: &[(&str, OwnCheck)] = &[
    ("row", |f| match f.row {
        None => Some(("row_missing", "there is no record of it: we did not issue it, or it ended more than a day ago")),
        Some(row) if row.token.revoked_at_ms.is_some() => None,
        Some(_) if !f.genuine => {
            Some(("row_forged", "its record was not written by Latchkey, or the key of subject hashes is not here"))
        }
        Some(row) if row.token.content != content_hash(f.payload) => {
            Some(("content", "it does not say what was issued under its id: whoever signed it has our key"))
        }
        Some(_) => None,
    }),
    ("revocation", |f| {
        let revoked = f.row.is_some_and(|row| row.token.revoked_at_ms.is_some());
        revoked.then_some(("revoked", "it was taken back (RFC 7009)"))
    }),
    ("credential", |f| match f.parent {
        None => Some(("credential_missing", "the credential that it is of is not there")),
        Some(parent) if f.row.is_some_and(|row| row.token.credential != parent.id) => {
            Some(("credential_other", "it was issued for another credential"))
        }
        Some(parent) => parent
            .check_validity(f.now_ms)
            .err()
            .map(|reason| (reason.code(), "the credential that it is of is not in force")),
    }),
    ("generation", |f| {
        let said = f.claims.all().get(GENERATION).and_then(|value| value.as_text());
        let same = f.parent.is_some_and(|parent| said == Some(parent.generation.0.to_string().as_str()));
        // Of one that was rotated its tokens live on as it does.
        let rotated = f.parent.is_some_and(|parent| parent.replaced.is_some());
        (!same && !rotated).then_some(("superseded", "the credential that it is of was changed since it was issued"))
    }),
];

impl Admin {
    /// Judges a token by everything that does not depend on a request.
    ///
    /// # Errors
    /// When the caller may not, or it is of a tenant that is not theirs.
    pub fn inspect_token(&self, text: &Secret<TokenText>) -> AdminResult<Inspection> {
        // As of any credential: what tells whether one is good is no reading.
        let permit = self.permit(Act::Try)?;
        #[expect(clippy::disallowed_methods, reason = "the token is what is looked at")]
        let bytes = text.expose();
        let token = match Unverified::parse(bytes) {
            Ok(token) => token,
            Err(fault) => {
                let checks = steps(Err(fault), &[Verdict::NotJudged; OWN.len()]);
                return Ok(Inspection { checks, header: None, claims: None, token: None });
            }
        };
        let claims = token.unverified_claims();
        let parent = self.claimed_parent(&permit, claims)?;
        let (header, said) = (Some(token.header().all().to_json()), Some(claims.all().to_json()));
        let own = Rules {
            issuer: Some(&self.token_rules()?.issuer),
            audiences: Some(std::slice::from_ref(&self.token_rules()?.audience)),
            types: Some(&[TYP.to_owned()]),
            leeway_s: 0,
            max_age_s: None,
            required: &[],
        };
        let (_, keys) = self.signing_keys(&permit)?;
        let keys = KeySet::from_jwks(jwks::published(&keys, self.now_ms()).to_string().as_bytes());
        let judged = keys.and_then(|keys| token.examine(&keys, SigningKeyRow::ALGORITHMS, &own, self.now_ms()));
        let (mut verdicts, mut row) = ([Verdict::NotJudged; OWN.len()], None);
        if judged.is_ok() {
            row = self.kept_row(&permit, claims)?;
            let payload = Compact::split(bytes, MAX_TOKEN_LEN).and_then(|parts| compact::decode(parts.payload));
            let key = self.subject_key_if_there(&permit)?;
            let genuine = row.as_ref().is_some_and(|row| key.is_some_and(|key| key.is_genuine_token(&row.token)));
            let payload = payload.unwrap_or_default();
            let (row, parent) = (row.as_ref(), parent.as_ref());
            let facts = Facts { claims, row, genuine, payload: &payload, parent, now_ms: self.now_ms() };
            for (verdict, (_, check)) in verdicts.iter_mut().zip(OWN) {
                *verdict = check(&facts).map_or(Verdict::Holds, |(code, text)| Verdict::Fails { code, text });
                if *verdict != Verdict::Holds {
                    break;
                }
            }
        }
        Ok(Inspection { checks: steps(judged, &verdicts), header, claims: said, token: row })
    }

    /// The credential that it says it is of. For who is bound to tenants there is no token but of one that is theirs.
    fn claimed_parent(&self, permit: &Permit<'_>, claims: &Claims) -> AdminResult<Option<Credential>> {
        let id = claims.subject().and_then(|subject| subject.parse::<CredentialId>().ok());
        let found = id.map_or(Ok(None), |id| permit.store().credentials().look_up(id).map(|found| found.row))?;
        match found {
            Some(row) if permit.may_see(&row)? => Ok(Some(row)),
            None if !self.is_bound() => Ok(None),
            _ => Err(no_token(AS_PRESENTED)),
        }
    }

    fn kept_row(&self, permit: &Permit<'_>, claims: &Claims) -> AdminResult<Option<JudgedToken>> {
        let Some(jti) = claims.token_id() else { return Ok(None) };
        let jti = JtiHash::of(&self.token_rules()?.issuer, jti);
        match permit.store().tokens().look_up(jti)?.row {
            Some(row) => self.judged_token(permit, row).map(Some),
            None => Ok(None),
        }
    }
}

/// Every check in its order: those of any JWT, then ours.
fn steps(judged: Result<(), Fault>, own: &[Verdict]) -> Vec<(&'static str, Verdict)> {
    let verdict = |check: Check| match judged {
        Ok(()) => Verdict::Holds,
        Err(fault) if check < fault.check() => Verdict::Holds,
        Err(fault) if check == fault.check() => Verdict::Fails { code: fault.code(), text: fault.text() },
        Err(_) => Verdict::NotJudged,
    };
    let of_any = Check::ALL.iter().map(|check| (check.name(), verdict(*check)));
    of_any.chain(OWN.iter().zip(own).map(|((name, _), verdict)| (*name, *verdict))).collect()
}

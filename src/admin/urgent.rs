//! What a call is about that takes something back: asked before it is tried, with the caller's own rights, so that nobody
//! has anything denied that is not theirs (rule R11).

use crate::admin::authority::Act;
use crate::admin::{Admin, AdminError, AdminResult};
use crate::domain::{AppId, CredentialId, Subject, UserId};

impl Admin {
    /// A credential that is to be revoked.
    ///
    /// # Errors
    /// When the caller may not, or there is none that is theirs.
    pub fn may_revoke_key(&self, id: CredentialId) -> AdminResult<Subject> {
        self.permit(Act::Issue)?.credential(id).map(|row| Subject::Credential(row.id))
    }

    /// A tenant that is to be suspended or resumed.
    ///
    /// # Errors
    /// When the caller may not, or there is none.
    pub fn may_suspend(&self, slug: &str) -> AdminResult<Subject> {
        self.permit(Act::Govern)?.tenant(slug).map(|tenant| Subject::Tenant(tenant.id))
    }

    /// An App that is to be switched off or on, or let go.
    ///
    /// # Errors
    /// When the caller may not, or there is none that is theirs.
    pub fn may_switch_app(&self, tenant: &str, id: AppId, let_go: bool) -> AdminResult<Subject> {
        let permit = self.permit(if let_go { Act::Govern } else { Act::Manage })?;
        permit.app(&permit.tenant(tenant)?, id).map(|app| Subject::App(app.id))
    }

    /// A User who is to be switched off or on, or let go.
    ///
    /// # Errors
    /// When the caller may not, or there is none that is theirs.
    pub fn may_switch_user(&self, tenant: &str, id: UserId, let_go: bool) -> AdminResult<Subject> {
        let permit = self.permit(if let_go { Act::Govern } else { Act::Manage })?;
        permit.user(&permit.tenant(tenant)?, id).map(|user| Subject::User(user.id))
    }

    /// An operator whose token is to be taken back. `gone` are those that count as gone already.
    ///
    /// # Errors
    /// When the caller may not, there is none, or it is the last owner that is bound to no tenant.
    pub fn may_revoke_operator(&self, name_or_id: &str, gone: impl Fn(Subject) -> bool) -> AdminResult<Subject> {
        self.permit(Act::Govern)?;
        let operator = self.operator(name_or_id)?;
        let subject = Subject::Operator(operator.id);
        let is_left = |other: &crate::domain::Operator| {
            other.id != operator.id && other.governs() && !gone(Subject::Operator(other.id))
        };
        if operator.revoked_at_ms.is_none() && !self.operators()?.iter().any(is_left) {
            return Err(AdminError::LastOwner(operator.name));
        }
        Ok(subject)
    }
}

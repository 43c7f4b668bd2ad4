//! What each role may do, in one table.

use std::fmt;
use std::str::FromStr;

use crate::platform::fault::Fault;
use crate::platform::language::Text;
use crate::tenancy::model::EnterpriseState;
use crate::words;

words! {
    /// What an operator is to the enterprise.
    pub enum Role {
        /// May do everything the enterprise can do.
        Owner = "OWNER",
        /// Everything but what concerns ownership.
        Admin = "ADMIN",
        /// Runs campaigns: catalogue, activities, holders.
        Operator = "OPERATOR",
        /// Sees and settles money: orders, merchants.
        Finance = "FINANCE",
        /// Sees everything, changes nothing.
        Auditor = "AUDITOR",
    }
}

words! {
    /// One thing that may be allowed. Its name is what a refused caller is told, and an API client's scope.
    pub enum Permission {
        /// See the enterprise, its operators and its qualifications.
        EnterpriseRead = "ENTERPRISE_READ",
        /// Hand in qualifications and documents.
        EnterpriseManage = "ENTERPRISE_MANAGE",
        /// Invite, disable and change operators; end their sessions.
        OperatorManage = "OPERATOR_MANAGE",
        /// Make API clients and their secrets.
        ClientManage = "CLIENT_MANAGE",
        /// Configure single sign-on and WeChat.
        SsoManage = "SSO_MANAGE",
        /// See the partner's branches and their totals.
        BranchRead = "BRANCH_READ",
        /// Create, disable, enable and expire the partner's branches.
        BranchManage = "BRANCH_MANAGE",
        /// Act for one of the partner's branches.
        BranchAct = "BRANCH_ACT",
        /// Read and export the audit log.
        AuditRead = "AUDIT_READ",
        /// See series and collectibles.
        CatalogRead = "CATALOG_READ",
        /// Make and issue series and collectibles.
        CatalogManage = "CATALOG_MANAGE",
        /// See activities, draws and claims.
        ActivityRead = "ACTIVITY_READ",
        /// Run activities.
        ActivityManage = "ACTIVITY_MANAGE",
        /// See offers, orders and merchants.
        SaleRead = "SALE_READ",
        /// Sell: offers, merchants, domains, orders.
        SaleManage = "SALE_MANAGE",
        /// See holders, with personal data masked.
        HolderRead = "HOLDER_READ",
        /// Vouch for a person and get their token.
        HolderSignOn = "HOLDER_SIGN_ON",
        /// See a holder's personal data in clear; each look is recorded.
        HolderReveal = "HOLDER_REVEAL",
        /// Erase a holder's personal data.
        HolderErase = "HOLDER_ERASE",
        /// See items and transfers.
        TransferRead = "TRANSFER_READ",
        /// Move items between holders.
        TransferManage = "TRANSFER_MANAGE",
        /// Read and follow events.
        EventRead = "EVENT_READ",
    }
}

impl Permission {
    pub fn name(self) -> &'static str {
        self.as_str()
    }

    /// What operators may do while their enterprise does not work: see to it that it does.
    fn serves_admission(self) -> bool {
        use Permission::*;
        matches!(self, EnterpriseRead | EnterpriseManage | OperatorManage | AuditRead)
    }

    /// What an API client may be given. A machine looks after no people, no keys and no sign-on.
    pub fn may_be_a_scope(self) -> bool {
        use Permission::*;
        !matches!(self, EnterpriseManage | OperatorManage | ClientManage | SsoManage | HolderReveal)
    }
}

impl Permission {
    /// What a partner may be given within one of its branches. A branch has no branches; and who acts for a quarter of
    /// an hour makes no people, keys or sign-on that would be there after it.
    pub fn may_act_within_a_branch(self) -> bool {
        use Permission::*;
        !matches!(self, BranchRead | BranchManage | BranchAct | OperatorManage | ClientManage | SsoManage)
    }
}

impl EnterpriseState {
    /// Whether the enterprise's own people may do this while it is in this state.
    pub fn admits(self, permission: Permission) -> bool {
        match self {
            Self::Active => true,
            Self::Pending | Self::Suspended => permission.serves_admission(),
            Self::Closed => false,
        }
    }

    /// What the enterprise's own people are told who want what its state does not admit.
    pub fn refusing(self) -> Fault {
        Fault::Inactive(match self {
            Self::Pending => Text::new(
                "企业尚未入驻（PENDING）：目前只能查看和修改企业、资质与操作员，并查看审计日志。请用 `qualificationCreate` 提交 BUSINESS_LICENCE，再用 `enterpriseSubmit` 申请入驻；如已提交，请等待平台运营方审核。",
                "The enterprise is PENDING: itself, its qualifications and its operators can be seen and changed, its audit log read, and nothing else. Hand in a BUSINESS_LICENCE with `qualificationCreate`, then ask for admission with `enterpriseSubmit`; if you have, wait for the house's word.",
            ),
            Self::Active | Self::Suspended => Text::new(
                "企业已被暂停（SUSPENDED）：目前只能查看和修改企业、资质与操作员，并查看审计日志。原因见 `stateReason`，请联系平台运营方；分支请联系其合作方。",
                "The enterprise is SUSPENDED: itself, its qualifications and its operators can be seen and changed, its audit log read, and nothing else. `stateReason` says why; contact the house that runs this service, or, in a branch, its partner.",
            ),
            Self::Closed => Text::new(
                "企业已关闭（CLOSED），不能再进行任何操作；如有疑问请联系平台运营方。",
                "The enterprise is CLOSED for good; contact the house that runs this service if you have questions.",
            ),
        })
    }

    /// What its holders are told who want to do something while it does not work.
    pub fn refusing_holders(self) -> Fault {
        Fault::Inactive(match self {
            Self::Closed => Text::new(
                "该企业已关闭：您仍可查看已拥有的藏品，但不能再进行操作。",
                "The enterprise is CLOSED: you still see what you own, and nothing more can be done here.",
            ),
            Self::Pending | Self::Active | Self::Suspended => Text::new(
                "该企业已暂停服务：您仍可查看已拥有的藏品，请稍后再来操作，或联系该企业。",
                "The enterprise does not work at present: you still see what you own; come back later to do more, or ask the enterprise.",
            ),
        })
    }
}

impl Role {
    /// The table.
    pub fn permits(self, permission: Permission) -> bool {
        use Permission::*;
        match self {
            Role::Owner | Role::Admin => true,
            // Moving somebody's item is for good, selling is finance's, and people, keys and personal data are the
            // administrators': none of them is a campaign's. Nor is a holder's own token, which moves and erases too.
            Role::Operator => matches!(
                permission,
                EnterpriseRead
                    | CatalogRead
                    | CatalogManage
                    | ActivityRead
                    | ActivityManage
                    | SaleRead
                    | HolderRead
                    | TransferRead
                    | EventRead
                    | BranchRead
            ),
            Role::Finance => matches!(
                permission,
                EnterpriseRead
                    | CatalogRead
                    | ActivityRead
                    | SaleRead
                    | SaleManage
                    | TransferRead
                    | EventRead
                    | BranchRead
            ),
            Role::Auditor => permission.name().ends_with("_READ"),
        }
    }

    pub fn permissions(self) -> Permissions {
        Permission::ALL.iter().copied().filter(|&permission| self.permits(permission)).collect()
    }
}

/// A set of permissions. As text: their names, separated by spaces, as in OAuth's `scope`.
#[derive(Clone, Copy, Default, PartialEq, Eq)]
pub struct Permissions(u64);

impl Permissions {
    pub fn contains(self, permission: Permission) -> bool {
        self.0 & (1 << permission as u64) != 0
    }

    pub fn iter(self) -> impl Iterator<Item = Permission> {
        Permission::ALL.iter().copied().filter(move |&permission| self.contains(permission))
    }

    pub fn is_empty(self) -> bool {
        self.0 == 0
    }

    pub fn is_within(self, other: Permissions) -> bool {
        self.0 & !other.0 == 0
    }

    pub fn and(self, other: Permissions) -> Self {
        Self(self.0 & other.0)
    }

    pub fn without(self, permission: Permission) -> Self {
        Self(self.0 & !(1 << permission as u64))
    }
}

impl FromIterator<Permission> for Permissions {
    fn from_iter<I: IntoIterator<Item = Permission>>(permissions: I) -> Self {
        Self(permissions.into_iter().fold(0, |set, permission| set | 1 << permission as u64))
    }
}

impl fmt::Display for Permissions {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let names: Vec<&str> = self.iter().map(Permission::name).collect();
        formatter.write_str(&names.join(" "))
    }
}

impl fmt::Debug for Permissions {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "Permissions({self})")
    }
}

impl FromStr for Permissions {
    type Err = crate::platform::values::UnknownWord;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        text.split_ascii_whitespace().map(str::parse::<Permission>).collect()
    }
}

impl serde::Serialize for Permissions {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> serde::Deserialize<'de> for Permissions {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = <std::borrow::Cow<'de, str> as serde::Deserialize>::deserialize(deserializer)?;
        text.parse().map_err(serde::de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_auditor_changes_nothing() {
        let allowed = Role::Auditor.permissions();
        assert!(!allowed.is_empty());
        assert!(allowed.iter().all(|p| p.name().ends_with("_READ")), "{allowed:?}");
    }

    #[test]
    fn money_is_not_an_operators() {
        assert!(!Role::Operator.permits(Permission::SaleManage));
        assert!(!Role::Operator.permits(Permission::TransferManage));
        assert!(Role::Finance.permits(Permission::SaleManage));
        assert!(!Role::Finance.permits(Permission::ActivityManage));
        assert!(!Role::Finance.permits(Permission::HolderRead));
    }

    #[test]
    fn people_keys_and_personal_data_are_the_administrators() {
        use Permission::*;
        for permission in
            [OperatorManage, ClientManage, SsoManage, BranchManage, BranchAct, HolderSignOn, HolderReveal, HolderErase]
        {
            for &role in Role::ALL {
                assert_eq!(
                    role.permits(permission),
                    matches!(role, Role::Owner | Role::Admin),
                    "{role:?} {permission:?}"
                );
            }
        }
    }

    #[test]
    fn a_set_survives_its_text() {
        assert!(Permission::ALL.len() <= 64, "the set has 64 places");
        for &role in Role::ALL {
            let set = role.permissions();
            assert_eq!(set.to_string().parse::<Permissions>().unwrap(), set);
        }
        assert!("CATALOG_READ EVERYTHING".parse::<Permissions>().is_err());
        assert_eq!("".parse::<Permissions>().unwrap(), Permissions::default());
    }

    #[test]
    fn within_a_branch_nobody_makes_branches_or_what_outlasts_the_token() {
        let within: Permissions =
            Permission::ALL.iter().copied().filter(|permission| permission.may_act_within_a_branch()).collect();
        for permission in within.iter() {
            assert!(!permission.name().starts_with("BRANCH_"), "{permission:?}");
        }
        assert!(within.contains(Permission::ActivityManage) && !within.contains(Permission::ClientManage));
    }

    #[test]
    fn an_enterprise_that_does_not_work_sells_and_draws_nothing() {
        for state in [EnterpriseState::Pending, EnterpriseState::Suspended, EnterpriseState::Closed] {
            assert!(!state.admits(Permission::ActivityManage) && !state.admits(Permission::SaleManage), "{state:?}");
        }
        assert!(EnterpriseState::Pending.admits(Permission::EnterpriseManage));
        assert!(!EnterpriseState::Closed.admits(Permission::EnterpriseRead));
    }
}

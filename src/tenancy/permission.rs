//! What each role may do, in one table.

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

/// One thing that may be allowed. Its name is what a refused caller is told.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Permission {
    EnterpriseRead,
    CatalogRead,
    CatalogManage,
    ActivityRead,
    ActivityManage,
    SaleRead,
    SaleManage,
    HolderRead,
    HolderSignOn,
    TransferRead,
    TransferManage,
    EventRead,
}

impl Permission {
    pub const ALL: [Permission; 12] = [
        Permission::EnterpriseRead,
        Permission::CatalogRead,
        Permission::CatalogManage,
        Permission::ActivityRead,
        Permission::ActivityManage,
        Permission::SaleRead,
        Permission::SaleManage,
        Permission::HolderRead,
        Permission::HolderSignOn,
        Permission::TransferRead,
        Permission::TransferManage,
        Permission::EventRead,
    ];

    pub fn name(self) -> &'static str {
        match self {
            Permission::EnterpriseRead => "ENTERPRISE_READ",
            Permission::CatalogRead => "CATALOG_READ",
            Permission::CatalogManage => "CATALOG_MANAGE",
            Permission::ActivityRead => "ACTIVITY_READ",
            Permission::ActivityManage => "ACTIVITY_MANAGE",
            Permission::SaleRead => "SALE_READ",
            Permission::SaleManage => "SALE_MANAGE",
            Permission::HolderRead => "HOLDER_READ",
            Permission::HolderSignOn => "HOLDER_SIGN_ON",
            Permission::TransferRead => "TRANSFER_READ",
            Permission::TransferManage => "TRANSFER_MANAGE",
            Permission::EventRead => "EVENT_READ",
        }
    }
}

impl Role {
    /// The table.
    pub fn permits(self, permission: Permission) -> bool {
        use Permission::*;
        match self {
            Role::Owner | Role::Admin => true,
            // Moving somebody's item is for good, and selling is finance's: neither is a campaign's.
            Role::Operator => !matches!(permission, SaleManage | TransferManage),
            Role::Finance => {
                matches!(
                    permission,
                    EnterpriseRead | CatalogRead | ActivityRead | SaleRead | SaleManage | TransferRead | EventRead
                )
            }
            Role::Auditor => {
                matches!(
                    permission,
                    EnterpriseRead | CatalogRead | ActivityRead | SaleRead | HolderRead | TransferRead | EventRead
                )
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_auditor_changes_nothing() {
        let allowed: Vec<_> = Permission::ALL.into_iter().filter(|&p| Role::Auditor.permits(p)).collect();
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
}

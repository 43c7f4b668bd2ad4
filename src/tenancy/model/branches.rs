//! A partner's branches: enterprises of their own that a PLATFORM enterprise answers for.

use chrono::{DateTime, Utc};

use crate::tenancy::model::{Enterprise, EnterpriseState};
use crate::{codes, words};

words! {
    /// Where a branch stands, the house's and the partner's word taken together.
    pub enum BranchState {
        /// Works, as long as its partner does.
        Active = "ACTIVE",
        /// Stopped by its partner.
        Disabled = "DISABLED",
        /// Its time has run out.
        Expired = "EXPIRED",
        /// Stopped by the house.
        Suspended = "SUSPENDED",
        /// Closed by the house for good.
        Closed = "CLOSED",
    }
}

impl BranchState {
    /// The house's word goes before the partner's, and the partner's before the calendar's.
    pub fn of(branch: &Enterprise, now: DateTime<Utc>) -> Self {
        match branch.state {
            EnterpriseState::Closed => Self::Closed,
            EnterpriseState::Suspended | EnterpriseState::Pending => Self::Suspended,
            EnterpriseState::Active if branch.disabled_at.is_some() => Self::Disabled,
            EnterpriseState::Active if branch.expires_at.is_some_and(|end| end <= now) => Self::Expired,
            EnterpriseState::Active => Self::Active,
        }
    }
}

/// What a branch amounts to. Counted when asked for.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct BranchTotals {
    pub holders: i64,
    /// Pieces that somebody holds.
    pub items: i64,
    pub paid_orders: i64,
    /// Minor units by currency, sorted by its name.
    pub paid: Vec<(String, i64)>,
    pub running_activities: i64,
    pub issued_collectibles: i64,
}

impl BranchTotals {
    pub fn add(&mut self, other: &Self) {
        self.holders += other.holders;
        self.items += other.items;
        self.paid_orders += other.paid_orders;
        self.running_activities += other.running_activities;
        self.issued_collectibles += other.issued_collectibles;
        for (currency, minor) in &other.paid {
            self.add_paid(currency, *minor);
        }
    }

    pub fn add_paid(&mut self, currency: &str, minor: i64) {
        match self.paid.binary_search_by(|(known, _)| known.as_str().cmp(currency)) {
            Ok(place) => self.paid[place].1 += minor,
            Err(place) => self.paid.insert(place, (currency.to_owned(), minor)),
        }
    }
}

codes!(BranchErrorCode, BranchUserError, {
    InvalidInput = "INVALID_INPUT": "输入不合规，请按提示修改。" / "The input breaks a rule; change it as the message says.",
    NotAPartner = "NOT_A_PARTNER": "只有平台类（PLATFORM）企业可以管理分支，请联系平台运营方。" / "Only an enterprise of kind PLATFORM has branches; contact the house that runs this service.",
    NotFound = "NOT_FOUND": "没有找到您的该分支，可用 `branches` 列出。" / "You have no branch of that corpOpenId; list yours with `branches`.",
    AlreadyCreated = "ALREADY_CREATED": "该 corpOpenId 已用其他内容创建过分支，请用 `branch` 查看。" / "That corpOpenId has a branch that was created with another input; read it with `branch`.",
    SlugTaken = "SLUG_TAKEN": "该标识已被占用，请换一个或不填。" / "That slug is taken; choose another, or leave it out.",
    SignInTaken = "SIGN_IN_TAKEN": "该登录名已被占用，请换一个。" / "That sign-in name is taken; choose another.",
    Closed = "CLOSED": "该分支已被平台运营方永久关闭，如有疑问请联系平台运营方。" / "The house has closed this branch for good; ask it if you have questions.",
    NotActive = "NOT_ACTIVE": "该分支当前不可用，请查看其 `state`。" / "The branch does not work at present; read its `state`.",
    ScopeNotYours = "SCOPE_NOT_YOURS": "所申请的权限超出您自身的权限，或不能在分支内使用，请去掉后重试。" / "A scope that you asked for is not among your own permissions, or is of no use within a branch; leave it out.",
});

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tenancy::model::{EnterpriseId, EnterpriseKind};

    fn branch() -> Enterprise {
        Enterprise {
            id: EnterpriseId::generate(),
            slug: "branch".into(),
            name_chinese: "分支".into(),
            name_english: "Branch".into(),
            kind: EnterpriseKind::Standard,
            state: EnterpriseState::Active,
            state_reason: None,
            partner_id: Some(EnterpriseId::generate()),
            corp_open_id: Some("corp".into()),
            disabled_at: None,
            expires_at: None,
            times_disabled: 0,
            version: 1,
            created_at: DateTime::UNIX_EPOCH,
        }
    }

    #[test]
    fn the_house_goes_before_the_partner_and_the_partner_before_the_calendar() {
        let now = DateTime::UNIX_EPOCH;
        let (disabled_at, expires_at) = (Some(now), Some(now));
        assert_eq!(BranchState::of(&branch(), now), BranchState::Active);
        assert_eq!(BranchState::of(&Enterprise { expires_at, ..branch() }, now), BranchState::Expired);
        assert_eq!(BranchState::of(&Enterprise { disabled_at, expires_at, ..branch() }, now), BranchState::Disabled);
        for (state, told) in
            [(EnterpriseState::Suspended, BranchState::Suspended), (EnterpriseState::Closed, BranchState::Closed)]
        {
            assert_eq!(BranchState::of(&Enterprise { state, disabled_at, expires_at, ..branch() }, now), told);
        }
        let later = Some(now + chrono::TimeDelta::seconds(1));
        assert_eq!(BranchState::of(&Enterprise { expires_at: later, ..branch() }, now), BranchState::Active);
    }

    #[test]
    fn totals_add_up_currency_by_currency() {
        let mut sum = BranchTotals::default();
        let one = BranchTotals { holders: 1, paid_orders: 2, paid: vec![("CNY".into(), 5)], ..Default::default() };
        let other = BranchTotals { holders: 3, items: 4, paid: vec![("AUD".into(), 1)], ..Default::default() };
        for part in [&one, &other, &one] {
            sum.add(part);
        }
        let paid = vec![("AUD".to_owned(), 1), ("CNY".to_owned(), 10)];
        assert_eq!(sum, BranchTotals { holders: 5, items: 4, paid_orders: 4, paid, ..Default::default() });
    }
}

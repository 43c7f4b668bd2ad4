//! The enterprise ties words of its own to its holders, and gives some of them plans or sales of their own by these.

use serde_json::json;

use crate::platform::Platform;
use crate::platform::refusal::Refusal;
use crate::tenancy::audit;
use crate::tenancy::permission::Permission;
use crate::tenancy::scope::TenantScope;
use crate::wallets::model::{Holder, HolderErrorCode, HolderId};
use crate::wallets::store::tags;

const MAXIMUM_HOLDERS: usize = 1000;
const MAXIMUM_TAGS: usize = 20;
/// On one holder.
const MAXIMUM_IN_ALL: usize = 50;
const LENGTH: usize = 32;

#[derive(Clone, Debug)]
pub struct TagRequest {
    pub holders: Vec<HolderId>,
    pub add: Vec<String>,
    pub remove: Vec<String>,
}

/// Adds tags to holders and takes others off, for all of them or for none.
pub async fn change(
    platform: &Platform,
    scope: &TenantScope,
    request: &TagRequest,
) -> Result<Vec<Holder>, Refusal<HolderErrorCode>> {
    scope.require(Permission::HolderSignOn)?;
    check(request)?;
    let tx = scope.write(&platform.database).await?;
    let mut known = tags::lock_holders_in(&tx, &request.holders).await?;
    for (place, id) in request.holders.iter().enumerate() {
        let field = || format!("holderIds.{place}");
        let holder = known.get(id).ok_or_else(|| Refusal::at(field(), HolderErrorCode::HolderNotFound))?;
        if holder.erased_at.is_some() {
            return Err(Refusal::at(field(), HolderErrorCode::Erased));
        }
    }
    tags::remove_in(&tx, &request.holders, &request.remove).await?;
    tags::add_in(&tx, &request.holders, &request.add).await?;
    let now = tags::tags_of(&tx, &request.holders).await?;
    if now.values().any(|tags| tags.len() > MAXIMUM_IN_ALL) {
        return Err(Refusal::explained(
            "add",
            HolderErrorCode::InvalidInput,
            "每位用户最多 50 个标签，请先移除不用的标签。",
            "A holder has at most 50 tags; take off those that are not needed any more.",
        ));
    }
    let change = json!({ "holders": request.holders, "add": request.add, "remove": request.remove });
    audit::record_in(&tx, "holderTagsChange", scope.tenant().uuid(), None, &change).await?;
    tx.commit().await?;
    Ok(request.holders.iter().filter_map(|id| known.remove(id)).collect())
}

/// Whether a word can be a tag.
pub fn is_tag(word: &str) -> bool {
    let length = word.chars().count();
    (1..=LENGTH).contains(&length) && word.trim() == word && !word.chars().any(char::is_control)
}

fn check(request: &TagRequest) -> Result<(), Refusal<HolderErrorCode>> {
    let explain = |field, chinese, english| Refusal::explained(field, HolderErrorCode::InvalidInput, chinese, english);
    if !(1..=MAXIMUM_HOLDERS).contains(&request.holders.len()) {
        return Err(explain("holderIds", "须指定 1 到 1000 位用户。", "Name 1 to 1000 holders."));
    }
    for (field, words) in [("add", &request.add), ("remove", &request.remove)] {
        if words.len() > MAXIMUM_TAGS || !words.iter().all(|word| is_tag(word)) {
            return Err(explain(
                field,
                "标签最多 20 个，每个 1 到 32 个字符，首尾不能有空白。",
                "Name at most 20 tags of 1 to 32 characters each, without blanks around them.",
            ));
        }
    }
    if request.add.is_empty() && request.remove.is_empty() {
        return Err(explain("add", "须指定要添加或移除的标签。", "Name tags to add or to take off."));
    }
    if request.add.iter().any(|word| request.remove.contains(word)) {
        return Err(explain("remove", "同一标签不能既添加又移除。", "A tag is either added or taken off, not both."));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_tag_is_a_short_word() {
        assert!(is_tag("vip") && is_tag("金卡会员") && is_tag("gold member") && is_tag(&"字".repeat(32)));
        for word in ["", " vip", "vip ", "a\nb", "a\0b", &"字".repeat(33)] {
            assert!(!is_tag(word), "{word:?}");
        }
    }

    #[test]
    fn a_change_names_people_and_tags_each_way_once() {
        let request = |holders: usize, add: &[&str], remove: &[&str]| TagRequest {
            holders: (0..holders).map(|_| HolderId::generate()).collect(),
            add: add.iter().map(|word| (*word).to_owned()).collect(),
            remove: remove.iter().map(|word| (*word).to_owned()).collect(),
        };
        let refused = |request: TagRequest| match check(&request) {
            Ok(()) => None,
            Err(Refusal::Problems(problems)) => problems.into_iter().next().and_then(|problem| problem.field),
            Err(Refusal::Fault(fault)) => panic!("{fault}"),
        };
        assert_eq!(refused(request(1000, &["a"], &["b"])), None);
        assert_eq!(refused(request(0, &["a"], &[])).as_deref(), Some("holderIds"));
        assert_eq!(refused(request(1001, &["a"], &[])).as_deref(), Some("holderIds"));
        assert_eq!(refused(request(1, &[], &[])).as_deref(), Some("add"));
        assert_eq!(refused(request(1, &["a"], &["a"])).as_deref(), Some("remove"));
        assert_eq!(refused(request(1, &[" "], &[])).as_deref(), Some("add"));
    }
}

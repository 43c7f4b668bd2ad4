//! Endpoints of the enterprise's own (自定义规则): where they are, what is shared with them, and what is sent.
//!
//! The wire is `bridges::callback`'s; who is asked when, [`crate::activities::consult`]'s.

use std::collections::{BTreeMap, BTreeSet, HashSet};

use serde::{Deserialize, Serialize};
use serde_json::json;
use url::Url;
use uuid::Uuid;

use crate::activities::consult::{Asked, Asking, Callbacks};
use crate::activities::engine::Rules;
use crate::activities::model::{
    ActivityErrorCode, ActivityId, ActivityKind, CustomRule, CustomRuleId, CustomRuleKind, CustomRuleState,
    EnvelopeDigest,
};
use crate::activities::store::custom_rules::{self as store, ActivityRule};
use crate::activities::terms::Rulings;
use crate::bridges::callback::contract::{self, Line, Sample};
use crate::bridges::callback::{self, Digest, Endpoint, Keys, Occasion, Parameters, Person, is_parameter_name};
use crate::platform::Platform;
use crate::platform::fault::Fault;
use crate::platform::refusal::Refusal;
use crate::tenancy::permission::Permission;
use crate::tenancy::scope::{TenantScope, TenantTx};
use crate::tenancy::sealed::{Purpose, SealedColumn};
use crate::tenancy::{audit, enterprise};
use crate::words;

const MAXIMUM_PARAMETERS: usize = 20;
const VALUE_LENGTH: usize = 200;
const URL_LENGTH: usize = 500;

/// What is sealed here.
pub const SEALED: &[SealedColumn] = &[SealedColumn::by_id("custom_rules", "sealed_secrets", Purpose::OfRow(purpose))];

fn purpose(rule: Uuid) -> String {
    format!("secrets of {}", CustomRuleId::from_uuid(rule))
}

words! {
    /// What a parameter of a custom rule is.
    pub enum ParameterKind {
        /// What a draw costs there (抽奖消耗): a whole number.
        Cost = "COST",
        /// What somebody must have there (抽奖门槛): a whole number.
        Number = "NUMBER",
        /// What somebody must be there: one of some classes.
        Identity = "IDENTITY",
    }
}

/// A parameter that activities may set.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Definition {
    /// What is spent or asked for, for people.
    pub name: String,
    /// Under which name it is sent.
    pub parameter: String,
    pub kind: ParameterKind,
    pub default: Option<String>,
    pub minimum: Option<i64>,
    pub maximum: Option<i64>,
    #[serde(default)]
    pub classes: Vec<String>,
}

impl Definition {
    fn admits(&self, value: &str) -> bool {
        match self.kind {
            ParameterKind::Identity => self.classes.iter().any(|class| class == value),
            // As it would be written here: nobody else's reading of `+5` or `007` is to be relied on.
            ParameterKind::Cost | ParameterKind::Number => {
                let number = value.parse::<i64>().ok().filter(|number| number.to_string() == value);
                number.is_some_and(|number| {
                    self.minimum.is_none_or(|least| number >= least) && self.maximum.is_none_or(|most| number <= most)
                })
            }
        }
    }
}

pub struct RuleRequest {
    pub kind: CustomRuleKind,
    pub name: String,
    pub url: String,
    pub token: String,
    pub encoding_aes_key: String,
    pub digest: EnvelopeDigest,
    pub trailing_id: Option<String>,
    pub parameters: Vec<Definition>,
}

#[derive(Serialize, Deserialize)]
struct Secrets {
    token: String,
    encoding_aes_key: String,
}

/// Registers an endpoint. Nothing is asked of it yet: see [`test`].
pub async fn create(
    platform: &Platform,
    callbacks: &Callbacks,
    scope: &TenantScope,
    request: &RuleRequest,
) -> Result<CustomRule, Refusal<ActivityErrorCode>> {
    scope.require(Permission::ActivityManage)?;
    check(request)?;
    let url = Url::parse(&request.url).ok().filter(|url| callbacks.allows(url));
    let url = url.filter(|_| request.url.len() <= URL_LENGTH).ok_or_else(|| {
        explained(
            "url",
            "接口地址须为公网 https 地址，最多 500 个字符。",
            "An endpoint is a public https address of at most 500 characters.",
        )
    })?;
    let secrets = Secrets { token: request.token.clone(), encoding_aes_key: request.encoding_aes_key.clone() };
    if keys(&secrets, request.digest, request.trailing_id.as_deref()).is_none() {
        return Err(explained(
            "encodingAesKey",
            "令牌须为 3 到 128 个可见字符，EncodingAESKey 须为 43 个字符，末尾标识须为可见字符。",
            "A token has 3 to 128 visible characters, an EncodingAESKey 43 letters and digits, a trailing ID visible characters.",
        ));
    }
    let tx = scope.write(&platform.database).await?;
    let rule = CustomRule {
        id: CustomRuleId::generate(),
        kind: request.kind,
        name: request.name.clone(),
        url: url.to_string(),
        digest: request.digest,
        trailing_id: request.trailing_id.clone(),
        parameters: serde_json::to_value(&request.parameters).map_err(Fault::internal)?,
        state: CustomRuleState::Active,
        version: 1,
        created_at: tx.now().await?,
    };
    let clear = serde_json::to_vec(&secrets).map_err(Fault::internal)?;
    let data_key = enterprise::data_key(platform, &tx).await?;
    let sealed = data_key.seal(&*platform.randomness, &purpose(rule.id.uuid()), &clear);
    store::insert_in(&tx, &rule, sealed).await?;
    audit::record_in(&tx, "customRuleCreate", rule.id.uuid(), None, &rule).await?;
    tx.commit().await?;
    Ok(rule)
}

/// Stops asking an endpoint, or asks it again.
pub async fn set_state(
    platform: &Platform,
    callbacks: &Callbacks,
    scope: &TenantScope,
    id: CustomRuleId,
    state: CustomRuleState,
) -> Result<CustomRule, Refusal<ActivityErrorCode>> {
    scope.require(Permission::ActivityManage)?;
    let tx = scope.write(&platform.database).await?;
    let before =
        store::lock_in(&tx, id).await?.ok_or_else(|| Refusal::at("id", ActivityErrorCode::CustomRuleNotFound))?;
    if before.state == state {
        return Ok(before);
    }
    let after = store::set_state_in(&tx, id, state).await?;
    let action = if state == CustomRuleState::Active { "customRuleEnable" } else { "customRuleDisable" };
    audit::record_in(&tx, action, id.uuid(), Some(&before), &after).await?;
    tx.commit().await?;
    callbacks.forget(scope.tenant(), id);
    Ok(after)
}

/// Asks an endpoint as an activity would, and some things that a good one refuses; a line for each finding.
pub async fn test(
    platform: &Platform,
    callbacks: &Callbacks,
    scope: &TenantScope,
    id: CustomRuleId,
    mobile: &str,
) -> Result<Vec<Line>, Refusal<ActivityErrorCode>> {
    scope.require(Permission::ActivityManage)?;
    let mobile = crate::wallets::holder::Phone::parse(mobile)
        .ok_or_else(|| Refusal::at("phone", ActivityErrorCode::InvalidPhone))?;
    let tx = scope.read(&platform.database).await?;
    let rule = store::rules_by_id(&tx, &[id]).await?.remove(&id);
    let rule = rule.ok_or_else(|| Refusal::at("id", ActivityErrorCode::CustomRuleNotFound))?;
    let endpoint = endpoint(platform, &tx, &rule).await?;
    drop(tx); // nothing is asked while a transaction is open
    let tx = scope.write(&platform.database).await?;
    audit::record_in(&tx, "customRuleTest", id.uuid(), None, &rule).await?;
    tx.commit().await?;
    let definitions: Vec<Definition> = serde_json::from_value(rule.parameters).map_err(Fault::internal)?;
    let defaults = definitions.into_iter().filter_map(|one| Some((one.parameter, one.default?)));
    let parameters = Parameters::new(defaults).map_err(Fault::internal)?;
    let occasion = Occasion {
        id: callback::ActivityId::Text("test".into()),
        code: "test".into(),
        person: Person::Mobile(mobile.digits().to_owned()),
        union_id: None,
        channel_key: None,
        corp_open_id: None,
    };
    let sample = match rule.kind {
        CustomRuleKind::DrawRule => Sample::DrawRule(callback::DrawRule { occasion, draws: 1, parameters }),
        CustomRuleKind::ChanceCount => {
            Sample::ChanceCount(callback::ChanceCount { occasion, prize_code: None, amount: None, parameters })
        }
    };
    let (clock, randomness) = (&*platform.clock, &*platform.randomness);
    Ok(contract::examine(callbacks.outbound(), &endpoint, &sample, clock, randomness).await)
}

/// Where an endpoint is, and what is shared with it.
pub async fn endpoint(platform: &Platform, tx: &TenantTx, rule: &CustomRule) -> Result<Endpoint, Fault> {
    let unreadable = || Fault::internal(anyhow::anyhow!("{} has secrets that cannot be read", rule.id));
    let sealed = store::sealed_secrets(tx, rule.id).await?.ok_or(Fault::NotFound)?;
    let data_key = enterprise::data_key(platform, tx).await?;
    let clear = data_key.open(&purpose(rule.id.uuid()), &sealed).map_err(Fault::internal)?;
    let secrets: Secrets = serde_json::from_slice(&clear).map_err(|_| unreadable())?;
    let keys = keys(&secrets, rule.digest, rule.trailing_id.as_deref()).ok_or_else(unreadable)?;
    Ok(Endpoint { url: Url::parse(&rule.url).map_err(|_| unreadable())?, keys })
}

fn keys(secrets: &Secrets, digest: EnvelopeDigest, trailing_id: Option<&str>) -> Option<Keys> {
    let digest = match digest {
        EnvelopeDigest::Sha1 => Digest::Sha1,
        EnvelopeDigest::Sha256 => Digest::Sha256,
    };
    let keys = Keys::new(&secrets.token, &secrets.encoding_aes_key).ok()?.with_digest(digest);
    match trailing_id {
        Some(id) => keys.with_trailing_id(id).ok(),
        None => Some(keys),
    }
}

type Checked = Result<(), Refusal<ActivityErrorCode>>;

fn explained(field: impl Into<String>, chinese: &'static str, english: &'static str) -> Refusal<ActivityErrorCode> {
    Refusal::explained(field, ActivityErrorCode::InvalidInput, chinese, english)
}

fn require(holds: bool, field: impl Into<String>, chinese: &'static str, english: &'static str) -> Checked {
    if holds { Ok(()) } else { Err(explained(field, chinese, english)) }
}

fn check(request: &RuleRequest) -> Checked {
    let is_name = |name: &str| !name.trim().is_empty() && name.chars().count() <= 30;
    require(is_name(&request.name), "name", "名称须为 1 到 30 个字符。", "A name has 1 to 30 characters.")?;
    let names: HashSet<&str> = request.parameters.iter().map(|one| one.parameter.as_str()).collect();
    require(
        request.parameters.len() <= MAXIMUM_PARAMETERS && names.len() == request.parameters.len(),
        "parameters",
        "参数最多 20 个，且参数名不能重复。",
        "A rule has at most 20 parameters, each under a name of its own.",
    )?;
    for (place, one) in request.parameters.iter().enumerate() {
        let at = |field: &str| format!("parameters.{place}.{field}");
        require(is_name(&one.name), at("name"), "名称须为 1 到 30 个字符。", "A name has 1 to 30 characters.")?;
        require(
            is_parameter_name(&one.parameter),
            at("parameter"),
            "参数名须以字母开头，最多 64 个字母、数字、下划线或连字符，且不能是协议字段名。",
            "A parameter's name begins with a letter, has at most 64 letters, digits, `_` and `-`, and is no field's of the protocol.",
        )?;
        let is_class = |class: &String| (1..=VALUE_LENGTH).contains(&class.chars().count());
        let classes = match one.kind {
            ParameterKind::Identity => (1..=50).contains(&one.classes.len()) && one.classes.iter().all(is_class),
            ParameterKind::Cost | ParameterKind::Number => one.classes.is_empty(),
        };
        require(
            classes,
            at("classes"),
            "身份类参数须列出 1 到 50 个类别，数值类参数不能列出类别。",
            "An identity names 1 to 50 classes; a number names none.",
        )?;
        require(
            one.kind != ParameterKind::Cost || one.minimum.is_some_and(|least| least >= 0),
            at("minimum"),
            "消耗类参数须设置不小于 0 的最小值。",
            "A cost has a minimum, of 0 or more.",
        )?;
        require(
            one.minimum.zip(one.maximum).is_none_or(|(least, most)| least <= most),
            at("minimum"),
            "最小值不能大于最大值。",
            "The minimum is at most the maximum.",
        )?;
        require(
            one.default.as_deref().is_none_or(|value| one.admits(value)),
            at("default"),
            "默认值不在允许的范围内。",
            "The default is not among what the parameter may be.",
        )?;
    }
    Ok(())
}

/// An endpoint that a new activity asks, with what it sends.
#[derive(Clone, Debug)]
pub struct UseRequest {
    pub rule: CustomRuleId,
    pub parameters: Vec<(String, String)>,
    /// Whether it decides each draw.
    pub decides: bool,
}

/// Ties endpoints to a new activity, each kind once.
pub async fn tie_in(
    tx: &TenantTx,
    activity: ActivityId,
    kind: ActivityKind,
    requests: &[UseRequest],
) -> Result<(), Refusal<ActivityErrorCode>> {
    require(
        kind == ActivityKind::Draw || requests.is_empty(),
        "customRules",
        "只有抽奖活动才有自定义规则。",
        "Only an activity of kind DRAW asks custom rules; leave them out.",
    )?;
    let ids: Vec<CustomRuleId> = requests.iter().map(|request| request.rule).collect();
    let known = store::rules_by_id(tx, &ids).await?;
    let mut tied: Vec<ActivityRule> = Vec::new();
    for (place, request) in requests.iter().enumerate() {
        let at = |field: &str| format!("customRules.{place}.{field}");
        let rule = known.get(&request.rule).filter(|rule| rule.state == CustomRuleState::Active);
        let rule = rule.ok_or_else(|| Refusal::at(at("customRuleId"), ActivityErrorCode::CustomRuleNotFound))?;
        require(
            tied.iter().all(|other| other.kind != rule.kind),
            at("customRuleId"),
            "每类自定义规则只能使用一个。",
            "An activity asks one rule of each kind.",
        )?;
        require(
            !request.decides || rule.kind == CustomRuleKind::DrawRule,
            at("decides"),
            "只有抽奖规则可以由接口决定结果。",
            "Only a draw rule can decide draws.",
        )?;
        tied.push(ActivityRule {
            kind: rule.kind,
            rule: rule.id,
            parameters: json!(values(rule, request, &at)?),
            decides: request.decides,
        });
    }
    let has = |kind| tied.iter().any(|one| one.kind == kind);
    require(
        !has(CustomRuleKind::ChanceCount) || has(CustomRuleKind::DrawRule),
        "customRules",
        "抽奖次数规则须与抽奖规则一起使用：次数由抽奖规则的接口扣减。",
        "A rule of kind CHANCE_COUNT goes with one of kind DRAW_RULE, whose endpoint debits the chance.",
    )?;
    Ok(store::insert_of_activity_in(tx, activity, &tied).await?)
}

/// What is sent under each name: what the activity says, or the default.
fn values(
    rule: &CustomRule,
    request: &UseRequest,
    at: &impl Fn(&str) -> String,
) -> Result<BTreeMap<String, String>, Refusal<ActivityErrorCode>> {
    let definitions: Vec<Definition> = serde_json::from_value(rule.parameters.clone()).map_err(Fault::internal)?;
    let said: BTreeMap<&str, &str> =
        request.parameters.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
    let known = said.keys().all(|name| definitions.iter().any(|one| one.parameter == *name));
    require(
        known && said.len() == request.parameters.len(),
        at("parameters"),
        "参数须为该规则定义的参数，且不能重复。",
        "Set only parameters that the rule has, each once.",
    )?;
    let mut values = BTreeMap::new();
    for one in definitions {
        let Some(value) = said.get(one.parameter.as_str()).map(|value| (*value).to_owned()).or(one.default.clone())
        else {
            return Err(explained(
                at("parameters"),
                "有参数没有默认值，请填写。",
                "A parameter without a default is missing; set it.",
            ));
        };
        require(
            one.admits(&value),
            at("parameters"),
            "参数值不在允许的范围内。",
            "A value is not among what its parameter may be.",
        )?;
        values.insert(one.parameter, value);
    }
    Ok(values)
}

/// What the activity's endpoint has to say in its draws.
pub async fn rulings(tx: &TenantTx, activity: ActivityId) -> Result<Rulings, Fault> {
    let tied = store::of_activity(tx, activity).await?;
    let decides = tied.iter().find(|one| one.kind == CustomRuleKind::DrawRule).map(|one| one.decides);
    Ok(match decides {
        None => Rulings::None,
        Some(false) => Rulings::Allowed,
        Some(true) => Rulings::Decisive,
    })
}

/// Whom an activity asks. `None`: nobody.
pub async fn asking(tx: &TenantTx, activity: ActivityId, rules: &Rules) -> Result<Option<Asking>, Fault> {
    let asked: Vec<Asked> = store::of_activity(tx, activity)
        .await?
        .into_iter()
        .map(|one| {
            let values: BTreeMap<String, String> = serde_json::from_value(one.parameters).map_err(Fault::internal)?;
            let parameters = Parameters::new(values).map_err(Fault::internal)?;
            Ok(Asked { kind: one.kind, rule: one.rule, parameters, decides: one.decides })
        })
        .collect::<Result<_, Fault>>()?;
    let levels: BTreeSet<u32> = rules.prizes().map(|prize| prize.level).collect();
    Ok((!asked.is_empty()).then_some(Asking { asked, levels }))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn definition(kind: ParameterKind) -> Definition {
        Definition {
            name: "积分".into(),
            parameter: "points".into(),
            kind,
            default: None,
            minimum: Some(1),
            maximum: Some(10),
            classes: if kind == ParameterKind::Identity { vec!["gold".into(), "金卡".into()] } else { Vec::new() },
        }
    }

    fn refused(change: impl FnOnce(&mut Definition)) -> Option<String> {
        let mut one = definition(ParameterKind::Cost);
        change(&mut one);
        let request = RuleRequest {
            kind: CustomRuleKind::DrawRule,
            name: "规则".into(),
            url: String::new(),
            token: String::new(),
            encoding_aes_key: String::new(),
            digest: EnvelopeDigest::Sha1,
            trailing_id: None,
            parameters: vec![one],
        };
        match check(&request) {
            Ok(()) => None,
            Err(Refusal::Problems(problems)) => problems.into_iter().next().and_then(|problem| problem.field),
            Err(Refusal::Fault(fault)) => panic!("{fault}"),
        }
    }

    #[test]
    fn a_value_is_what_its_parameter_may_be() {
        let (cost, identity) = (definition(ParameterKind::Cost), definition(ParameterKind::Identity));
        assert!(cost.admits("1") && cost.admits("10") && identity.admits("金卡"));
        for value in ["0", "11", "", "1.5", "gold", "+5", "05"] {
            assert!(!cost.admits(value), "{value}");
        }
        assert!(!identity.admits("silver"));
    }

    #[test]
    fn a_parameter_takes_no_field_of_the_protocol() {
        assert_eq!(refused(|_| ()), None);
        assert_eq!(refused(|it| it.parameter = "mobile".into()).as_deref(), Some("parameters.0.parameter"));
        assert_eq!(refused(|it| it.default = Some("11".into())).as_deref(), Some("parameters.0.default"));
        assert_eq!(refused(|it| it.minimum = Some(11)).as_deref(), Some("parameters.0.minimum"));
        assert_eq!(refused(|it| it.classes.push("a".into())).as_deref(), Some("parameters.0.classes"));
        assert_eq!(refused(|it| it.kind = ParameterKind::Identity).as_deref(), Some("parameters.0.classes"));
    }
}

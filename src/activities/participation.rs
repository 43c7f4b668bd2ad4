//! Who may draw: what an activity asks of people before it lets them (参与条件). Pure.
//!
//! Rules are judged in the transaction of the draw, after its window and before its chance. Each has words of its own.
//! A new rule is a field of [`Rule`], what it must know of people in [`Person`], a line in [`Door::judge`], a code, and a
//! column of `participation_rules`.

use std::collections::{HashMap, HashSet};
use std::net::{IpAddr, Ipv6Addr};

use crate::activities::model::{ActivityErrorCode, ParticipationRule};
use crate::platform::refusal::Refusal;
use crate::wallets::model::HolderId;
use crate::wallets::{points, tag};

/// What a rule may be set to.
const MAXIMUM_TAGS: usize = 20;
const MAXIMUM_POINTS: i64 = points::MAXIMUM;
const MAXIMUM_HOLDERS: i32 = 10_000;
/// The longest name of a device, in bytes.
const DEVICE_LENGTH: usize = 128;

/// A rule with the words that it picks people by, which are the enterprise's own business.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Rule {
    pub rule: ParticipationRule,
    /// Who has one of these; everybody if empty.
    pub tags: Vec<String>,
    /// Nobody who has one of these.
    pub excluded_tags: Vec<String>,
}

impl Rule {
    pub fn check(&self) -> Result<(), Refusal<ActivityErrorCode>> {
        let require = |holds: bool, field: &str, chinese, english| {
            let field = format!("participation.{field}");
            let refused = || Refusal::explained(field, ActivityErrorCode::InvalidInput, chinese, english);
            if holds { Ok(()) } else { Err(refused()) }
        };
        for (tags, field) in [(&self.tags, "tags"), (&self.excluded_tags, "excludedTags")] {
            require(
                tags.len() <= MAXIMUM_TAGS && tags.iter().all(|word| tag::is_tag(word)),
                field,
                "标签最多 20 个，每个 1 到 32 个字符，首尾不能有空白。",
                "Name at most 20 tags of 1 to 32 characters each, without blanks around them.",
            )?;
        }
        let tags: HashSet<&String> = self.tags.iter().chain(&self.excluded_tags).collect();
        require(
            tags.len() == self.tags.len() + self.excluded_tags.len(),
            "excludedTags",
            "标签重复。",
            "Name each tag once, as wanted or as excluded.",
        )?;
        for (points, field) in [(self.rule.points_at_least, "pointsAtLeast"), (self.rule.points_cost, "pointsCost")] {
            require(
                points.is_none_or(|points| (1..=MAXIMUM_POINTS).contains(&points)),
                field,
                "积分须为 1 到 2,000,000,000。",
                "Points lie between 1 and 2,000,000,000.",
            )?;
        }
        for (most, field) in
            [(self.rule.holders_per_device, "holdersPerDevice"), (self.rule.holders_per_address, "holdersPerAddress")]
        {
            require(
                most.is_none_or(|most| (1..=MAXIMUM_HOLDERS).contains(&most)),
                field,
                "每台设备或每个网络地址的用户数须为 1 到 10,000。",
                "Between 1 and 10,000 people may draw from one device or address.",
            )?;
        }
        Ok(())
    }

    /// Whether it takes a look at each person.
    pub fn asks_about_people(&self) -> bool {
        let ParticipationRule { phone_bound, real_named, first_time, listed, .. } = self.rule;
        phone_bound || real_named || first_time || listed || !self.tags.is_empty() || !self.excluded_tags.is_empty()
    }

    pub fn asks_about_points(&self) -> bool {
        self.rule.points_at_least.is_some() || self.rule.points_cost.is_some()
    }

    pub fn asks_about_origins(&self) -> bool {
        self.rule.holders_per_device.is_some() || self.rule.holders_per_address.is_some()
    }
}

/// Where a draw comes from, as far as that can be told.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Origin {
    /// What the plug-in calls the phone.
    pub device: Option<String>,
    pub address: Option<IpAddr>,
}

impl Origin {
    /// Whether its device has a name that can be one.
    pub fn is_named_well(&self) -> bool {
        self.device.as_ref().is_none_or(|device| {
            (8..=DEVICE_LENGTH).contains(&device.len()) && device.bytes().all(|byte| byte.is_ascii_graphic())
        })
    }
}

/// What a network gives to one customer: an address, or of the sixth version 64 bits.
pub fn neighbourhood(address: IpAddr) -> String {
    match address.to_canonical() {
        IpAddr::V4(address) => address.to_string(),
        IpAddr::V6(address) => format!("{}/64", Ipv6Addr::from_bits(address.to_bits() & (u128::MAX << 64))),
    }
}

/// A keyed hash of a device or an address.
pub type Mark = [u8; 32];

/// The marks of one wish, where its activity limits how many people draw under one.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Marks {
    pub device: Option<Mark>,
    pub address: Option<Mark>,
}

/// What rules ask about somebody. Nobody at all where nothing is known.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Person {
    pub phone_bound: bool,
    pub real_named: bool,
    pub drew_elsewhere: bool,
    pub listed: bool,
    pub chosen: bool,
    pub excluded: bool,
    pub blocked: bool,
}

/// Lets people of a batch in, one after the other, as the rule and those before them allow.
#[derive(Clone, Debug)]
pub struct Door<'r> {
    pub rule: &'r Rule,
    /// Empty where nothing is asked about people.
    pub people: HashMap<HolderId, Person>,
    pub points: HashMap<HolderId, i64>,
    /// Who has drawn under which mark.
    pub seen: HashMap<Mark, HashSet<HolderId>>,
    /// Those who are new under a mark.
    pub marked: Vec<(Mark, HolderId)>,
}

impl<'r> Door<'r> {
    pub fn new(rule: &'r Rule) -> Self {
        Self { rule, people: HashMap::new(), points: HashMap::new(), seen: HashMap::new(), marked: Vec::new() }
    }

    /// Whether somebody may draw so often now.
    pub fn judge(&self, holder: HolderId, marks: &Marks, times: u32) -> Result<(), ActivityErrorCode> {
        use ActivityErrorCode::*;
        let rule = &self.rule.rule;
        let allow = |allowed: bool, code| if allowed { Ok(()) } else { Err(code) };
        if let Some(person) = self.people.get(&holder) {
            allow(!person.blocked, Blocked)?;
            allow(!rule.phone_bound || person.phone_bound, PhoneRequired)?;
            allow(!rule.real_named || person.real_named, RealNameRequired)?;
            allow(!person.excluded, NotInvited)?;
            allow(self.rule.tags.is_empty() || person.chosen, NotInvited)?;
            allow(!rule.listed || person.listed, NotListed)?;
            allow(!rule.first_time || !person.drew_elsewhere, NotFirstTime)?;
        } else {
            allow(!self.rule.asks_about_people(), NotInvited)?;
        }
        let points = self.points.get(&holder).copied().unwrap_or(0);
        allow(rule.points_at_least.is_none_or(|least| points >= least), NotEnoughPoints)?;
        allow(points >= self.cost(times), NotEnoughPoints)?;
        if let Some(most) = rule.holders_per_device {
            let device = marks.device.ok_or(DeviceRequired)?;
            allow(self.has_room(&device, holder, most), TooManyOnDevice)?;
        }
        if let Some(most) = rule.holders_per_address {
            // Nobody knows whence: then nobody can be told apart there.
            let room = marks.address.is_none_or(|address| self.has_room(&address, holder, most));
            allow(room, TooManyOnAddress)?;
        }
        Ok(())
    }

    fn has_room(&self, mark: &Mark, holder: HolderId, most: i32) -> bool {
        let Some(seen) = self.seen.get(mark) else { return true };
        seen.contains(&holder) || seen.len() < most.unsigned_abs() as usize
    }

    fn cost(&self, times: u32) -> i64 {
        self.rule.rule.points_cost.unwrap_or(0) * i64::from(times)
    }

    /// Somebody whom [`Self::judge`] lets through has drawn.
    pub fn admit(&mut self, holder: HolderId, marks: &Marks, times: u32) {
        let cost = self.cost(times);
        if cost > 0 {
            *self.points.entry(holder).or_default() -= cost;
        }
        for mark in [marks.device, marks.address].into_iter().flatten() {
            if self.seen.entry(mark).or_default().insert(holder) {
                self.marked.push((mark, holder));
            }
        }
    }
}

/// Which holders stand under which mark.
pub fn by_mark(rows: impl IntoIterator<Item = (Mark, HolderId)>) -> HashMap<Mark, HashSet<HolderId>> {
    let mut seen: HashMap<Mark, HashSet<HolderId>> = HashMap::new();
    for (mark, holder) in rows {
        seen.entry(mark).or_default().insert(holder);
    }
    seen
}

/// What of today's free draws somebody has left.
pub fn free_left(daily: i32, day: i32, last_day: i32, free_on_last_day: i32) -> i32 {
    (daily - if last_day == day { free_on_last_day } else { 0 }).max(0)
}

#[cfg(test)]
mod tests {
    use super::*;
    use ActivityErrorCode::*;

    fn person() -> Person {
        Person { phone_bound: true, real_named: true, listed: true, chosen: true, ..Person::default() }
    }

    fn judged(rule: &Rule, person: Person) -> Result<(), ActivityErrorCode> {
        let holder = HolderId::generate();
        let mut door = Door::new(rule);
        door.people.insert(holder, person);
        door.judge(holder, &Marks::default(), 1)
    }

    #[test]
    fn each_rule_has_its_own_word() {
        let strict = Rule {
            rule: ParticipationRule {
                phone_bound: true,
                real_named: true,
                first_time: true,
                listed: true,
                ..ParticipationRule::default()
            },
            tags: vec!["vip".into()],
            excluded_tags: vec!["bot".into()],
        };
        assert_eq!(judged(&strict, person()), Ok(()));
        for (person, code) in [
            (Person { blocked: true, ..person() }, Blocked),
            (Person { phone_bound: false, ..person() }, PhoneRequired),
            (Person { real_named: false, ..person() }, RealNameRequired),
            (Person { excluded: true, ..person() }, NotInvited),
            (Person { chosen: false, ..person() }, NotInvited),
            (Person { listed: false, ..person() }, NotListed),
            (Person { drew_elsewhere: true, ..person() }, NotFirstTime),
        ] {
            assert_eq!(judged(&strict, person), Err(code));
        }
        let stranger = Door::new(&strict).judge(HolderId::generate(), &Marks::default(), 1);
        assert_eq!(stranger, Err(NotInvited), "who is not known is not let in");
        // Without a rule, of all this only the black list counts.
        let lax = Rule::default();
        assert_eq!(judged(&lax, Person { drew_elsewhere: true, ..Person::default() }), Ok(()));
        assert_eq!(judged(&lax, Person { blocked: true, ..Person::default() }), Err(Blocked));
    }

    #[test]
    fn points_are_asked_for_and_spent() {
        let rule = ParticipationRule { points_at_least: Some(5), points_cost: Some(3), ..Default::default() };
        let rule = Rule { rule, ..Rule::default() };
        let (holder, none) = (HolderId::generate(), Marks::default());
        let mut door = Door::new(&rule);
        assert_eq!(door.judge(holder, &none, 1), Err(NotEnoughPoints));
        door.points.insert(holder, 8);
        assert_eq!(door.judge(holder, &none, 3), Err(NotEnoughPoints), "three draws cost nine");
        assert_eq!(door.judge(holder, &none, 2), Ok(()));
        door.admit(holder, &none, 1);
        assert_eq!(door.points[&holder], 5);
        door.admit(holder, &none, 1);
        assert_eq!(door.judge(holder, &none, 1), Err(NotEnoughPoints), "two are left, and five are asked for");
    }

    #[test]
    fn a_device_and_an_address_serve_so_many_people() {
        let rule =
            ParticipationRule { holders_per_device: Some(1), holders_per_address: Some(2), ..Default::default() };
        let rule = Rule { rule, ..Rule::default() };
        let mut door = Door::new(&rule);
        let [one, two, three] = [HolderId::generate(), HolderId::generate(), HolderId::generate()];
        let on = |device: u8| Marks { device: Some([device; 32]), address: Some([0; 32]) };
        assert_eq!(door.judge(one, &Marks::default(), 1), Err(DeviceRequired));
        assert_eq!(door.judge(one, &on(1), 1), Ok(()));
        door.admit(one, &on(1), 1);
        assert_eq!(door.judge(two, &on(1), 1), Err(TooManyOnDevice));
        door.admit(two, &on(2), 1);
        assert_eq!(door.judge(three, &on(3), 1), Err(TooManyOnAddress));
        assert_eq!(door.judge(one, &on(1), 1), Ok(()), "who was there stays");
        assert_eq!(door.marked.len(), 4, "each once");
        let nowhere = Marks { address: None, ..on(3) };
        assert_eq!(door.judge(three, &nowhere, 1), Ok(()));
    }

    #[test]
    fn an_address_is_what_a_network_gives_to_one_customer() {
        let of = |text: &str| neighbourhood(text.parse().expect("an address"));
        assert_eq!(of("203.0.113.7"), "203.0.113.7");
        assert_eq!(of("::ffff:203.0.113.7"), "203.0.113.7");
        assert_eq!(of("2001:db8:1:2:3:4:5:6"), "2001:db8:1:2::/64");
    }

    #[test]
    fn a_device_has_a_name_of_visible_characters() {
        let named = |device: &str| Origin { device: Some(device.into()), address: None }.is_named_well();
        assert!(named("a1b2c3d4") && named(&"x".repeat(128)) && Origin::default().is_named_well());
        assert!(!named("short") && !named("with a blank") && !named("字字字字字字字字") && !named(&"x".repeat(129)));
    }

    #[test]
    fn free_draws_begin_anew_each_day() {
        assert_eq!(free_left(2, 10, 10, 1), 1);
        assert_eq!(free_left(2, 11, 10, 2), 2);
        assert_eq!(free_left(1, 10, 10, 2), 0);
    }

    #[test]
    fn what_cannot_be_meant_is_refused() {
        let refused = |rule: ParticipationRule, tags: &[&str], excluded: &[&str]| {
            let words = |words: &[&str]| words.iter().map(|word| (*word).to_owned()).collect();
            match (Rule { rule, tags: words(tags), excluded_tags: words(excluded) }).check() {
                Ok(()) => None,
                Err(Refusal::Problems(problems)) => problems.into_iter().next().and_then(|problem| problem.field),
                Err(Refusal::Fault(fault)) => panic!("{fault}"),
            }
        };
        let plain = ParticipationRule::default;
        assert_eq!(refused(plain(), &["a"], &["b"]), None);
        assert_eq!(refused(plain(), &["a"], &["a"]).as_deref(), Some("participation.excludedTags"));
        assert_eq!(refused(plain(), &[" a"], &[]).as_deref(), Some("participation.tags"));
        let free = ParticipationRule { points_cost: Some(0), ..plain() };
        assert_eq!(refused(free, &[], &[]).as_deref(), Some("participation.pointsCost"));
        let nobody = ParticipationRule { holders_per_address: Some(0), ..plain() };
        assert_eq!(refused(nobody, &[], &[]).as_deref(), Some("participation.holdersPerAddress"));
    }
}

//! What an enterprise says of a series or a collectible, what of it may still be changed, and what a change was.

use diesel::deserialize::{FromSql, FromSqlRow};
use diesel::expression::AsExpression;
use diesel::pg::{Pg, PgValue};
use diesel::serialize::{Output, ToSql};
use diesel::sql_types::Json;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::{Collectible, CollectibleState, Series, SeriesId};
use crate::catalog::media::model::MediaId;
use crate::tenancy::model::DocumentId;

/// One thing that is said of a collectible beside its description: 材质: 青铜.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Attribute {
    pub name: String,
    pub value: String,
}

/// Attributes in the order in which they are shown.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, AsExpression, FromSqlRow)]
#[diesel(sql_type = Json)]
#[serde(transparent)]
pub struct Attributes(pub Vec<Attribute>);

impl FromSql<Json, Pg> for Attributes {
    fn from_sql(bytes: PgValue<'_>) -> diesel::deserialize::Result<Self> {
        Ok(serde_json::from_value(<Value as FromSql<Json, Pg>>::from_sql(bytes)?)?)
    }
}

impl ToSql<Json, Pg> for Attributes {
    fn to_sql<'b>(&'b self, out: &mut Output<'b, '_, Pg>) -> diesel::serialize::Result {
        let value = serde_json::to_value(self)?;
        <Value as ToSql<Json, Pg>>::to_sql(&value, &mut out.reborrow())
    }
}

/// All that an enterprise says of a collectible.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Design {
    pub series_id: SeriesId,
    pub name_chinese: String,
    pub name_english: String,
    pub description_chinese: String,
    pub description_english: String,
    pub author: String,
    pub image_url: String,
    pub cover_id: Option<MediaId>,
    pub media_id: Option<MediaId>,
    pub copyright_proof_id: Option<DocumentId>,
    pub filing_number: String,
    pub flag: String,
    pub metadata: String,
    pub attributes: Attributes,
    pub supply: i32,
    pub first_serial: i32,
}

impl Design {
    pub fn of(collectible: &Collectible) -> Self {
        let from = collectible.clone();
        Self {
            series_id: from.series_id,
            name_chinese: from.name_chinese,
            name_english: from.name_english,
            description_chinese: from.description_chinese,
            description_english: from.description_english,
            author: from.author,
            image_url: from.image_url,
            cover_id: from.cover_id,
            media_id: from.media_id,
            copyright_proof_id: from.copyright_proof_id,
            filing_number: from.filing_number,
            flag: from.flag,
            metadata: from.metadata,
            attributes: from.attributes,
            supply: from.supply,
            first_serial: from.first_serial,
        }
    }

    /// Each field under its name in the API.
    fn fields(&self) -> Vec<(&'static str, Value)> {
        vec![
            ("seriesId", json!(self.series_id)),
            ("name.chinese", json!(self.name_chinese)),
            ("name.english", json!(self.name_english)),
            ("description.chinese", json!(self.description_chinese)),
            ("description.english", json!(self.description_english)),
            ("author", json!(self.author)),
            ("imageUrl", json!(self.image_url)),
            ("coverId", json!(self.cover_id)),
            ("mediaId", json!(self.media_id)),
            ("copyrightProofId", json!(self.copyright_proof_id)),
            ("filingNumber", json!(self.filing_number)),
            ("flag", json!(self.flag)),
            ("metadata", json!(self.metadata)),
            ("attributes", json!(self.attributes)),
            ("supply", json!(self.supply)),
            ("firstSerial", json!(self.first_serial)),
        ]
    }
}

/// All that an enterprise says of a series.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SeriesDesign {
    pub name_chinese: String,
    pub name_english: String,
    pub description_chinese: String,
    pub description_english: String,
    pub cover_id: Option<MediaId>,
}

impl SeriesDesign {
    pub fn of(series: &Series) -> Self {
        Self {
            name_chinese: series.name_chinese.clone(),
            name_english: series.name_english.clone(),
            description_chinese: series.description_chinese.clone(),
            description_english: series.description_english.clone(),
            cover_id: series.cover_id,
        }
    }

    fn fields(&self) -> Vec<(&'static str, Value)> {
        vec![
            ("name.chinese", json!(self.name_chinese)),
            ("name.english", json!(self.name_english)),
            ("description.chinese", json!(self.description_chinese)),
            ("description.english", json!(self.description_english)),
            ("coverId", json!(self.cover_id)),
        ]
    }
}

/// What is changed of one field. Null stands for what was not there.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct FieldChange {
    pub field: String,
    pub before: Value,
    pub after: Value,
}

/// What differs, field by field in a fixed order. What is not there has no fields.
fn differences(before: Vec<(&'static str, Value)>, after: Vec<(&'static str, Value)>) -> Vec<FieldChange> {
    let names = if before.is_empty() { &after } else { &before };
    let value_of =
        |fields: &[(&str, Value)], place: usize| fields.get(place).map_or(Value::Null, |field| field.1.clone());
    let change = |(place, (name, _)): (usize, &(&'static str, Value))| FieldChange {
        field: (*name).to_owned(),
        before: value_of(&before, place),
        after: value_of(&after, place),
    };
    names.iter().enumerate().map(change).filter(|change| change.before != change.after).collect()
}

pub fn changes(before: Option<&Design>, after: Option<&Design>) -> Vec<FieldChange> {
    let fields = |design: Option<&Design>| design.map(Design::fields).unwrap_or_default();
    differences(fields(before), fields(after))
}

pub fn series_changes(before: Option<&SeriesDesign>, after: Option<&SeriesDesign>) -> Vec<FieldChange> {
    let fields = |design: Option<&SeriesDesign>| design.map(SeriesDesign::fields).unwrap_or_default();
    differences(fields(before), fields(after))
}

/// How much of a design may still be changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Freedom {
    Everything,
    /// What people read beside the work. Nothing of it is on a ledger or part of what was sold.
    DisplayText,
    /// Somebody is looking at it.
    Nothing,
}

impl Freedom {
    pub fn of(state: CollectibleState) -> Self {
        use CollectibleState::*;
        match state {
            Draft | Rejected => Self::Everything,
            InReview => Self::Nothing,
            Approved | Submitted | Confirming | Issued | Failed | Unknown => Self::DisplayText,
        }
    }

    /// A series is as free as its collectibles leave it: once the house has seen one of them, it has seen the series.
    pub fn of_series(any_was_submitted: bool) -> Self {
        if any_was_submitted { Self::DisplayText } else { Self::Everything }
    }

    fn allows(self, field: &str) -> bool {
        match self {
            Self::Everything => true,
            Self::DisplayText => matches!(field, "description.chinese" | "description.english"),
            Self::Nothing => false,
        }
    }

    /// Those changes that come too late. The one place that decides what is frozen.
    pub fn frozen(self, changes: &[FieldChange]) -> Vec<&str> {
        changes.iter().map(|change| change.field.as_str()).filter(|field| !self.allows(field)).collect()
    }
}

#[cfg(test)]
pub mod tests {
    use proptest::prelude::*;
    use uuid::Uuid;

    use super::*;

    impl Design {
        pub fn sample() -> Self {
            Self {
                series_id: SeriesId::from_uuid(Uuid::nil()),
                name_chinese: "辰龙".into(),
                name_english: "Dragon".into(),
                description_chinese: String::new(),
                description_english: String::new(),
                author: "Li".into(),
                image_url: String::new(),
                cover_id: None,
                media_id: None,
                copyright_proof_id: None,
                filing_number: String::new(),
                flag: String::new(),
                metadata: String::new(),
                attributes: Attributes::default(),
                supply: 1,
                first_serial: 1,
            }
        }
    }

    /// Any design at all, of few enough values that two are often alike in some field.
    pub fn designs() -> impl Strategy<Value = Design> {
        let text = || prop_oneof![Just(String::new()), Just("a".to_owned()), ".{0,8}"];
        let media = || prop::option::of((0u128..3).prop_map(|id| MediaId::from_uuid(Uuid::from_u128(id))));
        let proof = prop::option::of((0u128..3).prop_map(|id| DocumentId::from_uuid(Uuid::from_u128(id))));
        let attribute = (text(), text()).prop_map(|(name, value)| Attribute { name, value });
        let attributes = prop::collection::vec(attribute, 0..3).prop_map(Attributes);
        let texts = (text(), text(), text(), text(), text(), text(), text(), text(), text());
        (texts, (media(), media(), proof), attributes, (0u128..2, 0i32..3, 0i32..3)).prop_map(
            |(texts, (cover_id, media_id, copyright_proof_id), attributes, (series, supply, first_serial))| Design {
                series_id: SeriesId::from_uuid(Uuid::from_u128(series)),
                name_chinese: texts.0,
                name_english: texts.1,
                description_chinese: texts.2,
                description_english: texts.3,
                author: texts.4,
                image_url: texts.5,
                cover_id,
                media_id,
                copyright_proof_id,
                filing_number: texts.6,
                flag: texts.7,
                metadata: texts.8,
                attributes,
                supply,
                first_serial,
            },
        )
    }

    fn with_texts_of(mut design: Design, other: &Design) -> Design {
        design.description_chinese.clone_from(&other.description_chinese);
        design.description_english.clone_from(&other.description_english);
        design
    }

    proptest! {
        #[test]
        fn after_approval_two_designs_may_differ_in_display_text_alone(before in designs(), after in designs(), state in 0usize..9) {
            let state = CollectibleState::ALL[state];
            let is_allowed = Freedom::of(state).frozen(&changes(Some(&before), Some(&after))).is_empty();
            // Said by the designs themselves, without their lists of fields.
            let expected = match state {
                CollectibleState::Draft | CollectibleState::Rejected => true,
                CollectibleState::InReview => before == after,
                _ => with_texts_of(before.clone(), &after) == after,
            };
            prop_assert_eq!(is_allowed, expected);
            let rewritten = with_texts_of(before.clone(), &after);
            let rewriting = changes(Some(&before), Some(&rewritten));
            let may_rewrite = state != CollectibleState::InReview || before == rewritten;
            prop_assert_eq!(Freedom::of(state).frozen(&rewriting).is_empty(), may_rewrite);
        }

        #[test]
        fn what_changed_is_all_that_changed(before in designs(), after in designs()) {
            let changed = changes(Some(&before), Some(&after));
            prop_assert_eq!(changed.is_empty(), before == after);
            // Taking each change back leads from the one to the other.
            for (name, value) in after.fields() {
                let told = changed.iter().find(|change| change.field == name);
                let was = before.fields().into_iter().find(|field| field.0 == name).expect("the same fields").1;
                prop_assert_eq!(told.map_or(&value, |change| &change.before), &was);
                prop_assert_eq!(told.map_or(&was, |change| &change.after), &value);
            }
        }

        #[test]
        fn what_comes_or_goes_is_told_whole(design in designs()) {
            let (came, went) = (changes(None, Some(&design)), changes(Some(&design), None));
            prop_assert!(came.iter().all(|change| change.before.is_null()) && went.iter().all(|change| change.after.is_null()));
            prop_assert_eq!(came.len(), went.len());
            prop_assert_eq!(came.len(), design.fields().iter().filter(|field| !field.1.is_null()).count());
        }
    }
}

//! Seek pagination: a page is a direction, a size and one or two keys to seek from, never an offset.

use std::fmt::Display;
use std::str::FromStr;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;

use crate::platform::fault::Fault;
use crate::words;

words! {
    /// In which order a list comes.
    pub enum CreatedOrder {
        /// Oldest first.
        CreatedAtAsc = "CREATED_AT_ASC",
        /// Newest first.
        CreatedAtDesc = "CREATED_AT_DESC",
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Sort {
    Ascending,
    Descending,
}

impl From<CreatedOrder> for Sort {
    fn from(order: CreatedOrder) -> Self {
        match order {
            CreatedOrder::CreatedAtAsc => Sort::Ascending,
            CreatedOrder::CreatedAtDesc => Sort::Descending,
        }
    }
}

/// Relay's four arguments, as a client sent them.
#[derive(Clone, Debug, Default)]
pub struct PageArguments {
    pub first: Option<i32>,
    pub after: Option<String>,
    pub last: Option<i32>,
    pub before: Option<String>,
}

/// What a list may be asked for: its name (bound into cursors) and its page sizes.
#[derive(Clone, Copy, Debug)]
pub struct PageRule {
    pub list: &'static str,
    pub default: i32,
    pub maximum: i32,
}

/// One page of a list sorted by `K`.
#[derive(Clone, Debug)]
pub struct Page<K> {
    list: &'static str,
    size: i64,
    backward: bool,
    order: Sort,
    after: Option<K>,
    before: Option<K>,
}

impl<K: Clone + Display + FromStr> Page<K> {
    pub fn new(rule: PageRule, order: impl Into<Sort>, arguments: &PageArguments) -> Result<Self, Fault> {
        let PageRule { list, default, maximum } = rule;
        let (size, backward) = match (arguments.first, arguments.last) {
            (Some(_), Some(_)) => {
                return Err(Fault::BadRequest(format!("`{list}` takes `first` or `last`, not both")));
            }
            (None, Some(last)) => (last, true),
            (first, None) => (first.unwrap_or(default), false),
        };
        if !(0..=maximum).contains(&size) {
            return Err(Fault::BadRequest(format!("a page of `{list}` holds 0 to {maximum}, {size} were asked for")));
        }
        let decode = |cursor: &Option<String>| cursor.as_deref().map(|text| decode_cursor(list, text)).transpose();
        Ok(Self {
            list,
            size: size.into(),
            backward,
            order: order.into(),
            after: decode(&arguments.after)?,
            before: decode(&arguments.before)?,
        })
    }

    /// One more than the page holds: the extra row tells whether there is a next page.
    pub fn limit(&self) -> i64 {
        self.size + 1
    }

    /// How the rows must be read from the database.
    pub fn sort(&self) -> Sort {
        match (self.order, self.backward) {
            (Sort::Ascending, false) | (Sort::Descending, true) => Sort::Ascending,
            (Sort::Descending, false) | (Sort::Ascending, true) => Sort::Descending,
        }
    }

    /// Rows must lie above this key.
    pub fn above(&self) -> Option<K> {
        match self.order {
            Sort::Ascending => self.after.clone(),
            Sort::Descending => self.before.clone(),
        }
    }

    /// Rows must lie below this key.
    pub fn below(&self) -> Option<K> {
        match self.order {
            Sort::Ascending => self.before.clone(),
            Sort::Descending => self.after.clone(),
        }
    }

    /// Brings rows as read into the order asked for.
    pub fn finish<T>(&self, mut rows: Vec<T>) -> Slice<T> {
        let more = rows.len() as i64 > self.size;
        if more {
            rows.truncate(self.size as usize);
        }
        if self.backward {
            rows.reverse();
        }
        let (has_previous, has_next) =
            if self.backward { (more, self.before.is_some()) } else { (self.after.is_some(), more) };
        Slice { rows, has_previous, has_next }
    }

    /// Opaque outside; inside, the list's name and the key.
    pub fn cursor(&self, key: &K) -> String {
        URL_SAFE_NO_PAD.encode(format!("{}:{key}", self.list))
    }
}

/// The rows of one page.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Slice<T> {
    pub rows: Vec<T>,
    pub has_previous: bool,
    pub has_next: bool,
}

fn decode_cursor<K: FromStr>(list: &str, text: &str) -> Result<K, Fault> {
    URL_SAFE_NO_PAD
        .decode(text)
        .ok()
        .and_then(|bytes| String::from_utf8(bytes).ok())
        .and_then(|plain| plain.strip_prefix(list)?.strip_prefix(':')?.parse().ok())
        .ok_or_else(|| Fault::BadRequest(format!("that cursor is none of `{list}`; pass on `endCursor` as it came")))
}

/// Narrows a diesel query to one page of it, sorted by one column.
#[macro_export]
macro_rules! paged {
    ($query:expr, $column:expr, $page:expr) => {{
        let page = $page;
        let mut query = $query.limit(page.limit()).into_boxed();
        query = match page.sort() {
            $crate::platform::page::Sort::Ascending => query.order($column.asc()),
            $crate::platform::page::Sort::Descending => query.order($column.desc()),
        };
        if let Some(key) = page.above() {
            query = query.filter($column.gt(key));
        }
        if let Some(key) = page.below() {
            query = query.filter($column.lt(key));
        }
        query
    }};
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const RULE: PageRule = PageRule { list: "numbers", default: 3, maximum: 10 };

    /// What the database would do.
    fn read(page: &Page<i64>, all: &[i64]) -> Slice<i64> {
        let mut rows: Vec<i64> = all.to_vec();
        rows.sort();
        if page.sort() == Sort::Descending {
            rows.reverse();
        }
        rows.retain(|row| page.above().is_none_or(|key| *row > key) && page.below().is_none_or(|key| *row < key));
        rows.truncate(page.limit() as usize);
        page.finish(rows)
    }

    proptest! {
        #[test]
        fn walking_either_way_sees_each_row_once(count in 0i64..40, size in 1i32..10, descending: bool, backward: bool) {
            let all: Vec<i64> = (0..count).collect();
            let order = if descending { Sort::Descending } else { Sort::Ascending };
            let (mut seen, mut arguments) = (Vec::new(), PageArguments::default());
            if backward { arguments.last = Some(size) } else { arguments.first = Some(size) }
            loop {
                let page = Page::<i64>::new(RULE, order, &arguments).unwrap();
                let slice = read(&page, &all);
                if backward {
                    seen.splice(0..0, slice.rows.iter().copied());
                    arguments.before = slice.rows.first().map(|key| page.cursor(key));
                } else {
                    seen.extend(slice.rows.iter().copied());
                    arguments.after = slice.rows.last().map(|key| page.cursor(key));
                }
                if !(if backward { slice.has_previous } else { slice.has_next }) { break }
            }
            let mut expected = all;
            if descending { expected.reverse() }
            prop_assert_eq!(seen, expected);
        }
    }

    #[test]
    fn what_cannot_be_meant_is_refused() {
        let new = |first, last, after: Option<&str>| {
            let arguments = PageArguments { first, last, after: after.map(Into::into), before: None };
            Page::<i64>::new(RULE, Sort::Ascending, &arguments).map(|_| ())
        };
        assert!(new(Some(1), Some(1), None).is_err());
        assert!(new(Some(11), None, None).is_err());
        assert!(new(Some(-1), None, None).is_err());
        assert!(new(None, None, Some("garbage")).is_err());
        let other = PageRule { list: "letters", ..RULE };
        let foreign = Page::<i64>::new(other, Sort::Ascending, &PageArguments::default()).unwrap().cursor(&1);
        assert!(new(None, None, Some(&foreign)).is_err());
        assert!(new(Some(10), None, None).is_ok());
    }
}

//! What a holder wants to buy, and what it costs. Pure.

use std::collections::HashMap;

use serde::Serialize;

use crate::platform::refusal::Refusal;
use crate::sales::model::{MerchantId, Money, Offer, OfferId, SaleErrorCode};

/// How many lines a request may have.
pub const MAXIMUM_LINES: usize = 10;
/// What one order may come to: ten million yuan, which GraphQL's 32-bit `Int` still carries.
pub const MAXIMUM_TOTAL: i64 = 1_000_000_000;

/// One line as a client sent it.
#[derive(Clone, Copy, Debug)]
pub struct Line {
    pub offer: OfferId,
    pub quantity: i32,
}

/// What is wanted of one offer, all its lines taken together: a limit must not be passed by splitting a line.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct Wanted {
    pub offer: OfferId,
    pub quantity: i32,
    /// The first line that named it, for what is said about it.
    #[serde(skip)]
    pub line: usize,
}

/// At least one piece of at least one offer; each offer once, in the order of the request.
#[derive(Clone, Debug, Serialize)]
pub struct Basket(Vec<Wanted>);

impl Basket {
    pub fn new(lines: &[Line]) -> Result<Self, Refusal<SaleErrorCode>> {
        if !(1..=MAXIMUM_LINES).contains(&lines.len()) {
            return Err(Refusal::explained(
                "lines",
                SaleErrorCode::InvalidInput,
                "一个订单须有 1 到 10 行。",
                "An order has 1 to 10 lines.",
            ));
        }
        let mut wanted: Vec<Wanted> = Vec::with_capacity(lines.len());
        for (index, line) in lines.iter().enumerate() {
            if !(1..=1000).contains(&line.quantity) {
                return Err(Refusal::explained(
                    format!("lines.{index}.quantity"),
                    SaleErrorCode::InvalidInput,
                    "每行数量须为 1 到 1000。",
                    "A line's quantity lies between 1 and 1000.",
                ));
            }
            match wanted.iter_mut().find(|wanted| wanted.offer == line.offer) {
                Some(same) => same.quantity += line.quantity,
                None => wanted.push(Wanted { offer: line.offer, quantity: line.quantity, line: index }),
            }
        }
        Ok(Self(wanted))
    }

    pub fn wanted(&self) -> &[Wanted] {
        &self.0
    }

    pub fn offer_ids(&self) -> Vec<OfferId> {
        self.0.iter().map(|wanted| wanted.offer).collect()
    }

    /// Where to point when something is wrong with an offer.
    pub fn line_of(&self, offer: OfferId) -> Option<usize> {
        self.0.iter().find(|wanted| wanted.offer == offer).map(|wanted| wanted.line)
    }

    /// What it comes to with these offers, which are those that the sale has of it.
    pub fn quote(&self, offers: &HashMap<OfferId, Offer>) -> Result<Quote, Refusal<SaleErrorCode>> {
        let mut priced = Vec::with_capacity(self.0.len());
        for wanted in &self.0 {
            let offer = offers
                .get(&wanted.offer)
                .ok_or_else(|| Refusal::at(format!("lines.{}.offerId", wanted.line), SaleErrorCode::OfferNotFound))?;
            priced.push((offer.clone(), wanted.quantity));
        }
        let (merchant, currency) = (priced[0].0.merchant_id, priced[0].0.currency);
        if priced.iter().any(|(offer, _)| offer.merchant_id != merchant || offer.currency != currency) {
            return Err(Refusal::at("lines", SaleErrorCode::MixedMerchants));
        }
        // At most 10 lines of 1000 pieces at a hundred million: far from overflowing.
        let amount_minor = priced.iter().map(|(offer, quantity)| offer.price_minor * i64::from(*quantity)).sum();
        if amount_minor > MAXIMUM_TOTAL {
            return Err(Refusal::explained(
                "lines",
                SaleErrorCode::InvalidInput,
                "订单总额不能超过一千万元，请分开下单。",
                "An order comes to ten million yuan at most; place several.",
            ));
        }
        Ok(Quote { merchant, total: Money { amount_minor, currency }, priced })
    }
}

/// A basket with its price.
#[derive(Clone, Debug)]
pub struct Quote {
    pub merchant: MerchantId,
    pub total: Money,
    pub priced: Vec<(Offer, i32)>,
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::activities::model::ActivityId;
    use crate::catalog::model::CollectibleId;
    use crate::sales::model::Currency;

    fn offer(price_minor: i64, merchant_id: MerchantId) -> Offer {
        Offer {
            id: OfferId::generate(),
            activity_id: ActivityId::generate(),
            collectible_id: CollectibleId::generate(),
            merchant_id,
            position: 0,
            price_minor,
            currency: Currency::Cny,
            quantity: 1000,
            limit_per_holder: 1000,
            allotment_id: None,
        }
    }

    fn code<T>(result: Result<T, Refusal<SaleErrorCode>>) -> (SaleErrorCode, Option<String>) {
        match result {
            Err(Refusal::Problems(problems)) => (problems[0].code, problems[0].field.clone()),
            _ => panic!("a refusal was due"),
        }
    }

    fn offers(all: &[Offer]) -> HashMap<OfferId, Offer> {
        all.iter().map(|offer| (offer.id, offer.clone())).collect()
    }

    proptest! {
        #[test]
        fn splitting_lines_changes_nothing(picks in prop::collection::vec((0usize..3, 1i32..=1000), 1..=10)) {
            let merchant = MerchantId::generate();
            let known = [offer(1, merchant), offer(250, merchant), offer(9_999, merchant)];
            let lines: Vec<Line> = picks.iter().map(|&(index, quantity)| Line { offer: known[index].id, quantity }).collect();
            let basket = Basket::new(&lines).unwrap();
            let named: std::collections::BTreeSet<_> = picks.iter().map(|pick| pick.0).collect();
            prop_assert_eq!(basket.wanted().len(), named.len());
            let apart: i64 = picks.iter().map(|&(index, quantity)| known[index].price_minor * i64::from(quantity)).sum();
            prop_assert_eq!(basket.quote(&offers(&known)).unwrap().total.amount_minor, apart);
        }

        #[test]
        fn what_is_not_one_to_a_thousand_is_refused(quantity in prop_oneof![i32::MIN..=0, 1001..=i32::MAX]) {
            let lines = [Line { offer: OfferId::generate(), quantity: 1 }, Line { offer: OfferId::generate(), quantity }];
            prop_assert_eq!(code(Basket::new(&lines)), (SaleErrorCode::InvalidInput, Some("lines.1.quantity".into())));
        }
    }

    #[test]
    fn an_order_has_one_merchant_known_offers_and_a_bounded_total() {
        let merchant = MerchantId::generate();
        let (ours, theirs) = (offer(100, merchant), offer(100, MerchantId::generate()));
        let basket = |offers: &[&Offer], quantity| {
            let lines: Vec<Line> = offers.iter().map(|offer| Line { offer: offer.id, quantity }).collect();
            Basket::new(&lines).unwrap()
        };
        let both = offers(&[ours.clone(), theirs.clone()]);
        assert_eq!(code(basket(&[&ours, &theirs], 1).quote(&both)).0, SaleErrorCode::MixedMerchants);
        let found = code(basket(&[&ours, &theirs], 1).quote(&offers(std::slice::from_ref(&ours))));
        assert_eq!(found, (SaleErrorCode::OfferNotFound, Some("lines.1.offerId".into())));
        let dear = offer(MAXIMUM_TOTAL / 2, merchant);
        assert!(basket(&[&dear], 2).quote(&offers(std::slice::from_ref(&dear))).is_ok());
        assert_eq!(
            code(basket(&[&dear], 3).quote(&offers(std::slice::from_ref(&dear)))).0,
            SaleErrorCode::InvalidInput
        );
    }

    #[test]
    fn an_order_has_one_to_ten_lines() {
        let lines: Vec<Line> = (0..11).map(|_| Line { offer: OfferId::generate(), quantity: 1 }).collect();
        assert!(Basket::new(&lines[..10]).is_ok());
        assert_eq!(code(Basket::new(&lines)).1.as_deref(), Some("lines"));
        assert_eq!(code(Basket::new(&[])).1.as_deref(), Some("lines"));
    }
}

//! What is paid for gas, and how much more when a transaction is stuck.

/// In wei for a unit of gas. Of a legacy transaction both are its gas price.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Fee {
    pub max: u128,
    pub tip: u128,
}

impl Fee {
    pub fn legacy(price: u128) -> Self {
        Self { max: price, tip: price }
    }

    /// Twice the base fee lasts for six full blocks in a row, each of which raises it by an eighth.
    pub fn eip1559(base: u128, tip: u128) -> Self {
        Self { max: base.saturating_mul(2).saturating_add(tip), tip }
    }

    pub fn within(self, most: u128) -> Self {
        let max = self.max.min(most);
        Self { max, tip: self.tip.min(max) }
    }

    /// What replaces a transaction that was sent with `self`: nodes ask for a tenth more, some for an eighth, of both
    /// parts. What is asked for at present, if that is more. `None` where it would be too much.
    pub fn raised(self, present: Self, most: u128) -> Option<Self> {
        let max = raised(self.max).max(present.max);
        let tip = raised(self.tip).max(present.tip).min(max);
        (max <= most).then_some(Self { max, tip })
    }
}

/// An eighth more, and at least one.
fn raised(price: u128) -> u128 {
    price + price.div_ceil(8).max(1)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn a_replacement_pays_an_eighth_more_and_never_more_than_it_may(
            max in 0u128..1 << 40, tip in 0u128..1 << 40, base in 0u128..1 << 40, most in 0u128..1 << 42,
        ) {
            let sent = Fee { max, tip: tip.min(max) };
            match sent.raised(Fee::eip1559(base, tip), most) {
                Some(raised) => {
                    prop_assert!(raised.max * 8 >= sent.max * 9 && raised.tip * 8 >= sent.tip * 9);
                    prop_assert!(raised.max > sent.max && raised.tip > sent.tip && raised.tip <= raised.max);
                    prop_assert!(raised.max <= most);
                }
                None => prop_assert!(sent.max + sent.max.div_ceil(8).max(1) > most || base * 2 + tip > most),
            }
            let first = Fee::eip1559(base, tip).within(most);
            prop_assert!(first.tip <= first.max && first.max <= most);
        }
    }

    #[test]
    fn where_gas_costs_nothing_a_replacement_still_costs_something() {
        assert_eq!(Fee::legacy(0).raised(Fee::legacy(0), 10), Some(Fee::legacy(1)));
        assert_eq!(Fee::legacy(10).raised(Fee::legacy(0), 10), None);
    }
}

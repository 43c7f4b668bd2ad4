//! First-hand sale: what an activity of kind SALE offers.

pub mod offers;

//! SQL over what is sold and what is bought.

pub mod bindings;
pub mod offers;
pub mod orders;
pub mod payments;

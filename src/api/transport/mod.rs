//! stub
use crate::platform::fault::Fault;
pub fn raise(fault: Fault) -> async_graphql::Error {
    async_graphql::Error::new(fault.code())
}

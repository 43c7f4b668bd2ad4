//! The tests that cross a boundary: HTTP, the database, processes. One binary, as each more would link it all again.

mod embedded;
mod support;
mod transport;

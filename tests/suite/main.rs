//! The one test binary: what crosses an edge is tested here, what is pure beside its code.

mod transport;

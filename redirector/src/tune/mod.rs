mod apply;
mod durable;
mod error;
mod guide;
mod host;
mod journal;
mod plan;
mod revert;
mod store;
#[cfg(test)]
mod way_back_tests;
pub use error::Error;

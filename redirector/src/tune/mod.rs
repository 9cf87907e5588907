mod error;
mod guide;
mod host;
mod plan;
pub use error::Error;

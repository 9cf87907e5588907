//! User space of redirector: command line, configuration, and the kernel side's loader.

pub mod check;
pub mod cli;
pub mod config;
pub mod exit;
pub mod holders;
pub mod host;
pub mod kernel;
pub mod output;
pub mod plan;
pub mod stats;
pub mod tune;

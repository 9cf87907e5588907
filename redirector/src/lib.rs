//! User space of redirector: command line, configuration, and the kernel side's loader.

pub mod check;
pub mod cli;
pub mod config;
mod durable;
pub mod exit;
pub mod holders;
pub mod host;
pub mod import;
pub mod kernel;
pub mod netfilter;
pub mod output;
pub mod plan;
pub mod stats;
pub mod tui;
pub mod tune;
pub mod web;

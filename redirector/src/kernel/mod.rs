//! The control path's last step: the BPF object, its maps, links and pins.
//!
//! Pins are the only truth about what is loaded; there is no daemon and no file of ours elsewhere.

mod bpffs;
mod capability;
mod conflict;
mod error;
mod fault;
mod instance;
mod links;
mod load;
mod maps;
mod object;
mod reload;
mod sys;
mod table;
mod unload;

pub use self::{
    capability::require as require_capabilities,
    error::Error,
    instance::Instance,
    load::{Outcome, load},
    maps::{Maps, Plain},
    object::{OBJECT, PROGRAMS, Settings as ObjectSettings, open as open_object},
    reload::reload,
    table::Table,
    unload::{unload, unload_all},
};

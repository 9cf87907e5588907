//! The control path's last step: the BPF object, its maps, links and pins.
//!
//! Pins are the only truth about what is loaded; there is no daemon and no file of ours elsewhere.

mod attach;
mod bpffs;
mod capability;
mod conflict;
mod drain;
mod error;
mod fault;
mod instance;
mod load;
mod maps;
mod namespace;
mod namespaces;
mod netlink;
mod object;
mod pin_mode;
mod probe;
mod reload;
mod rule_key;
mod supervision;
mod sys;
mod table;
mod trace;
mod unload;
mod upgrade;
mod version;
mod wanted;

pub use self::{
    attach::{
        Explanation, Neighbour, NeighbourHook, Neighbourhood, Order, Probed, Reason, Site, Tc,
        explain,
    },
    bpffs::require as require_bpffs,
    capability::{may_raise_limits, require as require_capabilities, require_log_reader},
    drain::{Drain, Live},
    error::Error,
    instance::Instance,
    load::{LoadOptions, Outcome, load, rehearse_load},
    maps::{Maps, Plain},
    namespace::{
        Place, Way, cookie as namespace_cookie, current as namespace_inode, is_first_process_here,
    },
    namespaces::Namespaces,
    netlink::{
        LinkChange, LinkEvents, Listener, XdpMode, bridge_options, bridges, connections, listeners,
    },
    object::{
        INGRESS_XDP, INGRESS_XDP_GENERIC, OBJECT, PROGRAMS, Settings as ObjectSettings,
        load as load_object, loaded as loaded_program, open as open_object, program_id,
    },
    pin_mode::{PinMode, PinModeError},
    probe::{Probe, probe},
    reload::{rehearse_change, rehearse_reload, reload},
    supervision::Claim,
    sys::unacknowledged,
    table::Table,
    trace::{RENEW_EVERY, Tracing, monotonic},
    unload::{Reach, Unloaded, unload, unload_all},
};

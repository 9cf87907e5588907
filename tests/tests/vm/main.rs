//! Devices of kernel modules that not every kernel has: `cargo xtask vm` boots one that does.

mod traffic;
mod vlan;
mod wireguard;

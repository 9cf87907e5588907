//! Devices of kernel modules that not every kernel has, and what belongs to a whole machine: `cargo xtask vm`
//! boots one that has them.

mod ipsec;
mod netem;
mod traffic;
mod tuning;
mod tunnels;
mod vlan;
mod wireguard;

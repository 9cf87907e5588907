//! Harness of the integration tests: hosts made of network namespaces, real clients and
//! servers, and independent witnesses (tcpdump, nft counters) of what is on the wire.
//!
//! `cargo xtask test` runs the tests as root with `REDIRECTOR_BIN` set to the release binary.
//! `REDIRECTOR_LONG=1` makes the volumes ten times larger or more; `REDIRECTOR_DATAPATH=nft` runs the
//! traffic tests against nftables' own `redirect`, the oracle; [`scenario`]s run under both unless it
//! names one. `REDIRECTOR_HOOK=xdp-native` or `xdp-generic` loads the redirector at that hook, unless a
//! test names another.

pub mod answering;
pub mod application;
pub mod bpffs;
pub mod browser;
pub mod capture;
pub mod counters;
pub mod dashboard;
pub mod datapath;
pub mod death;
pub mod docs;
pub mod flood;
pub mod footprint;
pub mod foreign;
pub mod generate;
pub mod http;
pub mod many;
pub mod netns;
pub mod normal;
pub mod packet;
pub mod process;
pub mod random;
pub mod redirector;
pub mod scenario;
pub mod scene;
pub mod server;
pub mod story;
pub mod system;
pub mod terminal;
pub mod testrun;
pub mod topology;
pub mod tracing;
pub mod transfer;
pub mod udp;
pub mod user;
pub mod wait;
pub mod wire;
pub mod xdp;

/// Multiplies the volume of a test in the long run.
pub fn scale(volume: u64) -> u64 {
    ordinary_or_long(volume, volume * 10)
}

/// The volume of a test, in an ordinary run and in the long one.
pub fn ordinary_or_long(ordinary: u64, long: u64) -> u64 {
    if std::env::var_os("REDIRECTOR_LONG").is_some_and(|value| value == "1") {
        long
    } else {
        ordinary
    }
}

//! Scenarios: traffic that is described once and played under nftables' `redirect`, the oracle, and
//! under the redirector. What the client saw, what the server saw and what was on the wire must agree.
//!
//! To write one, add to a file of `tests/tests/scenarios/` (a new file is listed in `main.rs`):
//!
//! ```ignore
//! Scenario::new("half_close", half_close).checks("an answer after the client's FIN arrives")
//!
//! fn half_close(stage: &Stage) {
//!     let (client, server) = stage.connection(80, 8000); // every step is noted in a transcript
//!     client.send(b"request").shutdown();
//!     server.expect(b"request").expect_eof().send(b"answer").close();
//!     client.expect(b"answer").expect_eof();
//! }
//! ```
//!
//! The function runs once for each [`Family`], [`Place`] and offload setting, all over one network;
//! it asserts what must be, so that both datapaths being wrong alike fails too. Defaults: rules
//! `80:8000`, a client on another host, both families, offloads off. Sockets that it drops are
//! closed, and the capture ends when no connection lives. What it notes must not depend on chance:
//! addresses are named (`client:P1` is the first ephemeral port), [`Stage::source_port`] gives a
//! fixed one, [`Stage::datapath`] tells who redirects where a declared [`Difference`] needs it.
//! Nothing is captured on loopback: there nftables rewrites before the wire. `REDIRECTOR_SHOW=1`
//! prints what was noted and captured.

mod compare;
pub mod icmp_error;
mod log;
mod names;
mod network;
mod peer;
mod run;
mod stage;
mod tap;
mod tcp;
mod udp;
mod wire;

pub use log::Log;
pub use network::{LINK_LOCAL, Network, OTHER, Topology};
pub use peer::Peer;
pub use stage::Stage;
pub use tap::Tap;
pub use tcp::{Dial, Server};
pub use udp::UdpPeer;

use std::env;

use crate::netns::Offloads;
use crate::redirector::{HOOK, NATIVE_XDP};

/// One test. Made by [`Scenario::new`]; every other method returns the scenario with one thing changed.
#[derive(Clone, Copy, Debug)]
pub struct Scenario {
    name: &'static str,
    traffic: fn(&Stage),
    checks: &'static str,
    rules: &'static [&'static str],
    interfaces: Option<&'static [&'static str]>,
    topology: Topology,
    prepare: fn(&Network),
    families: &'static [Family],
    places: &'static [Place],
    offloads: &'static [Offloads],
    bad_checksums: bool,
    difference: Option<Difference>,
    not_with_native_xdp: Option<&'static str>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Family {
    V4,
    V6,
}

/// Where the client is, and the address it reaches the server by.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Place {
    /// On another host; the only place with a capture.
    Remote,
    /// On the server, to 127.0.0.1 or ::1.
    Loopback,
    /// On the server, to the address of its `eth0`.
    OwnAddress,
}

impl Place {
    pub const ALL: &[Self] = &[Self::Remote, Self::Loopback, Self::OwnAddress];
}

/// What is known to differ between the datapaths, and why that is right or not mended yet. The
/// scenario fails when anything else differs, and when this no longer does.
#[derive(Clone, Copy, Debug)]
pub struct Difference {
    reason: &'static str,
    client: bool,
    server: bool,
    wire: bool,
}

impl Scenario {
    pub const fn new(name: &'static str, traffic: fn(&Stage)) -> Self {
        Self {
            name,
            traffic,
            checks: "",
            rules: &["80:8000"],
            interfaces: None,
            topology: Topology::Lan,
            prepare: |_| {},
            families: &[Family::V4, Family::V6],
            places: &[Place::Remote],
            offloads: &[Offloads::Off],
            bad_checksums: false,
            difference: None,
            not_with_native_xdp: None,
        }
    }

    /// One line that says what is checked; a failure begins with it.
    pub const fn checks(self, checks: &'static str) -> Self {
        Self { checks, ..self }
    }

    /// `[ADDRESS:]FROM:TO[/PROTOCOL]`, in force before the traffic begins.
    pub const fn rules(self, rules: &'static [&'static str]) -> Self {
        Self { rules, ..self }
    }

    /// The rules hold for traffic that enters the server here, and nowhere else.
    pub const fn interfaces(self, interfaces: &'static [&'static str]) -> Self {
        Self {
            interfaces: Some(interfaces),
            ..self
        }
    }

    pub const fn topology(self, topology: Topology) -> Self {
        Self { topology, ..self }
    }

    /// What is done to the network before anything is redirected.
    pub const fn prepared(self, prepare: fn(&Network)) -> Self {
        Self { prepare, ..self }
    }

    pub const fn families(self, families: &'static [Family]) -> Self {
        Self { families, ..self }
    }

    pub const fn places(self, places: &'static [Place]) -> Self {
        Self { places, ..self }
    }

    /// With [`Offloads::On`] the receivers, not the capture, judge the checksums.
    pub const fn offloads(self, offloads: &'static [Offloads]) -> Self {
        Self { offloads, ..self }
    }

    /// The hosts may drop packets for their checksum: the scenario crafts bad ones, as the ghost.
    pub const fn bad_checksums(self) -> Self {
        Self {
            bad_checksums: true,
            ..self
        }
    }

    pub const fn differs(self, difference: Difference) -> Self {
        Self {
            difference: Some(difference),
            ..self
        }
    }

    /// What veth does differently with a native XDP program on it, whatever that program does.
    pub const fn not_with_native_xdp(self, reason: &'static str) -> Self {
        Self {
            not_with_native_xdp: Some(reason),
            ..self
        }
    }

    /// Why it cannot be played with the hook that the tests are told to load at.
    pub fn inapplicable(&self) -> Option<&'static str> {
        self.not_with_native_xdp
            .filter(|_| env::var_os(HOOK).is_some_and(|hook| hook == NATIVE_XDP))
    }

    pub const fn name(&self) -> &'static str {
        self.name
    }

    /// Plays the scenario under every datapath under test.
    ///
    /// # Errors
    /// A text for a person: which step panicked, or a diff of what should agree.
    pub fn run(&self) -> Result<(), String> {
        run::run(self)
    }
}

impl Difference {
    pub const fn new(reason: &'static str) -> Self {
        Self {
            reason,
            client: false,
            server: false,
            wire: false,
        }
    }

    pub const fn in_client(self) -> Self {
        Self {
            client: true,
            ..self
        }
    }

    pub const fn in_server(self) -> Self {
        Self {
            server: true,
            ..self
        }
    }

    pub const fn on_wire(self) -> Self {
        Self { wire: true, ..self }
    }
}

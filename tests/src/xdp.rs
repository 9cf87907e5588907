//! XDP programs that the tests themselves attach.

use std::path::Path;

use aya::Ebpf;
use aya::programs::{Xdp, XdpMode};
use redirector::kernel::{
    INGRESS_XDP, INGRESS_XDP_GENERIC, ObjectSettings, load_object, loaded_program,
};

use crate::netns::Namespace;
use crate::redirector::Instance;

/// Of a veth.
pub const MODES: [XdpMode; 2] = [XdpMode::Skb, XdpMode::Driver];

/// In front of a loaded instance's other programs, as long as it lives.
pub struct Accelerator(#[expect(dead_code, reason = "holds the link")] Ebpf);

impl Accelerator {
    /// Beside what an instance has attached to an interface, over the same maps.
    pub fn attach(instance: &Instance, interface: &str, mode: XdpMode) -> Self {
        let maps = instance.pins().join("maps");
        Self(attach(instance.host(), interface, mode, Some(&maps)))
    }
}

/// Of somebody else, as long as it lives. It passes everything.
pub struct Foreign(#[expect(dead_code, reason = "holds the link")] Ebpf);

impl Foreign {
    /// What the names of the programs begin with.
    pub const NAME: &str = "\"ingress_xdp";

    pub fn attach(host: &Namespace, interface: &str, mode: XdpMode) -> Self {
        Self(attach(host, interface, mode, None))
    }
}

fn attach(host: &Namespace, interface: &str, mode: XdpMode, maps: Option<&Path>) -> Ebpf {
    let settings = ObjectSettings {
        capacity: 1024,
        log_level: "off".parse().expect("a log level"),
    };
    let name = match mode {
        XdpMode::Skb => INGRESS_XDP_GENERIC,
        _ => INGRESS_XDP,
    };
    let mut object = load_object(settings, [name], maps).expect("an object");
    let program = loaded_program(&mut object, name).expect("the program");
    let program: &mut Xdp = program.try_into().expect("an XDP program");
    host.enter(|| program.attach(interface, mode))
        .unwrap_or_else(|error| panic!("{mode:?} on {interface}: {error:?}"));
    object
}

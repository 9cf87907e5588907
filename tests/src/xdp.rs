//! The XDP program in front of a loaded instance's others.

use aya::Ebpf;
use aya::programs::{Xdp, XdpMode};
use redirector::kernel::{INGRESS_XDP, INGRESS_XDP_GENERIC, ObjectSettings, load_object};

use crate::redirector::Instance;

/// Of a veth.
pub const MODES: [XdpMode; 2] = [XdpMode::Skb, XdpMode::Driver];

/// Attached as long as it lives.
pub struct Accelerator(#[expect(dead_code, reason = "holds the link")] Ebpf);

impl Accelerator {
    /// Beside what an instance has attached to an interface, over the same maps.
    pub fn attach(instance: &Instance, interface: &str, mode: XdpMode) -> Self {
        let settings = ObjectSettings {
            capacity: 1024,
            log_level: "off".parse().expect("a log level"),
        };
        let maps = instance.pins().join("maps");
        let name = match mode {
            XdpMode::Skb => INGRESS_XDP_GENERIC,
            _ => INGRESS_XDP,
        };
        let mut object = load_object(settings, [name], Some(&maps)).expect("an object");
        let program = object.program_mut(name).expect("the program");
        let program: &mut Xdp = program.try_into().expect("an XDP program");
        instance
            .host()
            .enter(|| program.attach(interface, mode))
            .unwrap_or_else(|error| panic!("{mode:?} on {interface}: {error:?}"));
        Self(object)
    }
}

//! What of an instance is still where it was attached.

use std::path::Path;

use redirector_common::abi::{ATTACH_CLSACT, InterfaceRecord};

use super::{DIRECTIONS, XDP, clsact, elsewhere, link, link_pins, name, pin, records, xdp};
use crate::{
    kernel::{Error, namespace::Way},
    plan::IngressHook,
};

/// Whether nothing of an instance holds to any interface. Filters cannot be asked from another network
/// namespace; those may still be there.
pub fn is_gone(directory: &Path) -> Result<bool, Error> {
    if has_filters(directory) {
        return Ok(false);
    }
    for pin in link_pins(directory)? {
        match link::holds(&pin) {
            Ok(false) => {}
            Ok(true) => return Ok(false),
            // Nothing says so.
            Err(error) if error.is_permission() => return Ok(false),
            Err(error) => return Err(error),
        }
    }
    Ok(true)
}

/// Whether links of an interface hold to it, in whatever network namespace it is; `None` where this user cannot open
/// them.
pub fn holds(directory: &Path, ifindex: u32) -> Result<Option<bool>, Error> {
    let mut held = Some(false);
    for half in DIRECTIONS.map(name).into_iter().chain([XDP]) {
        match link::holds(&pin(directory, ifindex, half)) {
            Ok(false) => {}
            Err(error) if error.is_permission() => held = None,
            found => return found.map(Some),
        }
    }
    Ok(held)
}

/// Whether an instance has filters on clsact qdiscs.
pub fn has_filters(directory: &Path) -> bool {
    records(directory).is_ok_and(|records| {
        let mut records = records.iter();
        records.any(|(_, record)| record.attach & ATTACH_CLSACT != 0)
    })
}

/// Whether everything that an interface has of an instance still holds to it, and where its ingress
/// half is. What rtnetlink alone tells is not known of another network namespace's, and holds there as long as
/// anything leads to that one.
pub fn state(
    directory: &Path,
    ifindex: u32,
    record: &InterfaceRecord,
) -> Result<(bool, IngressHook), Error> {
    let elsewhere = elsewhere(directory)?;
    let is_here = elsewhere.is_none();
    let mut attached = true;
    let mut hook = IngressHook::Tcx;
    if record.attach & ATTACH_CLSACT != 0 {
        hook = IngressHook::Clsact;
        for direction in DIRECTIONS.into_iter().filter(|_| is_here) {
            attached &= match clsact::programs(directory) {
                Err(error) if error.is_permission() => clsact::is_named(ifindex, direction)?,
                known => clsact::is_attached(ifindex, direction, &known?)?,
            };
        }
        if let Some(netns) = elsewhere {
            attached &= Way::to(netns) != Way::Unknown || holds(directory, ifindex)? == Some(true);
        }
    } else {
        for direction in DIRECTIONS {
            attached &= seems_attached(&pin(directory, ifindex, name(direction)), ifindex)?;
        }
    }
    let xdp = pin(directory, ifindex, XDP);
    if xdp.exists() {
        attached &= seems_attached(&xdp, ifindex)?;
        hook = match xdp::hook(directory, &xdp) {
            Err(error) if error.is_permission() => {
                let told = xdp::told(ifindex).filter(|_| is_here);
                attached &= told.is_some() || !is_here;
                told.unwrap_or(IngressHook::XdpGeneric)
            }
            hook => hook?,
        };
    }
    Ok((attached, hook))
}

/// Whoever can open a link can detach it, so others see its pin alone: it was attached.
fn seems_attached(pin: &Path, ifindex: u32) -> Result<bool, Error> {
    match link::is_attached(pin, ifindex) {
        Err(error) if error.is_permission() => Ok(pin.exists()),
        attached => attached,
    }
}

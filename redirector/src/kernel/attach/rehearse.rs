//! What an interface would refuse, asked before anything is attached.

use std::{io, path::Path};

use super::{DIRECTIONS, Site, Tc, XDP, clsact, has_tc, netlink, pin, tcx, xdp};
use crate::{
    config,
    kernel::{
        Error,
        netlink::{XdpMode, xdp_features},
    },
};

/// Fails where attaching would, as far as that can be known. Changes nothing.
pub fn rehearse<'a>(
    directory: &Path,
    sites: impl IntoIterator<Item = &'a Site>,
) -> Result<(), Error> {
    for site in sites {
        for direction in DIRECTIONS {
            if has_tc(directory, site, direction)? {
                continue;
            }
            match site.tc {
                Tc::Tcx => tcx::refuse_full(site, direction)?,
                Tc::Clsact { .. } => clsact::rehearse(site, direction)?,
            }
        }
        if site.xdp == Some(config::XdpMode::Native) {
            refuse_without_driver(directory, site)?;
        }
    }
    Ok(())
}

/// What the kernel makes itself, with an Ethernet header and no `ndo_bpf`.
const WITHOUT_NATIVE: [&str; 6] = ["bridge", "dummy", "ipvlan", "macvlan", "vlan", "vxlan"];

/// A driver of a device may have more than it tells (`xdp_features`), and the kernel does not go by that when it
/// attaches (`dev_xdp_attach()` in net/core/dev.c).
fn refuse_without_driver(directory: &Path, site: &Site) -> Result<(), Error> {
    let index = site.interface.index;
    let pin = pin(directory, index, XDP);
    let has_told = xdp_features(index).is_ok_and(|features| !features.is_empty());
    if has_told
        || !is_without_native(index)?
        || xdp::fits(directory, &pin, index, config::XdpMode::Native)?
    {
        return Ok(());
    }
    Err(Error::Xdp {
        interface: site.interface.name.clone(),
        mode: XdpMode::Native,
        reason: "its driver does not support XDP in native mode".to_owned(),
    })
}

fn is_without_native(index: u32) -> Result<bool, Error> {
    let links = netlink()?
        .links()
        .map_err(|error| Error::io("ask", "rtnetlink about links")(io::Error::other(error)))?;
    let link = links.into_iter().find(|link| link.index == index);
    let kind = link.and_then(|link| link.kind);
    Ok(kind.is_some_and(|kind| WITHOUT_NATIVE.contains(&&*kind)))
}

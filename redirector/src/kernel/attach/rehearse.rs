//! What an interface would refuse, asked before anything is attached.

use std::path::Path;

use super::{DIRECTIONS, Site, Tc, XDP, clsact, has_tc, pin, tcx, xdp};
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

/// A driver may have more than it tells, so nothing but a rehearsal asks.
fn refuse_without_driver(directory: &Path, site: &Site) -> Result<(), Error> {
    let index = site.interface.index;
    let pin = pin(directory, index, XDP);
    let is_none = xdp_features(index).is_ok_and(|features| features.is_empty());
    if !is_none || xdp::fits(directory, &pin, index, config::XdpMode::Native)? {
        return Ok(());
    }
    Err(Error::Xdp {
        interface: site.interface.name.clone(),
        mode: XdpMode::Native,
        reason: "its driver does not support XDP in native mode".to_owned(),
    })
}

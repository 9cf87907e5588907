//! How many connections each rule has now.

use std::collections::HashMap;

use aya::maps::MapError;
use redirector_common::abi::{KEY_FLOW, NO_PORT, NO_RULE};

use crate::kernel::{Error, Instance, Plain};

/// By the rule's number.
pub fn read(instance: &Instance) -> Result<HashMap<u32, u64>, Error> {
    let mut live = HashMap::new();
    for entry in instance.maps.flows()?.iter() {
        match entry {
            Ok((Plain(key), Plain(flow))) => {
                if key.kind == KEY_FLOW && flow.from != NO_PORT && flow.rule != NO_RULE {
                    *live.entry(flow.rule).or_default() += 1;
                }
            }
            // Evicted while we were walking.
            Err(MapError::KeyNotFound) => {}
            Err(error) => return Err(Error::map("FLOWS")(error)),
        }
    }
    Ok(live)
}

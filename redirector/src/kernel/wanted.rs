//! What `run` is to attach: kept with the pins, so that every reader can tell what is missing.

use redirector_common::abi::{WANTED_LENGTH, WantedRecord};

use super::{Error, Maps, maps::Plain};
use crate::{
    config::{Interface, Selector},
    plan::{LoadedInterface, Missing},
};

pub fn write(maps: &Maps, wanted: &[Selector]) -> Result<(), Error> {
    let mut map = maps.writable().wanted()?;
    for (position, selector) in (0..).zip(wanted) {
        map.insert(Plain(position), Plain(record(selector)), 0)
            .map_err(Error::map("WANTED"))?;
    }
    let positions: Vec<_> = map
        .keys()
        .collect::<Result<_, _>>()
        .map_err(Error::map("WANTED"))?;
    for Plain(position) in positions {
        if position as usize >= wanted.len() {
            map.remove(&Plain(position)).map_err(Error::map("WANTED"))?;
        }
    }
    Ok(())
}

pub fn read(maps: &Maps) -> Result<Vec<Selector>, Error> {
    let mut records: Vec<_> = maps
        .wanted()?
        .iter()
        .map(|entry| entry.map(|(Plain(position), Plain(record))| (position, record)))
        .collect::<Result<_, _>>()
        .map_err(Error::map("WANTED"))?;
    records.sort_by_key(|(position, _): &(u32, WantedRecord)| *position);
    // What we wrote was parsed once.
    Ok(records
        .iter()
        .filter_map(|(_, record)| selector(record))
        .collect())
}

/// What is wanted and not attached. One that is loaded and gone tells so itself.
pub fn missing(
    wanted: &[Selector],
    present: &[Interface],
    loaded: &[LoadedInterface],
) -> Vec<Missing> {
    let mut missing = Vec::new();
    for selector in wanted {
        let matches = |interface: &Interface| selector.matches(&interface.name);
        if !present.iter().any(matches) {
            if !loaded.iter().any(|loaded| matches(&loaded.interface)) {
                missing.push(Missing::Absent(selector.clone()));
            }
            continue;
        }
        for interface in present.iter().filter(|each| matches(each)) {
            let is_told = |loaded: &LoadedInterface| {
                loaded.interface.index == interface.index
                    || (loaded.interface.name == interface.name && !loaded.attached)
            };
            let unattached = Missing::Unattached(interface.clone());
            if !loaded.iter().any(is_told) && !missing.contains(&unattached) {
                missing.push(unattached);
            }
        }
    }
    missing
}

fn record(selector: &Selector) -> WantedRecord {
    let mut record = WantedRecord {
        selector: [0; WANTED_LENGTH],
    };
    for (place, byte) in record.selector.iter_mut().zip(selector.as_str().bytes()) {
        *place = byte;
    }
    record
}

fn selector(record: &WantedRecord) -> Option<Selector> {
    let text = record.selector.split(|byte| *byte == 0).next()?;
    str::from_utf8(text).ok()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::plan::{IngressHook, Presence};

    fn interface(name: &str, index: u32) -> Interface {
        Interface {
            name: name.to_owned(),
            index,
        }
    }

    fn loaded(name: &str, index: u32, attached: bool) -> LoadedInterface {
        LoadedInterface {
            interface: interface(name, index),
            attached,
            place: Presence::Here,
            hook: IngressHook::Tcx,
        }
    }

    fn selectors(texts: &[&str]) -> Vec<Selector> {
        texts.iter().map(|text| text.parse().unwrap()).collect()
    }

    #[test]
    fn a_record_keeps_a_selector_of_any_length() {
        let longest = "[0-9]".repeat(12) + "eth*";
        assert_eq!(longest.len(), WANTED_LENGTH);
        for selector in selectors(&["eth0", "eth*", &longest]) {
            assert_eq!(super::selector(&record(&selector)), Some(selector));
        }
    }

    #[test]
    fn what_is_missing_is_told_once() {
        let wanted = selectors(&["eth0", "eth*", "wg0", "tun*"]);
        let present = [
            interface("lo", 1),
            interface("eth0", 2),
            interface("eth1", 3),
        ];
        let absent = |text: &str| Missing::Absent(text.parse().unwrap());
        assert_eq!(
            missing(&wanted, &present, &[loaded("eth0", 2, true)]),
            [
                Missing::Unattached(interface("eth1", 3)),
                absent("wg0"),
                absent("tun*"),
            ]
        );
        // Loaded and gone, or made again since.
        let gone = [
            loaded("wg0", 9, false),
            loaded("eth1", 8, false),
            loaded("eth0", 2, true),
        ];
        assert_eq!(missing(&wanted, &present, &gone), [absent("tun*")]);
    }
}

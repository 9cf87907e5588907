//! A hash read by the thousand (`BPF_MAP_LOOKUP_BATCH`), for which aya has no words.

use std::{
    io,
    os::fd::{AsFd as _, AsRawFd as _},
};

use aya::{
    maps::{MapData, MapError},
    sys::SyscallError,
};
use bytemuck::Pod;

use super::bpf_mut;

const BPF_MAP_LOOKUP_BATCH: libc::c_int = 24;

/// Entries of one call; more than any bucket of a hash has.
const ENTRIES: usize = 4096;

#[repr(C)]
struct Batch {
    in_batch: u64,
    out_batch: u64,
    keys: u64,
    values: u64,
    count: u32,
    map_fd: u32,
    elem_flags: u64,
    flags: u64,
}

/// Every entry of a hash. Each of its buckets is read once and whole, so no entry is seen twice or missed
/// because others come and go meanwhile (`__htab_map_lookup_and_delete_batch()` in
/// `kernel/bpf/hashtab.c`). Walking by keys begins anew whenever the key that it stands on has gone.
pub fn entries<K: Pod, V: Pod>(map: &MapData, mut each: impl FnMut(K, V)) -> Result<(), MapError> {
    let info = map.info()?;
    let (key_size, value_size) = (info.key_size() as usize, info.value_size() as usize);
    if key_size != size_of::<K>() {
        return Err(MapError::InvalidKeySize {
            size: size_of::<K>(),
            expected: key_size,
        });
    }
    if value_size != size_of::<V>() {
        return Err(MapError::InvalidValueSize {
            size: size_of::<V>(),
            expected: value_size,
        });
    }
    let mut keys = vec![K::zeroed(); ENTRIES];
    let mut values = vec![V::zeroed(); ENTRIES];
    let mut place: Option<u32> = None;
    loop {
        let (count, next) = lookup(map, place, &mut keys, &mut values).map_err(|io_error| {
            MapError::SyscallError(SyscallError {
                call: "BPF_MAP_LOOKUP_BATCH",
                io_error,
            })
        })?;
        for (key, value) in keys.iter().zip(&values).take(count) {
            each(*key, *value);
        }
        if next.is_none() {
            return Ok(());
        }
        place = next;
    }
}

/// How many entries there were, and where to go on. The sizes are the map's.
fn lookup<K: Pod, V: Pod>(
    map: &MapData,
    place: Option<u32>,
    keys: &mut [K],
    values: &mut [V],
) -> io::Result<(usize, Option<u32>)> {
    let mut next = 0_u32;
    let mut attribute = Batch {
        in_batch: place
            .as_ref()
            .map_or(0, |place| std::ptr::from_ref(place) as u64),
        out_batch: &raw mut next as u64,
        keys: keys.as_mut_ptr() as u64,
        values: values.as_mut_ptr() as u64,
        count: keys.len().min(values.len()) as u32,
        map_fd: map.fd().as_fd().as_raw_fd() as u32,
        elem_flags: 0,
        flags: 0,
    };
    let goes_on = match bpf_mut(BPF_MAP_LOOKUP_BATCH, &mut attribute) {
        Ok(_) => true,
        // The last ones.
        Err(error) if error.raw_os_error() == Some(libc::ENOENT) => false,
        Err(error) => return Err(error),
    };
    Ok((attribute.count as usize, goes_on.then_some(next)))
}

//! The maps. `ARCHITECTURE.md` gives the reason for each; the types and their layout are in
//! `redirector_common::abi`. Sizes that depend on the rules are set at load.

use aya_ebpf::{
    bindings::{BPF_F_MMAPABLE, BPF_F_NO_PREALLOC},
    btf_maps::{Array, HashMap, LruHashMap, PerCpuArray, RingBuf, SkStorage},
    macros::btf_map,
};
use redirector_common::{
    Skip,
    abi::{
        EarlierKey, EarlierTarget, Ever, Flow, FlowKey, HISTOGRAM_ENTRIES, InterfaceRecord,
        MAX_INTERFACES, PORT_ENTRIES, PortEntry, RECENT_PLACES, Recent, Rule, RuleCounters,
        RuleKey, Settings, SocketFlow, TRACED_BYTES, TraceControl, TraceRecord, WantedRecord,
    },
};

#[btf_map]
pub static SETTINGS: Array<Settings, 1> = Array::new();

#[btf_map]
pub static PORTS: Array<PortEntry, { PORT_ENTRIES as usize }> = Array::new();

#[btf_map]
pub static RULES: HashMap<RuleKey, Rule, 2048> = HashMap::new();

#[btf_map]
pub static EARLIER: HashMap<EarlierKey, EarlierTarget, 2048, { BPF_F_NO_PREALLOC as usize }> =
    HashMap::new();

#[btf_map]
pub static PENDING: LruHashMap<FlowKey, Flow, 65_536> = LruHashMap::new();

#[btf_map]
pub static FLOWS: LruHashMap<FlowKey, Flow, 262_144> = LruHashMap::new();

#[btf_map]
pub static RECENT: Array<Recent, { RECENT_PLACES as usize }, { BPF_F_MMAPABLE as usize }> =
    Array::new();

#[btf_map]
pub static MOVED: LruHashMap<FlowKey, Flow, 16_384> = LruHashMap::new();

#[btf_map]
pub static EVER: Array<Ever, 1> = Array::new();

#[btf_map]
pub static SOCKETS: SkStorage<SocketFlow> = SkStorage::new();

#[btf_map]
pub static COUNTERS: PerCpuArray<RuleCounters, 1024> = PerCpuArray::new();

#[btf_map]
pub static SKIPPED: PerCpuArray<u64, { Skip::COUNT as usize }> = PerCpuArray::new();

#[btf_map]
pub static TRACE: Array<TraceControl, 1> = Array::new();

#[btf_map]
pub static TRACED: RingBuf<TraceRecord, { TRACED_BYTES as usize }> = RingBuf::new();

#[btf_map]
pub static TRACE_LOST: PerCpuArray<u64, 1> = PerCpuArray::new();

#[btf_map]
pub static HISTOGRAMS: PerCpuArray<u64, { HISTOGRAM_ENTRIES as usize }> = PerCpuArray::new();

/// Room for as many that go while others come.
#[btf_map]
pub static INTERFACES: HashMap<u32, InterfaceRecord, { 2 * MAX_INTERFACES as usize }> =
    HashMap::new();

#[btf_map]
pub static WANTED: HashMap<u32, WantedRecord, { MAX_INTERFACES as usize }> = HashMap::new();

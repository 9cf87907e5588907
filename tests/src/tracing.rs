//! `redirector trace` in the background.

use aya::maps::{Array, MapData};
use redirector::kernel::Plain;
use redirector_common::abi::TraceControl;

use crate::process::Background;
use crate::redirector::Instance;
use crate::wait;

/// Returns once the programs tell.
#[track_caller]
pub fn start(instance: &Instance, arguments: &str) -> Background {
    let mut trace = Background::start(
        &mut instance.command("trace", arguments),
        Background::directory(),
    );
    until_told(instance, &mut trace);
    trace
}

#[track_caller]
pub fn until_told(instance: &Instance, trace: &mut Background) {
    wait::until("the programs tell", || {
        trace.assert_running();
        control(instance).reader >> 32 == u64::from(trace.pid())
    });
}

/// What the programs have been asked for.
pub fn control(instance: &Instance) -> TraceControl {
    let pin = instance.pins().join("maps/TRACE");
    let map = MapData::from_pin(pin).expect("the map");
    let map = Array::<_, Plain<TraceControl>>::try_from(aya::maps::Map::Array(map));
    map.expect("an array").get(&0, 0).expect("its value").0
}

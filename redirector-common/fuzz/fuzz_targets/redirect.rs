//! Rules, packets and other events.
#![no_main]

#[path = "../../tests/common/mod.rs"]
mod common;
#[path = "../../tests/common/story/mod.rs"]
mod story;

use libfuzzer_sys::fuzz_target;

fuzz_target!(|story: story::Story| story.run());

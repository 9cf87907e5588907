//! Ten thousand rules.

use std::fmt::Write;
use std::fs;

use crate::netns::Namespace;
use crate::process::Background;
use crate::redirector::Instance;

/// From each port of 2000 to 11,999 to the one 20,000 higher.
#[track_caller]
pub fn load(on: &Namespace) -> Instance {
    let directory = Background::directory();
    let file = directory.path().join("many.toml");
    let mut text = "interfaces = [\"eth0\", \"lo\"]\n".to_owned();
    for from in 2000..12_000 {
        let to = from + 20_000;
        write!(text, "[[redirect]]\nfrom = {from}\nto = {to}\n").expect("a string grows");
    }
    fs::write(&file, text).expect("a configuration file");
    Instance::load(on, &format!("-c {}", file.display()))
}

use super::{args::Flows, place, print};
use crate::{
    exit::Exit,
    kernel::Instance,
    output::{self, flows},
    stats,
};

pub fn run(args: Flows) -> anyhow::Result<Exit> {
    let name = args.instance.name;
    let instance = Instance::open(&name)?;
    place::tell(&instance)?;
    let tracked = stats::flows::read(&instance)?;
    if args.json.enabled {
        print(output::json(&flows::Document::new(name, &tracked))?)?;
    } else {
        print(flows::text(&tracked))?;
    }
    Ok(Exit::Done)
}

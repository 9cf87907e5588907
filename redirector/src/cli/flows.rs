use super::{args::Flows, print};
use crate::{
    exit::Exit,
    kernel::Instance,
    output::{self, flows},
    stats,
};

pub fn run(args: Flows) -> anyhow::Result<Exit> {
    let name = args.instance.name;
    let tracked = stats::flows::read(&Instance::open(&name)?)?;
    if args.json.enabled {
        print(output::json(&flows::Document::new(name, &tracked))?)?;
    } else {
        print(flows::text(&tracked))?;
    }
    Ok(Exit::Done)
}

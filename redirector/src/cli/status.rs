use std::time::SystemTime;

use super::{args::Status, print};
use crate::{
    exit::Exit,
    kernel::{Error, Instance},
    output::{self, status},
};

pub fn run(args: Status) -> anyhow::Result<Exit> {
    let name = args.instance.name;
    let Some(instance) = Instance::find(&name)? else {
        if args.json.enabled {
            print(output::json(&status::Document::not_loaded(name))?)?;
            return Ok(Exit::NotLoaded);
        }
        return Err(Error::NotLoaded(name).into());
    };
    let loaded = instance.loaded()?;
    let supervisor = instance.supervisor();
    if args.json.enabled {
        print(output::json(&status::Document::new(
            name, &loaded, supervisor,
        ))?)?;
    } else {
        print(status::text(&name, &loaded, supervisor, SystemTime::now()))?;
    }
    Ok(if loaded.is_complete() {
        Exit::Done
    } else {
        Exit::Degraded
    })
}

use std::time::SystemTime;

use super::{args::Status, place, print};
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
        return Err(Error::not_loaded(&name).into());
    };
    let place = place::tell(&instance)?;
    let loaded = instance.loaded()?;
    if args.json.enabled {
        print(output::json(&status::Document::new(name, &loaded, &place))?)?;
    } else {
        print(status::text(&name, &loaded, SystemTime::now()))?;
    }
    Ok(if loaded.interfaces.iter().all(|loaded| loaded.attached) {
        Exit::Done
    } else {
        Exit::Degraded
    })
}

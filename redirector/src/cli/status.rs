use std::time::SystemTime;

use super::{args::Status, place, print};
use crate::{
    exit::Exit,
    kernel::{Error, Instance},
    output::{
        self,
        status::{self, Reading},
    },
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
    place::tell(&instance)?;
    let reading = Reading::of(&instance)?;
    if args.json.enabled {
        print(output::json(&status::Document::new(name, &reading))?)?;
    } else {
        print(status::text(&name, &reading, SystemTime::now()))?;
        for note in reading.unread() {
            eprintln!("note: {note}");
        }
    }
    Ok(if reading.findings.is_empty() {
        Exit::Done
    } else {
        Exit::Degraded
    })
}

use super::{args::Unload, print};
use crate::{exit::Exit, kernel};

pub fn run(args: Unload) -> anyhow::Result<Exit> {
    let name = args.instance.name;
    if args.all {
        for name in kernel::unload_all()? {
            print(format_args!("unloaded instance \"{name}\"\n"))?;
        }
    } else if kernel::unload(&name)? {
        print(format_args!("unloaded instance \"{name}\"\n"))?;
    } else {
        print(format_args!("instance \"{name}\" is not loaded\n"))?;
    }
    Ok(Exit::Done)
}

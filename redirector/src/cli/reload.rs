use super::{args::Reload, changes, print};
use crate::{
    exit::Exit,
    kernel::{self, Outcome},
};

pub fn run(args: Reload) -> anyhow::Result<Exit> {
    let name = &args.instance.name;
    let wanted = changes::resolve(&args.source)?;
    if args.dry_run {
        return changes::dry_run(name, &wanted.config);
    }
    changes::while_examining(
        &wanted.config,
        || kernel::reload(name, &wanted.config),
        |outcome| {
            match outcome {
                Outcome::Unchanged => {
                    print(format_args!("instance \"{name}\" is as wanted already\n"))?;
                }
                Outcome::Done(plan) => print(format_args!(
                    "reloaded instance \"{name}\" from {}\n{}",
                    wanted.origin,
                    changes::summary(&plan)
                ))?,
            }
            Ok(())
        },
    )
}

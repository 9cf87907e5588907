use super::{args::Load, changes, print};
use crate::{
    exit::Exit,
    kernel::{self, Outcome},
};

pub fn run(args: Load) -> anyhow::Result<Exit> {
    let name = &args.instance.name;
    let wanted = changes::resolve(&args.source)?;
    if args.dry_run {
        return changes::dry_run(name, &wanted.config);
    }
    changes::while_examining(
        &wanted.config,
        || kernel::load(name, &wanted.config, args.log_level.into()),
        |outcome| {
            match outcome {
                Outcome::Unchanged => print(format_args!(
                    "instance \"{name}\" is loaded already, with these rules and interfaces\n"
                ))?,
                Outcome::Done(plan) => print(format_args!(
                    "loaded instance \"{name}\" from {}\n{}",
                    wanted.origin,
                    changes::summary(&plan)
                ))?,
            }
            Ok(())
        },
    )
}

use super::{args::Check, changes, print};
use crate::{
    check::{self, Level},
    exit::Exit,
    output,
};

pub fn run(args: Check) -> anyhow::Result<Exit> {
    let wanted = changes::resolve(&args.source)?;
    let mut findings = check::examine_kernel();
    findings.extend(check::examine(&wanted.config)?.findings);
    if args.json.enabled {
        print(output::json(&output::check::Document::new(&findings))?)?;
    } else {
        print(output::check::text(&findings))?;
    }
    Ok(match output::check::worst(&findings) {
        Level::Failure => Exit::Failed,
        Level::Ok | Level::Warning => Exit::Done,
    })
}

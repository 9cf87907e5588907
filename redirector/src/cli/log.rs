use std::os::fd::AsFd;

use anyhow::Context;
use aya_log::EbpfLogger;
use nix::{
    errno::Errno,
    poll::{PollFd, PollFlags, PollTimeout, poll},
};

use super::{args::Log, place, print::require_reader};
use crate::{
    config::Name,
    exit::Exit,
    kernel::{self, Error, Instance},
};

/// Milliseconds of silence after which we look whether the instance is still there.
const LOOK_UP_EVERY: u16 = 1000;

/// Prints messages until interrupted, or until the instance is unloaded.
pub fn run(args: Log) -> anyhow::Result<Exit> {
    place::tell(&Instance::open(&args.instance.name)?)?;
    kernel::require_log_reader(&args.instance.name)?;
    let program = program(&args.instance.name)?;
    let mut logger = EbpfLogger::init_from_id_with_logger(program, Lines)
        .context("cannot open the programs' log")?;
    loop {
        logger.flush();
        let mut ready = [PollFd::new(logger.as_fd(), PollFlags::POLLIN)];
        match poll(&mut ready, PollTimeout::from(LOOK_UP_EVERY)) {
            Ok(0) => {
                require_reader()?;
                require_program(&args.instance.name, program)?;
            }
            Ok(_) | Err(Errno::EINTR) => {}
            Err(errno) => return Err(errno).context("cannot wait for messages"),
        }
    }
}

/// The id of a program that fills the ring buffer, which only root may read: whoever reads it takes the
/// messages away.
fn program(name: &Name) -> Result<u32, Error> {
    kernel::program_id(&Instance::open(name)?.directory.join("programs/ingress"))
}

fn require_program(name: &Name, id: u32) -> anyhow::Result<()> {
    if program(name)? == id {
        return Ok(());
    }
    Err(Error::not_loaded(name)).context("another load has replaced what was followed")
}

/// One line a message: time, level, text.
struct Lines;

impl ::log::Log for Lines {
    fn enabled(&self, _: &::log::Metadata<'_>) -> bool {
        true
    }

    fn log(&self, record: &::log::Record<'_>) {
        let time = humantime::format_rfc3339_millis(std::time::SystemTime::now());
        let line = format!("{time} {:5} {}\n", record.level(), record.args());
        if super::print(line).is_err() {
            // The reader has gone, and there is no other way out of a logger.
            std::process::exit(Exit::Done as i32);
        }
    }

    fn flush(&self) {}
}

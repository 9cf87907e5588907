use std::os::fd::AsFd;

use anyhow::Context;
use aya::programs::ProgramInfo;
use aya_log::EbpfLogger;
use nix::{
    errno::Errno,
    poll::{PollFd, PollFlags, PollTimeout, poll},
};

use super::args::Log;
use crate::{exit::Exit, kernel::Instance};

/// Prints messages until interrupted.
pub fn run(args: Log) -> anyhow::Result<Exit> {
    let instance = Instance::open(&args.instance.name)?;
    let pin = instance.directory.join("programs/ingress");
    let program = ProgramInfo::from_pin(&pin).with_context(|| pin.display().to_string())?;
    let mut logger = EbpfLogger::init_from_id_with_logger(program.id(), Lines)
        .context("cannot open the programs' log")?;
    loop {
        logger.flush();
        let mut ready = [PollFd::new(logger.as_fd(), PollFlags::POLLIN)];
        match poll(&mut ready, PollTimeout::NONE) {
            Ok(_) | Err(Errno::EINTR) => {}
            Err(errno) => return Err(errno).context("cannot wait for messages"),
        }
    }
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

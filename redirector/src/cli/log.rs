use anyhow::Context;
use aya::programs::ProgramInfo;
use aya_log::EbpfLogger;
use tokio::{
    io::{Interest, unix::AsyncFd},
    signal,
};

use super::args::Log;
use crate::{exit::Exit, kernel::Instance};

/// Prints messages until interrupted.
pub fn run(args: Log) -> anyhow::Result<Exit> {
    let instance = Instance::open(&args.instance.name)?;
    let pin = instance.directory.join("programs/ingress");
    let program = ProgramInfo::from_pin(&pin).with_context(|| pin.display().to_string())?;
    let logger = EbpfLogger::init_from_id_with_logger(program.id(), Lines)
        .context("cannot open the programs' log")?;
    tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?
        .block_on(follow(logger))
}

async fn follow(logger: EbpfLogger<Lines>) -> anyhow::Result<Exit> {
    let mut logger = AsyncFd::with_interest(logger, Interest::READABLE)?;
    loop {
        tokio::select! {
            interrupted = signal::ctrl_c() => {
                interrupted?;
                return Ok(Exit::Done);
            }
            ready = logger.readable_mut() => {
                let mut ready = ready?;
                ready.get_inner_mut().flush();
                ready.clear_ready();
            }
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

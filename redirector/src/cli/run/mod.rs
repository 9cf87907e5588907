//! `redirector run`: loads, and keeps what is attached in line with the interfaces that there are.

mod keeper;
mod notify;
mod reconcile;
mod successor;
mod words;

use anyhow::Context;
use tokio::signal::unix::{Signal, SignalKind, signal};

use self::keeper::Keeper;
use super::{
    args::{Limit, Run},
    drain::PAUSE,
    print::say,
    tune,
};
use crate::{config::Draft, exit::Exit, kernel::LinkEvents, tune::Request};

pub fn run(args: Run) -> anyhow::Result<Exit> {
    tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?
        .block_on(supervise(&args))
}

/// Until it is stopped, which unloads. Whatever else ends this leaves what is loaded as it is.
async fn supervise(args: &Run) -> anyhow::Result<Exit> {
    // All of them before the first look at the interfaces, so that nothing is missed.
    let (mut terminate, mut interrupt, mut hangup) = (
        listen(SignalKind::terminate())?,
        listen(SignalKind::interrupt())?,
        listen(SignalKind::hangup())?,
    );
    let mut links = LinkEvents::subscribe().context("cannot listen to rtnetlink")?;
    if let Some(request) = request(args, &args.source.draft()?) {
        request.validate()?;
    }
    let mut keeper = Keeper::start(args)?;
    apply_tuning(args, &keeper);
    notify::ready(&keeper.status()?);
    loop {
        tokio::select! {
            biased;
            _ = terminate.recv() => break,
            _ = interrupt.recv() => break,
            _ = hangup.recv() => {
                notify::reloading();
                let is_read = keeper.reread(args)?;
                // A successor would fail over a bad file.
                if is_read && let Some(binary) = successor::find() {
                    say(format_args!("the binary was replaced: going on as {}", binary.display()));
                    // Returns only if that cannot be.
                    say(format_args!("error: {:#}", successor::become_it(&binary)));
                }
                apply_tuning(args, &keeper);
                notify::ready(&keeper.status()?);
            }
            change = links.next() => {
                if keeper.follow(change.context("cannot listen to rtnetlink")?)? {
                    notify::status(&keeper.status()?);
                }
            }
        }
    }
    notify::stopping();
    let Some(Limit(limit)) = args.drain else {
        keeper.stop()?;
        return Ok(Exit::Done);
    };
    if let Some(mut draining) = keeper.drain(limit)? {
        let mut is_over = draining.is_over()?;
        if !is_over {
            say(draining.begun().trim_end());
        }
        // A second signal ends the wait.
        while !is_over {
            tokio::select! {
                () = tokio::time::sleep(PAUSE) => {}
                _ = terminate.recv() => break,
                _ = interrupt.recv() => break,
            }
            is_over = draining.is_over()?;
        }
        keeper.stop_drained(draining)?;
    }
    Ok(Exit::Done)
}

/// Once for what runs now: an application that starts later has its limits from its service.
fn apply_tuning(args: &Run, keeper: &Keeper) {
    if let Some(request) = request(args, &keeper.draft) {
        tune::lines(&request).iter().for_each(say);
    }
}

fn request(args: &Run, draft: &Draft) -> Option<Request> {
    tune::of_draft(args.options.tune, draft)
}

fn listen(kind: SignalKind) -> anyhow::Result<Signal> {
    signal(kind).context("cannot listen to signals")
}

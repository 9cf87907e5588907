//! Prints packets as they are redirected or left alone, until interrupted.

use anyhow::Context;
use redirector_common::abi::{ANY_RULE, TraceControl, TraceRecord};
use tokio::{
    io::{Interest, unix::AsyncFd},
    signal::unix::{SignalKind, signal},
    task,
    time::{self, MissedTickBehavior},
};

use super::{
    args::Trace,
    place,
    print::{print, require_reader},
};
use crate::{
    config::Name,
    exit::Exit,
    kernel::{self, Instance, RENEW_EVERY, Tracing},
    output::{self, trace},
    stats::trace::Names,
};

#[derive(Debug, thiserror::Error)]
#[error("no rule \"{wanted}\" is loaded, or several are; loaded: {}", some(.loaded))]
pub struct NoSuchRule {
    wanted: String,
    loaded: Vec<String>,
}

/// Rules that an error names.
const NAMED: usize = 10;

#[derive(Debug, thiserror::Error)]
#[error("rule \"{0}\" is for UDP, which has no flags: leave out --flags or --rule")]
pub struct NoFlags(String);

fn some(rules: &[String]) -> String {
    let named = rules[..rules.len().min(NAMED)].join(", ");
    match rules.len().saturating_sub(NAMED) {
        0 => named,
        more => format!("{named} and {more} more, which `redirector status` lists"),
    }
}

pub fn run(args: Trace) -> anyhow::Result<Exit> {
    place::tell(&Instance::open(&args.instance.name)?)?;
    tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?
        .block_on(follow(&args))
}

async fn follow(args: &Trace) -> anyhow::Result<Exit> {
    let mut interrupt = signal(SignalKind::interrupt())?;
    let mut terminate = signal(SignalKind::terminate())?;
    let mut reader = Reader::open(args)?;
    let mut renewals = time::interval(RENEW_EVERY);
    renewals.set_missed_tick_behavior(MissedTickBehavior::Delay);
    // The kernel wakes a reader that has read all there was. One that has left some asks no more.
    let mut left = Left::Nothing;
    loop {
        tokio::select! {
            biased;
            _ = interrupt.recv() => break,
            _ = terminate.recv() => break,
            _ = renewals.tick() => {
                require_reader()?;
                reader.renew()?;
            }
            ready = reader.tracing.readable_mut() => {
                // First, so that what comes from now on is heard.
                ready.context("cannot wait for packets")?.clear_ready();
                left = reader.print(BATCH)?;
            }
            () = task::yield_now(), if left == Left::Something => left = reader.print(BATCH)?,
        }
        if reader.has_enough() {
            break;
        }
    }
    reader.tell_lost()?;
    Ok(Exit::Done)
}

/// Packets that are printed before the lease and the signals have their turn.
const BATCH: usize = 256;

/// In the ring buffer, perhaps.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Left {
    Nothing,
    Something,
}

struct Reader<'a> {
    args: &'a Trace,
    instance: Instance,
    tracing: AsyncFd<Tracing>,
    names: Names,
    /// The rule that is asked for has gone, which has been said.
    said_gone: bool,
    printed: u64,
    lost: u64,
    /// Of loads before the one that is followed.
    lost_before: u64,
}

impl<'a> Reader<'a> {
    fn open(args: &'a Trace) -> anyhow::Result<Self> {
        let instance = Instance::open(&args.instance.name)?;
        let names = Names::of(&instance)?;
        Ok(Self {
            tracing: begin(&instance, &names, args)?,
            args,
            instance,
            names,
            said_gone: false,
            printed: 0,
            lost: 0,
            lost_before: 0,
        })
    }

    /// Goes on with what is loaded now, if that is another load.
    fn renew(&mut self) -> anyhow::Result<()> {
        let instance = Instance::open(self.name())?;
        if self.tracing.get_ref().is_of(&instance)? {
            self.names = Names::of(&instance)?;
            self.follow_rule();
            self.tracing.get_mut().renew(&instance)?;
            self.instance = instance;
            return self.tell_lost();
        }
        self.tell_lost()?;
        self.lost_before = self.lost;
        self.names = Names::of(&instance)?;
        self.tracing = begin(&instance, &self.names, self.args)?;
        self.instance = instance;
        Ok(())
    }

    /// A reload may have taken the rule away, or given it another number.
    fn follow_rule(&mut self) {
        match rule_number(&self.names, self.args) {
            Ok(rule) => {
                self.tracing.get_mut().follow(rule);
                self.said_gone = false;
            }
            Err(NoSuchRule { wanted, .. }) if !self.said_gone => {
                eprintln!(
                    "note: {wanted} is not loaded any more; what goes on of its connections is still told"
                );
                self.said_gone = true;
            }
            Err(_) => {}
        }
    }

    /// Prints what there is, up to `limit` packets and to as many as are wanted.
    fn print(&mut self, limit: usize) -> anyhow::Result<Left> {
        let mut text = String::new();
        let mut left = Left::Something;
        for _ in 0..limit {
            if self.has_enough() {
                break;
            }
            let Some(record) = self.tracing.get_mut().take() else {
                left = Left::Nothing;
                break;
            };
            if let Some(line) = self.line(&record)? {
                text += &line;
                self.printed += 1;
            }
        }
        print(text)?;
        Ok(left)
    }

    fn has_enough(&self) -> bool {
        self.args
            .count
            .is_some_and(|count| self.printed >= count.get())
    }

    /// None for a packet of another client: the programs look at both ends.
    fn line(&mut self, record: &TraceRecord) -> anyhow::Result<Option<String>> {
        let told = record.told();
        if let Some(client) = self.args.client
            && !told.addresses.is_some_and(|(address, _)| {
                TraceControl::from(client).wants(address, told.wire_port())
            })
        {
            return Ok(None);
        }
        let ifindex = record.ifindex as u32;
        if !self.names.knows(ifindex, told.rule) {
            self.names.update(&self.instance, ifindex, told.rule)?;
        }
        let packet = self.names.packet(record, &told);
        Ok(Some(if self.args.json.enabled {
            output::json_line(&trace::Document::from(&packet))?
        } else {
            trace::text(&packet)
        }))
    }

    fn tell_lost(&mut self) -> anyhow::Result<()> {
        let lost = self.lost_before + self.tracing.get_ref().lost()?;
        if lost == self.lost {
            return Ok(());
        }
        self.lost = lost;
        if self.args.json.enabled {
            print(output::json_line(&trace::LostDocument::new(lost))?)?;
        }
        eprintln!(
            "note: {lost} packets were not told, because they came faster than they are read; --sample or a filter makes them fewer"
        );
        Ok(())
    }

    fn name(&self) -> &Name {
        &self.args.instance.name
    }
}

fn begin(instance: &Instance, names: &Names, args: &Trace) -> anyhow::Result<AsyncFd<Tracing>> {
    let rule = rule_number(names, args)?;
    if let Some(text) = &args.rule
        && !args.flags.is_empty()
        && names.is_udp(rule)
    {
        return Err(NoFlags(text.clone()).into());
    }
    let wanted = TraceControl {
        every: args.sample.get(),
        rule,
        flags: args.flags.iter().fold(0, |all, flag| all | flag.0),
        ..args.client.map(TraceControl::from).unwrap_or_default()
    };
    let tracing = kernel::Tracing::begin(instance, wanted)?;
    // SAFETY: the ring buffer keeps one descriptor for as long as it lives.
    #[expect(unsafe_code, reason = "tokio cannot know that the descriptor stays")]
    let tracing = unsafe { AsyncFd::register_with_interest(tracing, Interest::READABLE) };
    tracing
        .map_err(std::io::Error::from)
        .context("cannot wait for packets")
}

fn rule_number(names: &Names, args: &Trace) -> Result<u32, NoSuchRule> {
    let Some(text) = &args.rule else {
        return Ok(ANY_RULE);
    };
    names.rule_number(text).ok_or_else(|| NoSuchRule {
        wanted: text.clone(),
        loaded: names.rules(),
    })
}

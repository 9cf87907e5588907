//! Latency at a fixed rate. The load is open: a request is due whether the ones before it were
//! answered or not, and its time counts from then. A client that waits for answers would leave out
//! exactly the requests that had to wait (coordinated omission).

use std::{
    io::{Read as _, Write as _},
    net::TcpStream,
    thread,
    time::{Duration, Instant},
};

use anyhow::{Context as _, Result, anyhow, bail};
use hdrhistogram::Histogram;
use nix::sys::prctl;

use super::{Numbers, Stage, cpu};
use crate::bench::{figures::Figure, servers::BODY, topology::SERVER};

const RATE: u32 = 2000;
const CONNECTIONS: u32 = 8;
const REQUEST: &[u8] = b"GET / HTTP/1.1\r\nHost: bench\r\n\r\n";
const PATIENCE: Duration = Duration::from_secs(5);

/// The longest time that the histogram has a place for, in nanoseconds.
const LONGEST: u64 = 60_000_000_000;

pub fn open_loop(stage: &Stage<'_>) -> Result<Numbers> {
    let mut connections = Vec::new();
    for _ in 0..CONNECTIONS {
        connections.push(connect(stage)?);
    }
    let total = RATE * stage.seconds;
    let programs = stage.programs();
    let before = cpu::of(&programs)?;
    let start = Instant::now();
    let (times, own) = thread::scope(|scope| {
        let clients: Vec<_> = (0..)
            .zip(connections)
            .map(|(number, connection)| {
                scope.spawn(move || requests(connection, start, number, total))
            })
            .collect();
        let mut times = histogram()?;
        let mut own = 0;
        for client in clients {
            let (one, run_time) = client.join().map_err(|_| anyhow!("a client panicked"))??;
            times.add(&one)?;
            own += run_time;
        }
        Ok::<_, anyhow::Error>((times, own))
    })?;
    let busy = cpu::of(&programs)?.saturating_sub(before) + own;
    Ok(vec![
        (Figure::Median, microseconds(&times, 0.5)),
        (Figure::Tail, microseconds(&times, 0.99)),
        (Figure::Cpu, busy as f64 / 1e3 / f64::from(total)),
    ])
}

/// One request and its answer.
pub fn exchange(stage: &Stage<'_>) -> Result<()> {
    let mut connection = connect(stage)?;
    ask(&mut connection)
}

fn connect(stage: &Stage<'_>) -> Result<TcpStream> {
    let address = (SERVER, stage.port).into();
    let stream = stage
        .lan
        .client
        .enter(|| Ok(TcpStream::connect_timeout(&address, PATIENCE)?))?;
    stream.set_nodelay(true)?;
    stream.set_read_timeout(Some(PATIENCE))?;
    Ok(stream)
}

/// Every [`CONNECTIONS`]th request of the load: their times, and the CPU time of asking.
fn requests(
    mut connection: TcpStream,
    start: Instant,
    first: u32,
    total: u32,
) -> Result<(Histogram<u64>, u64)> {
    // By default the kernel may wake a sleeper 50 us late, which is more than an answer takes.
    prctl::set_timerslack(1).context("timer slack")?;
    let mut times = histogram()?;
    for number in (first..total).step_by(CONNECTIONS as usize) {
        let due = start + Duration::from_secs(1) * number / RATE;
        thread::sleep(due.saturating_duration_since(Instant::now()));
        ask(&mut connection)?;
        times.saturating_record(u64::try_from(due.elapsed().as_nanos())?);
    }
    Ok((times, cpu::of_this_thread()?))
}

fn ask(connection: &mut TcpStream) -> Result<()> {
    connection.write_all(REQUEST)?;
    let mut answer = [0; 1024];
    let mut length = 0;
    loop {
        let rest = answer.get_mut(length..).unwrap_or_default();
        match connection.read(rest)? {
            0 => bail!("the connection ended within an answer"),
            more => length += more,
        }
        if answer
            .get(..length)
            .is_some_and(|text| text.ends_with(BODY))
        {
            return Ok(());
        }
    }
}

fn histogram() -> Result<Histogram<u64>> {
    Ok(Histogram::new_with_bounds(1, LONGEST, 3)?)
}

fn microseconds(times: &Histogram<u64>, quantile: f64) -> f64 {
    times.value_at_quantile(quantile) as f64 / 1e3
}

//! Requests and connections, with wrk.

use anyhow::{Context as _, Result, bail};

use super::{Numbers, Stage};
use crate::bench::figures::Figure;

pub fn requests(stage: &Stage<'_>) -> Result<Numbers> {
    Ok(vec![(Figure::Requests, wrk(stage, &[])?)])
}

pub fn connections(stage: &Stage<'_>) -> Result<Numbers> {
    let close = ["--header", "Connection: close"];
    Ok(vec![(Figure::Connections, wrk(stage, &close)?)])
}

/// Answers a second.
pub fn wrk(stage: &Stage<'_>, options: &[&str]) -> Result<f64> {
    let duration = format!("{}s", stage.seconds);
    let url = stage.url();
    let usual = ["--threads", "1", "--connections", "32", "--duration"];
    let arguments = [&usual[..], &[&duration], options, &[&url]].concat();
    rate(&stage.client("wrk", &arguments)?)
}

fn rate(report: &str) -> Result<f64> {
    let line = |start: &str| {
        let mut lines = report.lines().map(str::trim);
        lines
            .find_map(|line| line.strip_prefix(start))
            .map(str::trim)
    };
    // What failed was not carried, and would look fast.
    for failures in ["Socket errors:", "Non-2xx or 3xx responses:"] {
        if let Some(found) = line(failures) {
            bail!("wrk: {failures} {found}");
        }
    }
    let rate = line("Requests/sec:").and_then(|rate| rate.parse().ok());
    rate.context("wrk gave no rate")
}

#[cfg(test)]
mod tests {
    use super::rate;

    #[test]
    fn the_rate_unless_something_failed() {
        assert_eq!(
            rate("  9 requests in 1.00s\nRequests/sec:   12.5\n").unwrap(),
            12.5
        );
        assert!(rate("Requests/sec: 1\n").is_ok());
        assert!(rate("  Socket errors: connect 1, read 0\nRequests/sec: 1\n").is_err());
        assert!(rate("unable to connect").is_err());
    }
}

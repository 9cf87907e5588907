//! What Prometheus reads. No client is named: the number of series is that of rules, interfaces and
//! listeners.

mod classic;
mod family;

use std::{collections::BTreeMap, fmt};

use prometheus_client::{
    collector::Collector,
    encoding::{DescriptorEncoder, text::encode},
    metrics::MetricType,
    registry::{Registry, Unit},
};

use self::family::{Labels, counter, gauge};
use super::status;
use crate::stats::{
    Histogram, RuleStats, Sample,
    listeners::{Listener, Listening},
};

pub use self::classic::classic;

/// Media types of [`text()`] and [`classic()`].
pub const OPEN: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";
pub const CLASSIC: &str = "text/plain; version=0.0.4; charset=utf-8";

/// OpenMetrics 1.0. Without a sample: that nothing is loaded.
pub fn text(status: &status::Document, sample: Option<&Sample>) -> Result<String, fmt::Error> {
    let mut registry = Registry::with_prefix("redirector");
    registry.register_collector(Box::new(Metrics {
        status: status.clone(),
        sample: sample.cloned(),
    }));
    let mut text = String::new();
    encode(&mut text, &registry)?;
    // The library always writes one, which here would be invented.
    let invented = "redirector_packet_size_bytes_sum{";
    Ok(text
        .split_inclusive('\n')
        .filter(|line| !line.starts_with(invented))
        .collect())
}

#[derive(Debug)]
struct Metrics {
    status: status::Document,
    sample: Option<Sample>,
}

impl Collector for Metrics {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> fmt::Result {
        let encoder = &mut encoder;
        let build = vec![("version", env!("CARGO_PKG_VERSION").to_owned())];
        gauge(
            encoder,
            "build_info",
            "The program that answers",
            None,
            [(build, 1.0)],
        )?;
        self.state(encoder)?;
        let Some(sample) = &self.sample else {
            return Ok(());
        };
        let snapshot = &sample.snapshot;
        self.rules(encoder, &snapshot.rules)?;
        let skipped = snapshot.skipped.iter();
        counter(
            encoder,
            "skipped_packets",
            "Packets left alone, by reason",
            None,
            skipped.map(|(reason, packets)| {
                (self.labels([("reason", (*reason).to_owned())]), *packets)
            }),
        )?;
        let histograms = &snapshot.histograms;
        for (name, help, unit, each) in [
            (
                "packet_size",
                "Redirected packets of both directions, from the network header onwards",
                Unit::Bytes,
                &histograms.packet_size,
            ),
            (
                "syn_ack_delay",
                "From a SYN to the application's SYN-ACK",
                Unit::Seconds,
                &histograms.syn_ack_delay,
            ),
            (
                "ack_delay",
                "From the SYN-ACK to the client's ACK",
                Unit::Seconds,
                &histograms.ack_delay,
            ),
        ] {
            self.histogram(encoder, name, help, &unit, each)?;
        }
        let listening = sample.listening.as_ref();
        listening.map_or(Ok(()), |listening| self.listeners(encoder, listening))
    }
}

impl Metrics {
    fn labels<const N: usize>(&self, more: [(&'static str, String); N]) -> Labels {
        let name = ("name", self.status.name.to_string());
        [name].into_iter().chain(more).collect()
    }

    fn state(&self, encoder: &mut DescriptorEncoder<'_>) -> fmt::Result {
        let flag = |is_so: bool| f64::from(u8::from(is_so));
        let loaded = [(self.labels([]), flag(self.status.loaded))];
        gauge(
            encoder,
            "loaded",
            "1 if the instance is loaded",
            None,
            loaded,
        )?;
        let since = self
            .status
            .since
            .map(|since| (self.labels([]), since as f64));
        let help = "When it was loaded, since the Unix epoch";
        gauge(encoder, "load_timestamp", help, Some(&Unit::Seconds), since)?;
        // Two may have one name: a loaded one that has gone, and one that was renamed.
        let mut interfaces = BTreeMap::<Labels, bool>::new();
        for interface in &self.status.interfaces {
            let hook = interface.hook.unwrap_or_default().to_owned();
            let labels = [("interface", interface.name.clone()), ("hook", hook)];
            *interfaces.entry(self.labels(labels)).or_insert(true) &= interface.attached;
        }
        let interfaces = interfaces
            .into_iter()
            .map(|(labels, attached)| (labels, flag(attached)));
        let help = "1 if an interface that should be attached is";
        gauge(encoder, "interface_attached", help, None, interfaces)
    }

    fn rules(&self, encoder: &mut DescriptorEncoder<'_>, rules: &[RuleStats]) -> fmt::Result {
        let both = |of: fn(&RuleStats) -> [u64; 2]| {
            rules.iter().flat_map(move |rule| {
                let directions = ["in", "out"].into_iter().zip(of(rule));
                directions.map(move |(direction, value)| {
                    let mut labels = self.rule(rule);
                    labels.push(("direction", direction.to_owned()));
                    (labels, value)
                })
            })
        };
        let one =
            |of: fn(&RuleStats) -> u64| rules.iter().map(move |rule| (self.rule(rule), of(rule)));
        counter(
            encoder,
            "packets",
            "Redirected packets; a GSO or GRO super-packet is one",
            None,
            both(|rule| [rule.counters.in_packets, rule.counters.out_packets]),
        )?;
        counter(
            encoder,
            "traffic",
            "Redirected bytes, from the network header onwards",
            Some(&Unit::Bytes),
            both(|rule| [rule.counters.in_bytes, rule.counters.out_bytes]),
        )?;
        counter(
            encoder,
            "resets",
            "TCP packets with RST among them",
            None,
            both(|rule| [rule.counters.in_resets, rule.counters.out_resets]),
        )?;
        counter(
            encoder,
            "icmp_errors",
            "ICMP errors about redirected packets",
            None,
            both(|rule| [rule.counters.in_errors, rule.counters.out_errors]),
        )?;
        counter(
            encoder,
            "connections",
            "Connections that were established, and UDP flows that were answered",
            None,
            one(|rule| rule.counters.connections),
        )?;
        counter(
            encoder,
            "syns",
            "SYNs that asked for a connection",
            None,
            one(|rule| rule.counters.syns),
        )?;
        counter(
            encoder,
            "answered_syns",
            "SYNs that the application has answered, by SYN-ACK or RST",
            None,
            one(|rule| rule.counters.answered_syns),
        )?;
        let live = rules.iter().map(|rule| (self.rule(rule), rule.live as f64));
        let help = "TCP connections that are open, and UDP flows that are remembered";
        gauge(encoder, "live_connections", help, None, live)
    }

    /// Without the process id, or every restart would be a series of its own. Sockets that share a port
    /// (`SO_REUSEPORT`) are one.
    fn listeners(&self, encoder: &mut DescriptorEncoder<'_>, listening: &Listening) -> fmt::Result {
        let sums = |of: fn(&Listener) -> u32| {
            let mut sums = BTreeMap::<Labels, f64>::new();
            for listener in &listening.listeners {
                let process = listener.process.as_ref();
                let labels = self.labels([
                    ("address", listener.address.to_string()),
                    ("port", listener.port.to_string()),
                    (
                        "process",
                        process.map(|it| it.name.clone()).unwrap_or_default(),
                    ),
                ]);
                *sums.entry(labels).or_default() += f64::from(of(listener));
            }
            sums
        };
        let help = "Connections that wait for the application to accept them";
        gauge(encoder, "listener_queue", help, None, sums(|it| it.depth))?;
        let help = "Connections that may wait";
        gauge(encoder, "listener_backlog", help, None, sums(|it| it.limit))?;
        let counters = &listening.counters;
        for (name, help, value) in [
            (
                "listen_overflows",
                "Connections that found a backlog full, of all listeners of the network namespace",
                counters.overflows,
            ),
            (
                "listen_drops",
                "Connections that a listener dropped, of all listeners of the network namespace",
                counters.drops,
            ),
        ] {
            counter(encoder, name, help, None, [(self.labels([]), value)])?;
        }
        Ok(())
    }

    /// An empty label is none: every address, every interface.
    fn rule(&self, RuleStats { rule, .. }: &RuleStats) -> Labels {
        let names: Vec<_> = rule
            .interfaces
            .iter()
            .map(|each| each.name.as_str())
            .collect();
        self.labels([
            ("protocol", rule.protocol.to_string()),
            (
                "address",
                rule.address.map(|it| it.to_string()).unwrap_or_default(),
            ),
            ("from", rule.from.to_string()),
            ("to", rule.to.to_string()),
            ("interfaces", names.join(",")),
        ])
    }

    fn histogram(
        &self,
        encoder: &mut DescriptorEncoder<'_>,
        name: &str,
        help: &str,
        unit: &Unit,
        histogram: &Histogram,
    ) -> fmt::Result {
        let buckets: Vec<_> = histogram
            .buckets
            .iter()
            .map(|bucket| (bucket.le.unwrap_or(f64::MAX), bucket.count))
            .collect();
        let (sum, count) = (histogram.sum.unwrap_or(0.0), histogram.count());
        let mut family =
            encoder.encode_descriptor(name, help, Some(unit), MetricType::Histogram)?;
        let labels = self.labels([]);
        let mut metric = family.encode_family(&labels)?;
        metric.encode_histogram::<Labels>(sum, count, &buckets, None)
    }
}

#[cfg(test)]
mod tests;

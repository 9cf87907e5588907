//! Metrics of one name.

use std::fmt;

use prometheus_client::{
    encoding::{DescriptorEncoder, MetricEncoder},
    metrics::MetricType,
    registry::Unit,
};

pub type Labels = Vec<(&'static str, String)>;

pub fn counter(
    encoder: &mut DescriptorEncoder<'_>,
    name: &str,
    help: &str,
    unit: Option<&Unit>,
    values: impl IntoIterator<Item = (Labels, u64)>,
) -> fmt::Result {
    let write = |mut metric: MetricEncoder<'_>, value: &u64| {
        metric.encode_counter::<Labels, _, u64>(value, None)
    };
    family(
        encoder,
        (name, help, unit, MetricType::Counter),
        values,
        write,
    )
}

pub fn gauge(
    encoder: &mut DescriptorEncoder<'_>,
    name: &str,
    help: &str,
    unit: Option<&Unit>,
    values: impl IntoIterator<Item = (Labels, f64)>,
) -> fmt::Result {
    let write = |mut metric: MetricEncoder<'_>, value: &f64| metric.encode_gauge(value);
    family(
        encoder,
        (name, help, unit, MetricType::Gauge),
        values,
        write,
    )
}

/// Nothing at all where there are no values.
fn family<T>(
    encoder: &mut DescriptorEncoder<'_>,
    (name, help, unit, kind): (&str, &str, Option<&Unit>, MetricType),
    values: impl IntoIterator<Item = (Labels, T)>,
    write: impl Fn(MetricEncoder<'_>, &T) -> fmt::Result,
) -> fmt::Result {
    let mut values = values.into_iter().peekable();
    if values.peek().is_none() {
        return Ok(());
    }
    let mut metrics = encoder.encode_descriptor(name, help, unit, kind)?;
    values.try_for_each(|(labels, value)| write(metrics.encode_family(&labels)?, &value))
}

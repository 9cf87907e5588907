//! Prometheus' older text format.

/// The same in Prometheus' older text format (0.0.4), where a counter's name ends with `_total` in its
/// comments too.
pub fn classic(open: &str) -> String {
    let mut text = String::with_capacity(open.len());
    let mut help: Option<&str> = None;
    for line in open.lines() {
        if let Some(rest) = line.strip_prefix("# HELP ") {
            help = Some(rest);
        } else if let Some(rest) = line.strip_prefix("# TYPE ") {
            let (name, kind) = rest.split_once(' ').unwrap_or((rest, "untyped"));
            let suffix = if kind == "counter" { "_total" } else { "" };
            if let Some((_, words)) = help.take().and_then(|help| help.split_once(' ')) {
                text += &format!("# HELP {name}{suffix} {words}\n");
            }
            text += &format!("# TYPE {name}{suffix} {kind}\n");
        } else if !line.starts_with('#') {
            text += line;
            text.push('\n');
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counters_of_the_older_format_have_one_name() {
        let open = "# HELP a_packets Packets.\n# TYPE a_packets counter\na_packets_total{x=\"1\"} 5\n\
                    # HELP b_bytes Size.\n# TYPE b_bytes gauge\n# UNIT b_bytes bytes\nb_bytes 1.5\n# EOF\n";
        assert_eq!(
            classic(open),
            "# HELP a_packets_total Packets.\n# TYPE a_packets_total counter\na_packets_total{x=\"1\"} 5\n\
             # HELP b_bytes Size.\n# TYPE b_bytes gauge\nb_bytes 1.5\n"
        );
    }
}

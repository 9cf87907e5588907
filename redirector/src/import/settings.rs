//! Lines of guides that set kernel limits beside the rules: `sysctl.conf` and `limits.conf`.

use crate::tune;

pub const SETTING: &str = "a kernel setting, not a rule";
const LIMIT: &str = "a limit on open files, not a rule";

/// `net.core.somaxconn = 1024`, or `* soft nofile 1024000`; a command has its own reader.
pub fn explain(line: &str) -> Option<String> {
    let words: Vec<_> = line.split_whitespace().collect();
    if let [_, "soft" | "hard" | "-", "nofile", _] = words[..] {
        return Some(LIMIT.to_owned());
    }
    if words.contains(&"sysctl") {
        return None;
    }
    let (key, value) = line.split_once('=')?;
    let key = key.trim();
    let is_key = ["net.", "fs.", "kernel.", "vm."]
        .iter()
        .any(|start| key.starts_with(start))
        && !key.contains(char::is_whitespace);
    if !is_key || value.trim().is_empty() {
        return None;
    }
    let remark = key.parse().ok().as_ref().and_then(tune::remark);
    Some(match remark {
        Some(remark) => format!("{SETTING}: {remark}"),
        None => SETTING.to_owned(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_that_do_not_help_a_server_are_told_so() {
        assert_eq!(
            explain("net.core.somaxconn = 1024").as_deref(),
            Some(SETTING)
        );
        for (line, word) in [
            ("net.ipv4.tcp_tw_recycle = 1", "removed in Linux 4.12"),
            (
                "net.ipv4.tcp_tw_reuse=1",
                "connections that this host opens",
            ),
            (
                "net.ipv4.ip_local_port_range = 1024 65535",
                "connections that this host opens",
            ),
        ] {
            let why = explain(line).unwrap();
            assert!(why.starts_with(SETTING) && why.contains(word), "{why}");
        }
    }
}

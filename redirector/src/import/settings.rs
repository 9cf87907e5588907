//! Lines of guides that set kernel limits beside the rules: `sysctl.conf` and `limits.conf`.

pub const SETTING: &str = "a kernel setting, not a rule";
const LIMIT: &str = "a limit on open files, not a rule";

/// `net.core.somaxconn = 1024`, `* soft nofile 1024000`, with `sudo sysctl -w` or not.
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
    (is_key && !value.trim().is_empty()).then(|| SETTING.to_owned())
}

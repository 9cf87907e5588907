//! What the numbers depend on: kernel, CPU, versions. No names of hosts or directories.

use std::{collections::BTreeMap, fs, path::Path, process::Command, time::SystemTime};

use super::process::output;

/// How each program is asked for its version.
const PROGRAMS: [(&str, &str); 7] = [
    ("haproxy", "-v"),
    ("iperf3", "--version"),
    ("iptables", "--version"),
    ("nft", "--version"),
    ("nginx", "-v"),
    ("rinetd", "-v"),
    ("wrk", "-v"),
];

pub fn date() -> String {
    humantime::format_rfc3339_seconds(SystemTime::now()).to_string()
}

pub fn kernel() -> String {
    let release = fs::read_to_string("/proc/sys/kernel/osrelease").unwrap_or_default();
    release.trim().to_owned()
}

pub fn cpu() -> String {
    let text = fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let mut lines = text.lines().filter_map(|line| line.split_once(':'));
    let model = lines.find(|(name, _)| name.trim() == "model name");
    model.map_or_else(String::new, |(_, model)| model.trim().to_owned())
}

/// CPUs of this machine, used or not.
pub fn cpus() -> usize {
    let text = fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let lines = text.lines();
    lines.filter(|line| line.starts_with("processor")).count()
}

/// Tasks that wanted a CPU in the last minute, on average.
pub fn load() -> f64 {
    let text = fs::read_to_string("/proc/loadavg").unwrap_or_default();
    let first = text.split_whitespace().next();
    first.and_then(|load| load.parse().ok()).unwrap_or(0.0)
}

pub fn versions(redirector: &Path) -> BTreeMap<String, String> {
    let mut versions: BTreeMap<_, _> = PROGRAMS
        .iter()
        .filter_map(|(program, option)| {
            Some((
                (*program).to_owned(),
                ask(Command::new(program).arg(option))?,
            ))
        })
        .collect();
    if let Some(version) = ask(Command::new(redirector).arg("--version")) {
        versions.insert("redirector".to_owned(), version);
    }
    versions
}

/// Some programs print their version on standard error, or fail after it.
fn ask(command: &mut Command) -> Option<String> {
    let output = output(command, 10).ok()?;
    let texts = [output.stdout, output.stderr];
    texts
        .iter()
        .find_map(|text| version(&String::from_utf8_lossy(text)))
}

/// The first word of the first line that has a digit. Later lines may name the host.
fn version(text: &str) -> Option<String> {
    let line = text.lines().find(|line| !line.trim().is_empty())?;
    let is_version =
        |word: &&str| word.contains('.') && word.contains(|c: char| c.is_ascii_digit());
    let word = line.split_whitespace().find(is_version)?;
    let start = word.rfind('/').map_or(0, |slash| slash + 1);
    Some(word.get(start..)?.trim_matches(',').to_owned())
}

#[cfg(test)]
mod tests {
    use super::version;

    #[test]
    fn versions_in_what_programs_print() {
        for (text, expected) in [
            ("nginx version: nginx/1.22.1\n", "1.22.1"),
            ("wrk debian/4.1.0-3+b2 [epoll] Copyright\n", "4.1.0-3+b2"),
            ("iperf 3.12 (cJSON 1.7.15)\nLinux host 6.6\n", "3.12"),
            (
                "HAProxy version 2.6.12-1 2023/12/16 - https://haproxy.org/\n",
                "2.6.12-1",
            ),
            ("nftables v1.0.6 (Lester Gooch #5)\n", "v1.0.6"),
        ] {
            assert_eq!(version(text).as_deref(), Some(expected));
        }
    }
}

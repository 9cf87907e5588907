//! What brings rules back at boot.

use std::{
    fs,
    path::{Path, PathBuf},
};

use super::lower::{Outcome, Source, lower};

/// As distributions and administrators have them.
const FILES: [&str; 11] = [
    "etc/sysconfig/iptables",
    "etc/sysconfig/ip6tables",
    "etc/iptables/rules.v4",
    "etc/iptables/rules.v6",
    "etc/nftables.conf",
    "etc/sysconfig/nftables.conf",
    "etc/ufw/before.rules",
    "etc/ufw/before6.rules",
    "etc/firewalld/direct.xml",
    "etc/network/interfaces",
    "etc/rc.local",
];

/// Any file in them.
const DIRECTORIES: [&str; 6] = [
    "etc/nftables.d",
    "etc/network/interfaces.d",
    "etc/network/if-pre-up.d",
    "etc/network/if-up.d",
    "etc/NetworkManager/dispatcher.d",
    "etc/networkd-dispatcher/routable.d",
];

/// Those with lines that would be taken, and the numbers of the lines.
pub fn persistent() -> Vec<(PathBuf, Vec<usize>)> {
    below(Path::new("/"))
}

fn below(root: &Path) -> Vec<(PathBuf, Vec<usize>)> {
    let files = FILES.map(|file| root.join(file));
    let within = DIRECTORIES.into_iter().flat_map(|directory| {
        let entries = fs::read_dir(root.join(directory)).into_iter().flatten();
        let mut paths: Vec<_> = entries.flatten().map(|entry| entry.path()).collect();
        paths.sort();
        paths
    });
    files
        .into_iter()
        .chain(within)
        .filter(|path| path.is_file())
        .filter_map(|path| {
            let lines = taken(&path)?;
            (!lines.is_empty()).then_some((path, lines))
        })
        .collect()
}

fn taken(path: &Path) -> Option<Vec<usize>> {
    let text = String::from_utf8_lossy(&fs::read(path).ok()?).into_owned();
    let outcomes = lower(&[Source::new(&path.to_string_lossy(), &text)]).outcomes;
    let lines = outcomes
        .into_iter()
        .filter(|(_, outcome)| matches!(outcome, Outcome::Taken { .. }))
        .map(|((_, number), _)| number);
    Some(lines.collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_and_scripts_are_found() {
        const COMMAND: &str =
            "iptables -t nat -A PREROUTING -i eth0 -p tcp --dport 80 -j REDIRECT --to-ports 8000\n";
        let root = tempfile::tempdir().unwrap();
        let write = |file: &str, text: &str| {
            let path = root.path().join(file);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(&path, text).unwrap();
            path
        };
        let script = write("etc/network/if-up.d/web", &format!("#!/bin/sh\n{COMMAND}"));
        write("etc/rc.local", "#!/bin/sh\nexit 0\n");
        let ufw = write(
            "etc/ufw/before.rules",
            "*nat\n:PREROUTING ACCEPT [0:0]\n-A PREROUTING -p tcp --dport 80 -j REDIRECT --to-ports 8000\nCOMMIT\n",
        );
        assert_eq!(below(root.path()), [(ufw, vec![3]), (script, vec![2])]);
    }
}

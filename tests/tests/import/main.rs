//! `redirector import`: what real tools list, and moving over from them.

mod listings;
mod rollback;
mod takeover;

use integration::datapath::nft;
use integration::netns::Namespace;
use integration::redirector::Instance;

/// Who has the rules.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Tool {
    IptablesNft,
    IptablesLegacy,
    Nft,
}

impl Tool {
    pub const ALL: [Self; 3] = [Self::IptablesNft, Self::IptablesLegacy, Self::Nft];

    /// The rules of the deployment guide on this host, between others.
    #[track_caller]
    pub fn follow_guide(self, host: &Namespace) {
        let Some(iptables) = self.iptables() else {
            return nft(host, NFT);
        };
        let others = [
            "-t nat -A PREROUTING -s 192.0.2.0/24 -p tcp --dport 2222 -j REDIRECT --to-ports 22",
            "-t nat -A POSTROUTING -o eth9 -j MASQUERADE",
            "-A INPUT -p tcp --dport 8000 -j ACCEPT",
        ];
        host.run(&format!("{iptables} {}", others[0]));
        for line in GUIDE.lines() {
            host.run(&line.replacen("iptables", iptables, 1));
        }
        for rule in &others[..] {
            host.run(&format!("{iptables} {rule}"));
        }
    }

    /// The guide's rules alone: nothing else has connections tracked.
    #[track_caller]
    pub fn follow_guide_only(self, host: &Namespace) {
        let Some(iptables) = self.iptables() else {
            let lines = NFT.lines().filter(|line| !line.contains("saddr"));
            return nft(host, &lines.collect::<Vec<_>>().join("\n"));
        };
        for line in GUIDE.lines() {
            host.run(&line.replacen("iptables", iptables, 1));
        }
    }

    const fn iptables(self) -> Option<&'static str> {
        match self {
            Self::Nft => None,
            Self::IptablesNft => Some("iptables-nft"),
            Self::IptablesLegacy => Some("iptables-legacy"),
        }
    }

    /// Rules for port 2222, which stay.
    pub const fn others(self) -> usize {
        match self {
            Self::IptablesNft | Self::IptablesLegacy => 2,
            Self::Nft => 1,
        }
    }

    /// What the tool itself lists now, without handles and dates.
    #[track_caller]
    pub fn listing(self, host: &Namespace) -> Vec<String> {
        let program = match self {
            Self::Nft => "nft list ruleset",
            Self::IptablesNft => "iptables-nft-save",
            Self::IptablesLegacy => "iptables-legacy-save",
        };
        let listing = host.run(program);
        let lines = listing.lines().filter(|line| !line.starts_with('#'));
        // Packets pass meanwhile.
        lines.map(without_counters).collect()
    }
}

fn without_counters(line: &str) -> String {
    let is_number = |word: &&str| !word.starts_with(|letter: char| "[0123456789".contains(letter));
    let is_counted = line.contains("counter packets") || line.starts_with(':');
    match is_counted {
        true => line
            .split_whitespace()
            .filter(is_number)
            .collect::<Vec<_>>()
            .join(" "),
        false => line.trim().to_owned(),
    }
}

/// Word for word.
pub const GUIDE: &str = "\
iptables -A PREROUTING -t nat -i eth0 -p tcp --dport 80 -j REDIRECT --to-port 8000
iptables -A PREROUTING -t nat -i eth0 -p tcp --dport 443 -j REDIRECT --to-port 4430
iptables -t nat -I OUTPUT -p tcp -d 127.0.0.1 --dport 80 -j REDIRECT --to-ports 8000
iptables -t nat -I OUTPUT -p tcp -d 127.0.0.1 --dport 443 -j REDIRECT --to-ports 4430
";

const NFT: &str = "table ip web {
    chain prerouting {
        type nat hook prerouting priority dstnat; policy accept;
        ip saddr 192.0.2.0/24 tcp dport 2222 redirect to :22
        iifname \"eth0\" tcp dport 80 counter redirect to :8000 comment \"the web\"
        iifname \"eth0\" tcp dport 443 counter redirect to :4430
        ip saddr 192.0.2.0/24 tcp dport 2223 redirect to :22
    }
    chain output {
        type nat hook output priority -100; policy accept;
        ip daddr 127.0.0.1 tcp dport 443 redirect to :4430
        ip daddr 127.0.0.1 tcp dport 80 redirect to :8000
    }
}";

/// What `load` would make of a configuration.
#[track_caller]
pub fn plan(host: &Namespace, config: &str) -> Vec<String> {
    let directory = integration::process::Background::directory();
    let file = directory.path().join("config.toml");
    std::fs::write(&file, config).expect("a file");
    let instance = Instance::unloaded(host);
    let plan = instance
        .run("load", &format!("--dry-run -c {}", file.display()))
        .success(config);
    plan.lines().map(str::to_owned).collect()
}

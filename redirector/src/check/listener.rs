//! Does something listen where the rule sends traffic, and can that traffic reach it?

use std::net::IpAddr;

use super::{
    Finding, Level, bracketed,
    interface::Links,
    interfaces, places,
    sockets::{Socket, Sockets},
    subject,
};
use crate::config::{Config, Rule};

const ID: &str = "listener";

pub fn findings(config: &Config, sockets: &Sockets, links: &Links) -> Vec<Finding> {
    let finding = |rule: &Rule| {
        let listening = sockets
            .get(&(rule.protocol, rule.to.get()))
            .map_or(&[][..], Vec::as_slice);
        let remote = places(config, rule).any(|interface| !interface.is_loopback());
        let ipv6 = interfaces(config, rule)
            .any(|name| links.get(name).is_some_and(|link| link.routable_ipv6));
        finding(rule, listening, remote, ipv6)
    };
    config.rules.iter().map(finding).collect()
}

/// `remote`: the rule takes traffic from beyond loopback; `ipv6`: some of it may be IPv6.
fn finding(rule: &Rule, listening: &[Socket], remote: bool, ipv6: bool) -> Finding {
    let to = format!("{}/{}", rule.to, rule.protocol);
    let new = |level, message| Finding::new(ID, level, subject(rule), message);
    let Some(first) = listening.first() else {
        return new(Level::Warning, format!("nothing listens on {to}"))
            .help("start the application, or point the rule at the port it listens on");
    };
    if let Some(address) = rule.address {
        return match listening.iter().find(|socket| serves(socket, address)) {
            Some(socket) => new(Level::Ok, format!("{to}: {} listens", socket.owner)),
            None => new(
                Level::Warning,
                format!(
                    "{to}: {} listens on {} only, not on {address}",
                    first.owner,
                    addresses(listening)
                ),
            )
            .help(format!(
                "make it listen on {} or {}",
                bracketed(address),
                any(address.is_ipv6())
            )),
        };
    }
    let everywhere = listening
        .iter()
        .find(|socket| socket.address.is_unspecified());
    if let Some(socket) = everywhere {
        let ok = new(Level::Ok, format!("{to}: {} listens", socket.owner));
        // Whether [::] also takes IPv4 is IPV6_V6ONLY, which /proc does not show.
        let reached_by_ipv6 = listening
            .iter()
            .any(|s| s.address.is_ipv6() && !s.address.is_loopback());
        if ipv6 && remote && !reached_by_ipv6 {
            let message = format!(
                "{to}: {} listens on IPv4 only, so IPv6 clients are refused",
                socket.owner
            );
            return Finding { message, ..ok }.help("to serve IPv6 too, make it listen on [::]");
        }
        return ok;
    }
    if listening.iter().all(|socket| socket.address.is_loopback()) {
        let on = addresses(listening);
        if remote {
            return new(
                Level::Warning,
                format!(
                    "{to}: {} listens on {on} only, so traffic from other hosts cannot reach it",
                    first.owner
                ),
            )
            .help("make it listen on 0.0.0.0 or [::]");
        }
        return new(Level::Ok, format!("{to}: {} listens on {on}", first.owner));
    }
    new(
        Level::Ok,
        format!(
            "{to}: {} listens on {} only; traffic to other addresses is refused",
            first.owner,
            addresses(listening)
        ),
    )
    .help("to serve every address, make it listen on 0.0.0.0 or [::]")
}

fn serves(socket: &Socket, address: IpAddr) -> bool {
    // [::] takes IPv4 as well unless IPV6_V6ONLY is set, which cannot be seen: no alarm.
    socket.address == address
        || socket.address.is_unspecified() && (socket.address.is_ipv6() || address.is_ipv4())
}

fn addresses(listening: &[Socket]) -> String {
    let mut addresses: Vec<_> = listening.iter().map(|socket| socket.address).collect();
    addresses.sort_unstable();
    addresses.dedup();
    addresses
        .iter()
        .map(ToString::to_string)
        .collect::<Vec<_>>()
        .join(" and ")
}

const fn any(ipv6: bool) -> &'static str {
    if ipv6 { "[::]" } else { "0.0.0.0" }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        check::{sockets::Owner, tests::rule},
        holders::Holder,
    };

    fn on(addresses: &[&str]) -> Vec<Socket> {
        let owner = Owner::Process(Holder {
            pid: 123,
            started: 1,
            name: "nginx".into(),
        });
        addresses
            .iter()
            .map(|a| Socket {
                address: a.parse().unwrap(),
                owner: owner.clone(),
            })
            .collect()
    }

    fn level_and_message(
        text: &str,
        addresses: &[&str],
        remote: bool,
        ipv6: bool,
    ) -> (Level, String) {
        let finding = finding(&rule(text), &on(addresses), remote, ipv6);
        (finding.level, finding.message)
    }

    #[test]
    fn every_address_is_fine() {
        for addresses in [
            &["0.0.0.0"][..],
            &["::"],
            &["0.0.0.0", "::"],
            &["127.0.0.1", "::"],
        ] {
            let expected = (Level::Ok, "8000/tcp: nginx (pid 123) listens".to_owned());
            assert_eq!(
                level_and_message("80:8000/tcp", addresses, true, false),
                expected
            );
        }
    }

    #[test]
    fn nothing_is_a_warning() {
        let expected = (Level::Warning, "nothing listens on 4430/udp".to_owned());
        assert_eq!(level_and_message("443:4430/udp", &[], true, true), expected);
    }

    #[test]
    fn loopback_only_matters_to_other_interfaces() {
        for addresses in [&["127.0.0.1"][..], &["127.0.0.1", "::1"], &["127.8.0.1"]] {
            assert_eq!(
                level_and_message("80:8000/tcp", addresses, true, false).0,
                Level::Warning
            );
            assert_eq!(
                level_and_message("80:8000/tcp", addresses, false, false).0,
                Level::Ok
            );
        }
    }

    #[test]
    fn ipv4_only_is_a_remark_where_there_is_ipv6() {
        let message = "8000/tcp: nginx (pid 123) listens on IPv4 only, so IPv6 clients are refused";
        assert_eq!(
            level_and_message("80:8000/tcp", &["0.0.0.0"], true, true),
            (Level::Ok, message.to_owned())
        );
        assert!(
            !level_and_message("80:8000/tcp", &["0.0.0.0"], true, false)
                .1
                .contains("IPv6")
        );
        assert!(
            !level_and_message("80:8000/tcp", &["::"], true, true)
                .1
                .contains("IPv4")
        );
    }

    #[test]
    fn a_rule_with_an_address_needs_a_listener_there() {
        for (text, addresses, level) in [
            ("192.0.2.1:80:8000/tcp", &["192.0.2.1"][..], Level::Ok),
            ("192.0.2.1:80:8000/tcp", &["0.0.0.0"], Level::Ok),
            ("192.0.2.1:80:8000/tcp", &["::"], Level::Ok),
            ("192.0.2.1:80:8000/tcp", &["192.0.2.2"], Level::Warning),
            ("[2001:db8::1]:80:8000/tcp", &["0.0.0.0"], Level::Warning),
            ("[2001:db8::1]:80:8000/tcp", &["2001:db8::1"], Level::Ok),
        ] {
            assert_eq!(
                level_and_message(text, addresses, true, true).0,
                level,
                "{text} {addresses:?}"
            );
        }
    }

    #[test]
    fn one_address_of_many_is_named() {
        let (level, message) = level_and_message("80:8000/tcp", &["192.0.2.1"], true, true);
        assert_eq!(level, Level::Ok);
        assert!(message.contains("on 192.0.2.1 only"), "{message}");
    }
}

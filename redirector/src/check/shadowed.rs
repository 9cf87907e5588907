//! Does a process listen on the port that the rule takes away?

use super::{
    Finding, Level, places,
    sockets::{Owner, Socket, Sockets},
    subject,
};
use crate::config::{Config, Interface, Rule};

pub fn findings(config: &Config, sockets: &Sockets) -> Vec<Finding> {
    let on = |rule: &Rule, port| {
        sockets
            .get(&(rule.protocol, port))
            .map_or(&[][..], Vec::as_slice)
    };
    let finding = |rule: &Rule| {
        let loopback = places(config, rule).any(Interface::is_loopback);
        finding(
            rule,
            on(rule, rule.from.get()),
            on(rule, rule.to.get()),
            loopback,
        )
    };
    config.rules.iter().filter_map(finding).collect()
}

/// `loopback`: the rule also takes traffic of `lo`.
fn finding(
    rule: &Rule,
    on_source: &[Socket],
    on_target: &[Socket],
    loopback: bool,
) -> Option<Finding> {
    let socket = on_source
        .iter()
        .find(|socket| taken(rule, socket, loopback))?;
    let Rule {
        from, to, protocol, ..
    } = rule;
    let same = matches!(socket.owner, Owner::Process(_))
        && on_target.iter().any(|t| t.owner == socket.owner);
    let owner = &socket.owner;
    let (level, message) = if same {
        (
            Level::Ok,
            format!("{owner} listens on {from}/{protocol} too; new connections reach it on {to}"),
        )
    } else {
        (
            Level::Warning,
            format!(
                "{owner} listens on {from}/{protocol}; its new connections will go to {to} instead"
            ),
        )
    };
    let finding = Finding::new("shadowed", level, subject(rule), message);
    Some(if same {
        finding
    } else {
        finding.help("stop it, or leave this rule out")
    })
}

fn taken(rule: &Rule, socket: &Socket, loopback: bool) -> bool {
    let address = socket.address;
    let rule_takes = rule
        .address
        .is_none_or(|own| address.is_unspecified() || own == address);
    rule_takes && (loopback || !address.is_loopback())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{check::tests::rule, holders::Holder};

    fn socket(address: &str, name: &str) -> [Socket; 1] {
        let owner = Owner::Process(Holder {
            pid: 7,
            started: 1,
            name: name.into(),
        });
        [Socket {
            address: address.parse().unwrap(),
            owner,
        }]
    }

    #[test]
    fn another_process_is_named() {
        let found = finding(
            &rule("80:8000/tcp"),
            &socket("0.0.0.0", "apache2"),
            &socket("::", "node"),
            true,
        )
        .unwrap();
        assert_eq!(found.level, Level::Warning);
        assert_eq!(
            found.message,
            "apache2 (pid 7) listens on 80/tcp; its new connections will go to 8000 instead"
        );
    }

    #[test]
    fn the_same_process_is_only_a_remark() {
        let found = finding(
            &rule("80:8000/tcp"),
            &socket("0.0.0.0", "nginx"),
            &socket("::", "nginx"),
            true,
        )
        .unwrap();
        assert_eq!(found.level, Level::Ok);
    }

    #[test]
    fn two_unknown_owners_are_not_the_same() {
        let hidden = [Socket {
            address: "::".parse().unwrap(),
            owner: Owner::Hidden,
        }];
        assert_eq!(
            finding(&rule("80:8000/tcp"), &hidden, &hidden, true)
                .unwrap()
                .level,
            Level::Warning
        );
    }

    #[test]
    fn a_listener_out_of_the_rules_reach_is_left_alone() {
        assert_eq!(
            finding(&rule("80:8000/tcp"), &socket("127.0.0.1", "x"), &[], false),
            None
        );
        assert_eq!(
            finding(
                &rule("192.0.2.1:80:8000/tcp"),
                &socket("192.0.2.2", "x"),
                &[],
                true
            ),
            None
        );
        assert_eq!(finding(&rule("80:8000/tcp"), &[], &[], true), None);
    }
}

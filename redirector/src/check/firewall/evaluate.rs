//! Sends a made-up packet through the chains: the first packet of a new connection to a local address.

use super::{
    conditions::{Packet, Tri, Way, fits, matched},
    ruleset::{Base, Chain, Family, Hook, RuleName, Step, Table, Verdict},
};
use crate::check::Versions;

/// The kernel refuses deeper jumps (NFT_JUMP_STACK_SIZE); older ones and legacy tables may nest further.
const DEEPEST: u8 = 32;

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Cause {
    pub chain: String,
    /// `None`: the chain's policy.
    pub rule: Option<RuleName>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Answer {
    Open,
    /// Let in only where a condition holds that most packets do not meet.
    Partly {
        accepted: Cause,
        dropped: Cause,
    },
    /// Let in up to a limit of rate or number.
    Limited {
        accepted: Cause,
        dropped: Cause,
    },
    Shut(Cause),
}

/// What the chain `name` of `table` does, or `None` if this packet never meets it.
pub fn answer(table: &Table, name: &str, chain: &Chain, packet: &Packet<'_>) -> Option<Answer> {
    let base = chain
        .base
        .as_ref()
        .filter(|base| meets(table.family, base, packet))?;
    let run = |mode| {
        let mut walk = Walk {
            table,
            packet,
            mode,
            accepted: None,
            dropped: None,
        };
        if walk.chain(name, 0) {
            let policy = Cause {
                chain: name.to_owned(),
                rule: None,
            };
            if base.policy_drops {
                walk.dropped.get_or_insert(policy)
            } else {
                walk.accepted.get_or_insert(policy)
            };
        }
        (walk.accepted, walk.dropped)
    };
    Some(match run(Mode::Possible) {
        (Some(accepted), Some(_)) => match (run(Mode::Usual), run(Mode::Strict)) {
            ((None, Some(dropped)), _) => Answer::Partly { accepted, dropped },
            ((Some(accepted), _), (None, Some(dropped))) => Answer::Limited { accepted, dropped },
            _ => Answer::Open,
        },
        // The usual path names the rule that matters, not the first that might.
        (None, Some(dropped)) => Answer::Shut(run(Mode::Usual).1.unwrap_or(dropped)),
        _ => Answer::Open,
    })
}

/// The versions of IP whose packets the chain certainly stops, and by what it stops the first of them.
pub fn shut<'a>(
    (table, name, chain): (&Table, &str, &Chain),
    packets: impl IntoIterator<Item = Packet<'a>>,
) -> Option<(Cause, Versions)> {
    let mut first = None;
    let mut versions = Versions::NONE;
    for packet in packets {
        let Some(Answer::Shut(cause)) = answer(table, name, chain, &packet) else {
            continue;
        };
        first.get_or_insert(cause);
        versions.ipv4 |= !packet.ipv6;
        versions.ipv6 |= packet.ipv6;
    }
    Some((first?, versions))
}

fn meets(family: Family, base: &Base, packet: &Packet<'_>) -> bool {
    let carried = match family {
        Family::Ip => !packet.ipv6,
        Family::Ip6 => packet.ipv6,
        Family::Inet | Family::Netdev => true,
    };
    carried
        && base.nat == matches!(packet.way, Way::Own { .. })
        && match packet.way {
            Way::In => matches!(base.hook, Hook::Ingress | Hook::Prerouting | Hook::Input),
            Way::Later => matches!(base.hook, Hook::Prerouting | Hook::Input),
            Way::Out => matches!(base.hook, Hook::Output | Hook::Postrouting),
            Way::Own { .. } => base.hook == Hook::Postrouting,
        }
        && (base.devices.is_empty() || base.devices.iter().any(|device| device == packet.interface))
}

/// What to make of a condition that cannot be evaluated.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Mode {
    /// Go both ways.
    Possible,
    /// Go the way that most packets go.
    Usual,
    /// It does not hold.
    Strict,
}

struct Walk<'a> {
    table: &'a Table,
    packet: &'a Packet<'a>,
    mode: Mode,
    accepted: Option<Cause>,
    dropped: Option<Cause>,
}

/// What may come after a verdict.
#[derive(Clone, Copy)]
struct Next {
    /// The next rule of this chain.
    rule: bool,
    /// The chain that called this one.
    caller: bool,
}

impl Walk<'_> {
    /// Whether the packet may come out at the chain's end, or by `return`.
    fn chain(&mut self, name: &str, depth: u8) -> bool {
        let Some(chain) = self.table.chains.get(name).filter(|_| depth < DEEPEST) else {
            return self.opaque(&Cause {
                chain: name.to_owned(),
                rule: None,
            });
        };
        let mut returned = false;
        for rule in &chain.rules {
            let cause = Cause {
                chain: name.to_owned(),
                rule: Some(rule.name.clone()),
            };
            let next = self.rule(&rule.steps, &cause, depth);
            returned |= next.caller;
            if !next.rule {
                return returned;
            }
        }
        true
    }

    fn rule(&mut self, steps: &[Step], cause: &Cause, depth: u8) -> Next {
        let mut reached = Tri::Yes;
        let mut caller = false;
        for step in steps {
            match step {
                Step::Match(m) => reached = reached.and(self.settle(matched(m, self.packet))),
                Step::Verdict(verdict) => {
                    let next = self.verdict(verdict, cause, depth);
                    caller |= next.caller;
                    if !next.rule {
                        return Next {
                            rule: reached != Tri::Yes,
                            caller,
                        };
                    }
                }
                Step::Map(key, entries) => {
                    for (value, verdict) in entries {
                        let fits = reached.and(self.settle(fits(key, value, self.packet)));
                        if fits == Tri::No {
                            continue;
                        }
                        let next = self.verdict(verdict, cause, depth);
                        caller |= next.caller;
                        if fits == Tri::Yes {
                            if !next.rule {
                                return Next {
                                    rule: false,
                                    caller,
                                };
                            }
                            break;
                        }
                    }
                }
            }
            if reached == Tri::No {
                break;
            }
        }
        Next { rule: true, caller }
    }

    fn verdict(&mut self, verdict: &Verdict, cause: &Cause, depth: u8) -> Next {
        match verdict {
            Verdict::Source(source) if source.changes(self.packet) => {
                self.dropped.get_or_insert_with(|| cause.clone());
                Next {
                    rule: false,
                    caller: false,
                }
            }
            Verdict::Accept | Verdict::Translate(_) | Verdict::Source(_) => {
                self.accepted.get_or_insert_with(|| cause.clone());
                Next {
                    rule: false,
                    caller: false,
                }
            }
            Verdict::Drop => {
                self.dropped.get_or_insert_with(|| cause.clone());
                Next {
                    rule: false,
                    caller: false,
                }
            }
            Verdict::Return => Next {
                rule: false,
                caller: true,
            },
            Verdict::Continue => Next {
                rule: true,
                caller: false,
            },
            Verdict::Jump(to) => Next {
                rule: self.chain(to, depth + 1),
                caller: false,
            },
            Verdict::Goto(to) => Next {
                rule: false,
                caller: self.chain(to, depth + 1),
            },
            Verdict::Opaque => Next {
                rule: self.opaque(cause),
                caller: false,
            },
        }
    }

    fn opaque(&mut self, cause: &Cause) -> bool {
        if self.mode == Mode::Possible {
            self.accepted.get_or_insert_with(|| cause.clone());
            self.dropped.get_or_insert_with(|| cause.clone());
        }
        true
    }

    fn settle(&self, tri: Tri) -> Tri {
        match tri {
            Tri::Perhaps { usually } => match self.mode {
                Mode::Possible => tri,
                Mode::Usual => usually.into(),
                Mode::Strict => Tri::No,
            },
            tri => tri,
        }
    }
}

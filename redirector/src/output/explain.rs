//! Which hook each interface gets and why, a part of `check`.

use serde::Serialize;

use crate::kernel::{Explanation, Probed};

#[derive(Clone, Debug, Serialize)]
pub struct Interface {
    pub interface: String,
    /// As `status` names it, or with an XDP mode still open "xdp"; null where the load would be refused.
    pub hook: Option<&'static str>,
    /// In words: why this hook, or why none.
    pub reason: String,
    /// The rule that leads there; null where none does.
    pub rule: Option<&'static str>,
    pub facts: Facts,
}

/// null: not told.
#[derive(Clone, Debug, Serialize)]
pub struct Facts {
    pub driver: Option<String>,
    pub tcx: Option<bool>,
    pub loopback: Option<bool>,
    pub ethernet: Option<bool>,
    pub above: Option<Vec<String>>,
    pub below: Option<Vec<String>>,
    pub xdp_features: Option<Vec<&'static str>>,
    /// Of somebody else.
    pub xdp_program: Option<String>,
    pub gro: Option<bool>,
    pub lro: Option<bool>,
    pub rx_queues: Option<u32>,
    pub mtu: Option<u32>,
}

impl From<&Explanation> for Interface {
    fn from(explanation: &Explanation) -> Self {
        let decision = explanation.decision.as_ref();
        Self {
            interface: explanation.interface.name.clone(),
            hook: decision.ok().map(|site| site.hook_name()),
            reason: decision.map_or_else(Clone::clone, |site| site.reason.to_string()),
            rule: decision.ok().map(|site| site.reason.rule()),
            facts: Facts::from(&explanation.probed),
        }
    }
}

impl From<&Probed> for Facts {
    fn from(probed: &Probed) -> Self {
        let probed = probed.clone();
        Self {
            driver: probed.driver,
            tcx: probed.tcx,
            loopback: probed.loopback,
            ethernet: probed.ethernet,
            above: probed.above,
            below: probed.below,
            xdp_features: probed.xdp_features,
            xdp_program: probed.xdp_program.map(|program| program.to_string()),
            gro: probed.gro,
            lro: probed.lro,
            rx_queues: probed.rx_queues,
            mtu: probed.mtu,
        }
    }
}

/// The same for people, each rule once behind the interfaces.
pub fn text(explanations: &[Explanation]) -> String {
    let interfaces: Vec<_> = explanations.iter().map(Interface::from).collect();
    let mut text: String = interfaces.iter().map(one).collect();
    let mut rules: Vec<_> = interfaces.iter().filter_map(|each| each.rule).collect();
    rules.sort_unstable();
    rules.dedup();
    text += "\n";
    for rule in rules {
        text += &format!("rule: {rule}\n");
    }
    text
}

fn one(interface: &Interface) -> String {
    let decision = match interface.hook {
        Some(hook) => format!("{hook}, {}", interface.reason),
        None => format!("none: {}", interface.reason),
    };
    let mut text = format!("\n{}: {decision}\n", interface.interface);
    let mut line = |what: &str, told: Option<String>| {
        let told = told.unwrap_or_else(|| "not told".to_owned());
        text += &format!("  {what:<22}{told}\n");
    };
    let facts = &interface.facts;
    line("driver", facts.driver.clone());
    line("kernel has TCX", facts.tcx.map(yes));
    line("loopback", facts.loopback.map(yes));
    line("Ethernet header", facts.ethernet.map(yes));
    line("interfaces above", facts.above.as_ref().map(|it| list(it)));
    line("interfaces below", facts.below.as_ref().map(|it| list(it)));
    line(
        "driver's XDP",
        facts.xdp_features.as_ref().map(|it| list(it)),
    );
    line(
        "XDP of somebody else",
        Some(facts.xdp_program.clone().unwrap_or_else(none)),
    );
    line("GRO", facts.gro.map(on));
    line("LRO", facts.lro.map(on));
    line(
        "receive queues",
        facts.rx_queues.map(|queues| queues.to_string()),
    );
    line("MTU", facts.mtu.map(|mtu| mtu.to_string()));
    text
}

fn yes(is_so: bool) -> String {
    if is_so { "yes" } else { "no" }.to_owned()
}

fn on(is_on: bool) -> String {
    if is_on { "on" } else { "off" }.to_owned()
}

fn list(words: &[impl AsRef<str>]) -> String {
    if words.is_empty() {
        return none();
    }
    let words: Vec<_> = words.iter().map(AsRef::as_ref).collect();
    words.join(", ")
}

fn none() -> String {
    "none".to_owned()
}

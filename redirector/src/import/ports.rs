//! Ports and targets, as iptables and nft write them.

use super::model::{Action, Ports};

/// `80`, `http`, and with `-` or `:` between them two of those.
pub fn range(text: &str, separator: char) -> Option<Ports> {
    match text.split_once(separator) {
        Some((low, high)) => {
            let low = if low.is_empty() { 0 } else { single(low)? };
            let high = if high.is_empty() {
                u16::MAX
            } else {
                single(high)?
            };
            (low <= high).then_some(low..=high)
        }
        None => single(text).map(|port| port..=port),
    }
}

/// A number, or a name of those that such rules are about (`/etc/services` may not be this host's).
pub fn single(text: &str) -> Option<u16> {
    Some(match text {
        "http" | "www" => 80,
        "https" => 443,
        "domain" => 53,
        "http-alt" | "webcache" => 8080,
        _ => return text.parse().ok(),
    })
}

/// Of a redirect to `PORT` or `PORT-PORT`.
pub fn redirected(to: &str) -> Action {
    match range(to, '-') {
        Some(ports) if ports.start() == ports.end() => Action::Redirect(*ports.start()),
        Some(_) => Action::Elsewhere(format!(
            "it spreads over the ports {to}; a rule has one target"
        )),
        None if to.is_empty() => Action::Elsewhere("the port that it sends to is missing".into()),
        None => Action::Elsewhere(format!("it sends to {to:?}, which is no port")),
    }
}

/// Of a DNAT to `[ADDRESS][:PORT]`.
pub fn translated(to: &str) -> Action {
    if let Some(ports) = to.strip_prefix(':') {
        return redirected(ports);
    }
    Action::Elsewhere(if to.is_empty() {
        "the address or port that it sends to is missing".into()
    } else if to.starts_with("127.") {
        format!(
            "it sends to {to}, and the redirector changes no addresses; where the application \
             listens on every address, write this rule yourself"
        )
    } else {
        format!("it sends to {to}, and the redirector changes no addresses")
    })
}

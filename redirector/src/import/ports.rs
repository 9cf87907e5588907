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

/// Of a DNAT to `[ADDRESS][:PORT]`.
pub fn translated(to: &str) -> Action {
    match to.strip_prefix(':').map(single) {
        Some(Some(port)) => Action::Redirect(port),
        _ if to.starts_with("127.") => Action::Elsewhere(format!(
            "it sends to {to}, and the redirector changes no addresses; where the application \
             listens on every address, write this rule yourself"
        )),
        _ => Action::Elsewhere(format!(
            "it sends to {to}, and the redirector changes no addresses"
        )),
    }
}

//! Redirects in words that no parser follows. They are told, so that none is passed over in silence.

use super::shell::tool;

pub const IN_WORDS: &str =
    "it has a redirect in words that are not understood; give it as an iptables command of its own";
const IN_NFT: &str = "it is a command of nft; import what `nft list ruleset` prints instead";
const FIREWALLD: &str =
    "it is a forward of firewalld; import what `nft list ruleset` or iptables-save prints instead";

/// Why nothing is taken of a line that is not followed; `None` where it redirects nothing.
pub fn reason(line: &str) -> Option<&'static str> {
    let words: Vec<_> = line
        .split(|letter: char| letter.is_whitespace() || "'\";(){}".contains(letter))
        .filter(|word| !word.is_empty())
        .collect();
    let is_target = |word: &str| matches!(word, "REDIRECT" | "DNAT" | "TPROXY");
    let has_port = || {
        words
            .iter()
            .any(|word| word.starts_with(':') || word.parse::<u16>().is_ok())
    };
    let is_nft = |pair: &[&str]| matches!(pair, ["redirect" | "dnat" | "tproxy", "to"]);
    let is_iptables =
        |pair: &[&str]| matches!(pair, ["-j" | "--jump", target] if is_target(target));
    let mut behind_tool = words.iter().skip_while(|word| tool(word).is_none());
    let forwards = |word: &&str| {
        word.starts_with("--add-forward-port")
            || (*word == "forward-port" && line.contains("to-port"))
    };
    if words.windows(2).any(is_iptables) || behind_tool.any(|word| is_target(word)) {
        Some(IN_WORDS)
    } else if words.windows(2).any(is_nft) && has_port() {
        Some(IN_NFT)
    } else if line.contains("<forward-port") || words.iter().any(forwards) {
        Some(FIREWALLD)
    } else {
        None
    }
}

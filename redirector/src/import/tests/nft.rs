//! What a file for `nft -f` may hold.

use super::*;

fn chain(rules: &str) -> String {
    format!(
        "table ip nat {{\nchain pre {{\ntype nat hook prerouting priority -100; policy accept;\n{rules}\n}}\n}}\n"
    )
}

const WEB: &str = "tcp dport 80 redirect to :8000";

#[test]
fn a_backslash_at_the_end_of_a_line_continues_it() {
    for text in [
        "ip saddr 10.0.0.0/8 \\\n  tcp dport 80 redirect to :8000",
        "ip saddr 10.0.0.0/8\\\ntcp dport 80 \\\nredirect to :8000",
    ] {
        left(&chain(text), ":8000", "ip saddr 10.0.0.0/8");
        let (_, sources) = import(&chain(text));
        let line = sources[0]
            .listing
            .lines
            .iter()
            .find(|line| line.text.contains(":8000"));
        assert_eq!(line.map(|line| line.number), Some(4), "{text}");
    }
    taken(&chain("tcp dport 80 \\\n redirect to :8000"), ":8000");
    // A comment ends with its line.
    left(
        &chain("ip saddr 10.0.0.1 accept # it stays \\\ntcp dport 80 redirect to :8000"),
        ":8000",
        "line 4",
    );
}

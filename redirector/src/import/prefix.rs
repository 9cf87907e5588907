//! What may stand before a command: a prompt, or the option of a file that runs it.

/// Behind `$ `, `root@host:~# ` or `[root@host ~]# `.
pub fn without_prompt(line: &str) -> &str {
    let Some(end) = line.find(['$', '#']) else {
        return line;
    };
    let (prompt, rest) = line.split_at(end);
    let words: Vec<_> = prompt.split_whitespace().collect();
    let is_prompt = match words[..] {
        [] => rest.starts_with('$'),
        [host] | [host, _] => host.contains('@'),
        _ => false,
    };
    match rest[1..].strip_prefix(' ') {
        Some(command) if is_prompt => command.trim_start(),
        _ => line,
    }
}

#[derive(Debug, PartialEq, Eq)]
pub enum When {
    Up,
    Down,
}

/// The command of `post-up ...` in interfaces(5), `ExecStart=...` of systemd, or `PostUp = ...` of wg-quick(8),
/// and of what undoes it.
pub fn hooked(line: &str) -> Option<(When, &str)> {
    let (key, _) = line.split_once(|letter: char| letter == '=' || letter.is_whitespace())?;
    let when = match key.to_ascii_lowercase().as_str() {
        "pre-up" | "up" | "post-up" | "preup" | "postup" => When::Up,
        "execstartpre" | "execstart" | "execstartpost" => When::Up,
        "pre-down" | "down" | "post-down" | "predown" | "postdown" => When::Down,
        "execstop" | "execstoppost" => When::Down,
        _ => return None,
    };
    let rest = line[key.len()..].trim_start();
    let command = rest.strip_prefix('=').unwrap_or(rest).trim_start();
    Some((when, command.trim_start_matches(['-', '@', ':', '+', '!'])))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn prompts_are_no_part_of_a_command() {
        for (line, expected) in [
            ("$ a", "a"),
            ("root@host:~# a $b", "a $b"),
            ("me@host:/etc$ a", "a"),
            ("[root@host ~]# a", "a"),
            ("root@host ~ # a", "a"),
            ("# a", "# a"),
            ("a # b", "a # b"),
            ("a $b", "a $b"),
            ("a@b c d # e", "a@b c d # e"),
        ] {
            assert_eq!(without_prompt(line), expected);
        }
    }
}

//! nft's listing, word by word.

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Token {
    Word(String),
    Quoted(String),
    Open,
    Close,
    Comma,
    /// A newline or `;`.
    End,
    /// `# handle 5`
    Handle(u64),
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Placed {
    pub token: Token,
    pub line: usize,
}

/// A line with those that it goes on in.
pub struct Line {
    /// Of the first.
    pub number: usize,
    pub text: String,
}

/// Never fails: an open quote ends with its line.
pub fn tokens(text: &str) -> (Vec<Placed>, Vec<Line>) {
    let mut tokens = Vec::new();
    let mut lines: Vec<Line> = Vec::new();
    let mut goes_on = false;
    for (index, text) in text.lines().enumerate() {
        let (words, is_open) = words(text);
        let text = match is_open {
            true => text.trim_end().trim_end_matches('\\').trim(),
            false => text.trim(),
        };
        match lines.last_mut() {
            Some(line) if goes_on => {
                line.text.push(' ');
                line.text.push_str(text);
            }
            _ => lines.push(Line {
                number: index + 1,
                text: text.to_owned(),
            }),
        }
        let line = lines.last().map_or(index + 1, |line| line.number);
        tokens.extend(words.into_iter().map(|token| Placed { token, line }));
        goes_on = is_open;
    }
    (tokens, lines)
}

/// Of one line, and whether the next one belongs to it.
fn words(line: &str) -> (Vec<Token>, bool) {
    let mut tokens = Vec::new();
    let mut rest = line;
    while let Some(letter) = rest.chars().next() {
        let after = &rest[letter.len_utf8()..];
        let (token, after) = match letter {
            '\\' if after.trim().is_empty() => return (tokens, true),
            '#' => (handle(after).map(Token::Handle), ""),
            '"' => {
                let (text, after) = after.split_once('"').unwrap_or((after, ""));
                (Some(Token::Quoted(text.to_owned())), after)
            }
            '{' => (Some(Token::Open), after),
            '}' => (Some(Token::Close), after),
            ',' => (Some(Token::Comma), after),
            ';' => (Some(Token::End), after),
            blank if blank.is_whitespace() => (None, after),
            _ => {
                let stops = |letter: char| letter.is_whitespace() || "{},;\"#\\".contains(letter);
                // A backslash within a line is a word that nothing knows.
                let end = after
                    .find(stops)
                    .map_or(rest.len(), |at| at + letter.len_utf8());
                (Some(Token::Word(rest[..end].to_owned())), &rest[end..])
            }
        };
        tokens.extend(token);
        rest = after;
    }
    tokens.push(Token::End);
    (tokens, false)
}

/// A line without its handle.
pub fn without_handle(line: &str) -> &str {
    match line.rsplit_once("# handle ") {
        Some((rule, number)) if number.trim().parse::<u64>().is_ok() => rule.trim(),
        _ => line.trim(),
    }
}

fn handle(comment: &str) -> Option<u64> {
    comment.trim().strip_prefix("handle ")?.trim().parse().ok()
}

impl Token {
    pub fn word(&self) -> Option<&str> {
        match self {
            Self::Word(word) | Self::Quoted(word) => Some(word),
            _ => None,
        }
    }
}

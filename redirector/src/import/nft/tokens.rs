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

/// Never fails: an open quote ends with its line.
pub fn tokens(text: &str) -> Vec<Placed> {
    let mut tokens = Vec::new();
    for (index, line) in text.lines().enumerate() {
        let mut place = |token| {
            tokens.push(Placed {
                token,
                line: index + 1,
            });
        };
        let mut rest = line;
        while let Some(letter) = rest.chars().next() {
            let after = &rest[letter.len_utf8()..];
            rest = match letter {
                '#' => {
                    if let Some(handle) = handle(after) {
                        place(Token::Handle(handle));
                    }
                    ""
                }
                '"' => {
                    let (text, after) = after.split_once('"').unwrap_or((after, ""));
                    place(Token::Quoted(text.to_owned()));
                    after
                }
                '{' => {
                    place(Token::Open);
                    after
                }
                '}' => {
                    place(Token::Close);
                    after
                }
                ',' => {
                    place(Token::Comma);
                    after
                }
                ';' => {
                    place(Token::End);
                    after
                }
                blank if blank.is_whitespace() => after,
                _ => {
                    let stops = |letter: char| letter.is_whitespace() || "{},;\"#".contains(letter);
                    let end = rest.find(stops).unwrap_or(rest.len());
                    place(Token::Word(rest[..end].to_owned()));
                    &rest[end..]
                }
            };
        }
        place(Token::End);
    }
    tokens
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

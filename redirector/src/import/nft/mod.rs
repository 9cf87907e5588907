//! `nft list ruleset`, with `-a` or without, and files for `nft -f`.

mod commands;
mod reader;
mod ruleset;
mod statement;
mod target;
mod tokens;
mod value;
mod variables;

use self::{reader::Reader, tokens::tokens};
use super::model::Listing;

/// Never fails: what is not understood is left.
pub fn parse(text: &str) -> Listing {
    let (tokens, lines) = tokens(text);
    let mut reader = Reader::new(&tokens);
    reader.text();
    reader.ruleset.build(lines)
}

//! The packet path: wire → parse → match → track → rewrite → count → wire.
//!
//! It is generic over [`Packet`] and [`State`] and compiles twice: for the BPF target over socket
//! buffers and maps, and natively over byte slices and hash maps, where the tests run it.
#![no_std]
#![forbid(unsafe_code)]

#[cfg(any(test, feature = "native"))]
extern crate std;

pub mod abi;
mod address;
mod answer;
pub mod begin;
pub mod checksum;
pub mod decision;
mod direction;
mod earlier;
pub mod headers;
mod icmp;
mod ip;
mod moved;
#[cfg(any(test, feature = "native"))]
pub mod native;
mod outgoing;
mod owner;
mod packet;
mod parse;
pub mod recent;
mod redirect;
mod resume;
mod rewrite;
mod rules;
mod skip;
mod state;
mod trace;
mod track;

pub use direction::Direction;
pub use ip::MAX_IPV6_EXTENSIONS;
pub use packet::{Checksum, LinkLayer, Packet};
pub use parse::{Ends, Segment, TcpFlags, parse};
pub use redirect::{Verdict, cross, redirect};
pub use rewrite::is_unfinished;
pub use skip::Skip;
pub use state::{Peer, State, Table, Window};
pub use trace::{Told, Traced};

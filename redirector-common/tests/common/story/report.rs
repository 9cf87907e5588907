//! An ICMP error: about anything of the pools, or about a packet that has just crossed.

use arbitrary::Arbitrary;
use redirector_common::{
    Direction, Verdict,
    native::craft::{Craft, IcmpError},
};

use super::{
    Pick,
    origins::Origins,
    packet::{Described, Harm, Shape},
};
use crate::common::Host;

/// Errors of IPv4, of IPv6, and what is none.
const KINDS: [u8; 9] = [3, 11, 12, 1, 2, 4, 0, 5, 128];

#[derive(Arbitrary, Debug)]
pub struct Report {
    about: Described,
    kind: Pick,
    code: u8,
    parameter: u32,
    quote_length: Option<u8>,
    /// Bytes.
    extension: Option<u8>,
    shape: Option<Shape>,
    harm: Option<Harm>,
}

impl Report {
    /// Comes in if the packet went out, as it would be.
    pub fn cross(&self, host: &mut Host, origins: &mut Origins) {
        let quoted = self.about.craft();
        let mut error = IcmpError::port_unreachable(quoted.destination, quoted);
        error.kind = self.kind.of(&KINDS);
        error.code = self.code;
        error.parameter = self.parameter;
        if let Some(length) = self.quote_length {
            error.quote_length = usize::from(length);
        }
        error.extension = self.extension.map(|length| vec![0; usize::from(length)]);
        if let Some(shape) = &self.shape {
            shape.apply_to(&mut error.outer);
        }
        let mut frame = error.frame();
        if let Some(harm) = &self.harm {
            harm.apply(&mut frame);
        }
        let direction = self.about.direction().reverse();
        let _ = origins.cross(&mut frame, &mut host.memory, direction);
    }
}

/// An error about a packet that has crossed, as it left, is one about the packet as it came.
pub fn follow(
    host: &mut Host,
    origins: &mut Origins,
    came: &Craft,
    left: &Craft,
    crossed: Direction,
    is_whole: bool,
) {
    let error = |quoted: &Craft| {
        let mut error = IcmpError::port_unreachable(quoted.destination, quoted.clone());
        if is_whole {
            error.quote_length = usize::MAX;
        }
        error.frame()
    };
    let mut frame = error(left);
    let verdict = origins.cross(&mut frame, &mut host.memory, crossed.reverse());
    assert!(
        matches!(verdict, Ok(Verdict::Redirected { .. })),
        "{verdict:?}, {crossed:?} {left:?} was {came:?}"
    );
    assert_eq!(frame, error(came), "{crossed:?} {left:?} was {came:?}");
}

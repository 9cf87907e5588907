//! Targets that a port's rules had before they were changed.

use crate::{
    State,
    abi::{EARLIER_TARGETS, FlowKey},
    track::Translation,
};

/// Asks about the earlier targets of the key's port, the newest first, until there is an answer. While
/// `about` is asked, and if it answers, the key has the target in it.
#[inline(always)]
pub fn find<S: State, T>(
    state: &mut S,
    key: &mut FlowKey,
    mut about: impl FnMut(&mut S, &mut FlowKey, Translation) -> Option<T>,
) -> Option<T> {
    let from = key.local_port;
    for age in 0..EARLIER_TARGETS {
        let Some(earlier) = state.earlier(key.protocol, from, age) else {
            break;
        };
        key.local_port = earlier.target;
        let answer = about(state, key, Translation::to(earlier.target, earlier.rule));
        if answer.is_some() {
            return answer;
        }
    }
    key.local_port = from;
    None
}

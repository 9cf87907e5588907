//! The fuzzer's functions on the fuzzer's corpus, and on bytes that it has not found.

mod common;
#[path = "common/story/mod.rs"]
mod story;

use std::{fs, path::Path};

use arbitrary::{Arbitrary, Unstructured};
use common::invariants;
use proptest::{collection::vec, prelude::*};
use story::Story;

/// As `fuzz/fuzz_targets/redirect.rs` does.
fn redirect(bytes: &[u8]) {
    if let Ok(story) = Story::arbitrary_take_rest(Unstructured::new(bytes)) {
        story.run();
    }
}

fn replay(target: &str, run: fn(&[u8])) {
    let corpus = Path::new(env!("CARGO_MANIFEST_DIR")).join("fuzz/corpus");
    let files = fs::read_dir(corpus.join(target)).expect("the corpus");
    let mut count = 0;
    for file in files {
        let path = file.expect("a file of the corpus").path();
        println!("{}", path.display());
        run(&fs::read(path).expect("its bytes"));
        count += 1;
    }
    assert!(count > 0, "the corpus of {target} is empty");
}

#[test]
fn parse_holds_on_its_corpus() {
    replay("parse", invariants::find_in);
}

#[test]
fn redirect_holds_on_its_corpus() {
    replay("redirect", redirect);
}

proptest! {
    #![proptest_config(ProptestConfig {
        cases: 2000,
        failure_persistence: None,
        ..ProptestConfig::default()
    })]

    #[test]
    fn any_story_holds(bytes in vec(any::<u8>(), 0..2000)) {
        redirect(&bytes);
    }
}

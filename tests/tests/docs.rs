//! Every command of the documentation, as it stands there.

use integration::docs::pages;
use integration::scene::Scene;
use libtest_mimic::{Arguments, Trial};

fn main() {
    let trials = pages().into_iter().flat_map(|page| {
        let name = page.name;
        page.sections.into_iter().map(move |section| {
            let title = format!("{name}: {}", section.title);
            let name = name.clone();
            Trial::test(title, move || {
                Scene::play(&name, &section);
                Ok(())
            })
        })
    });
    libtest_mimic::run(&Arguments::from_args(), trials.collect()).exit();
}

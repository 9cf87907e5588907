//! Manual pages, completions, and units: what the binary tells, and what is made of one unit.

use std::{fs, path::Path, process::Command};

use anyhow::{Context as _, Result, ensure};

use super::directory;
use crate::{sys, workspace};

const SHELLS: [&str; 3] = ["bash", "zsh", "fish"];

pub fn write(binary: &Path) -> Result<()> {
    let [man, completions, units] =
        ["man", "completions", "systemd"].map(|part| directory().join(part));
    for part in [&man, &completions, &units] {
        if part.exists() {
            fs::remove_dir_all(part)?;
        }
        fs::create_dir_all(part).with_context(|| format!("cannot make {}", part.display()))?;
    }
    sys::run("redirector man", Command::new(binary).arg("man").arg(&man))?;
    for shell in SHELLS {
        let script = sys::ask(Command::new(binary).args(["completions", shell]))
            .with_context(|| format!("no completions for {shell}"))?;
        fs::write(completions.join(format!("redirector.{shell}")), script)?;
    }
    let sources = workspace::root().join("redirector/package/systemd");
    for unit in fs::read_dir(&sources)? {
        let unit = unit?.path();
        fs::copy(
            &unit,
            units.join(unit.file_name().context("a unit's name")?),
        )?;
    }
    let unit = fs::read_to_string(sources.join("redirector.service"))?;
    fs::write(units.join("redirector@.service"), template(&unit)?)?;
    Ok(())
}

/// The unit of any instance, from that of the default one.
fn template(unit: &str) -> Result<String> {
    let changes = [
        (
            "Description=Port redirector\n",
            "Description=Port redirector, instance %i\n",
        ),
        (
            " run --config /etc/redirector/config.toml\n",
            " run --name %i --config /etc/redirector/%i.toml\n",
        ),
    ];
    let mut template = unit.to_owned();
    for (from, to) in changes {
        ensure!(
            template.contains(from),
            "redirector.service without {from:?}"
        );
        template = template.replace(from, to);
    }
    Ok(template)
}

#[cfg(test)]
mod tests {
    use super::template;

    #[test]
    fn an_instance_has_its_own_file() {
        let unit = include_str!("../../../redirector/package/systemd/redirector.service");
        let template = template(unit).expect("a template");
        assert!(template.contains("--name %i --config /etc/redirector/%i.toml\n"));
        assert!(!template.contains("config.toml"), "{template}");
    }
}

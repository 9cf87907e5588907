//! Builds the eBPF programs and leaves the object at `$OUT_DIR/redirector-ebpf`.

use std::{
    collections::HashMap,
    env, fs, io,
    path::{Path, PathBuf},
    process::{Command, ExitCode, Output},
};

const PACKAGE: &str = "redirector-ebpf";

/// What `cargo xtask setup` recorded.
type Toolchain = HashMap<String, String>;

fn main() -> ExitCode {
    let workspace = variable("CARGO_MANIFEST_DIR") + "/..";
    let workspace = Path::new(&workspace);
    let record = workspace.join("target/ebpf-toolchain/toolchain");
    for input in [PACKAGE, "redirector-common", "Cargo.toml", "Cargo.lock"] {
        println!(
            "cargo::rerun-if-changed={}",
            workspace.join(input).display()
        );
    }
    println!("cargo::rerun-if-changed={}", record.display());

    let Some(toolchain) = recorded(&record) else {
        // With this line cargo fails the build and prints nothing else of ours.
        println!("cargo::error=the eBPF toolchain is not set up: run `cargo xtask setup`");
        return ExitCode::SUCCESS;
    };
    for tool in toolchain.values() {
        println!("cargo::rerun-if-changed={tool}");
    }
    match build(workspace, &toolchain) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("{error}");
            ExitCode::FAILURE
        }
    }
}

/// None if nothing is recorded, or what is recorded has been removed since.
fn recorded(path: &Path) -> Option<Toolchain> {
    let toolchain: Toolchain = fs::read_to_string(path)
        .ok()?
        .lines()
        .filter_map(|line| line.split_once('='))
        .map(|(name, path)| (name.to_owned(), path.to_owned()))
        .collect();
    let complete = ["RUSTC", "LINKER"]
        .iter()
        .all(|name| toolchain.contains_key(*name));
    let present = toolchain.values().all(|path| Path::new(path).is_file());
    (complete && present).then_some(toolchain)
}

fn build(workspace: &Path, toolchain: &Toolchain) -> Result<(), String> {
    let target = match variable("CARGO_CFG_TARGET_ENDIAN").as_str() {
        "big" => "bpfeb-unknown-none",
        _ => "bpfel-unknown-none",
    };
    // Not in OUT_DIR, so that debug, release and clippy share one build.
    let target_dir = workspace.join("target/ebpf");
    let output = cargo(workspace, toolchain, target, &target_dir)
        .output()
        .map_err(|error| format!("cannot run cargo: {error}"))?;
    report(&output)?;

    let object = target_dir.join(target).join("release").join(PACKAGE);
    let copy = PathBuf::from(variable("OUT_DIR")).join(PACKAGE);
    fs::copy(&object, copy)
        .map(drop)
        .map_err(|error: io::Error| format!("{}: {error}", object.display()))
}

fn cargo(workspace: &Path, toolchain: &Toolchain, target: &str, target_dir: &Path) -> Command {
    let own = variable("CARGO");
    let mut cargo = Command::new(toolchain.get("CARGO").unwrap_or(&own));
    cargo
        .current_dir(workspace)
        .args(["build", "--quiet", "--package", PACKAGE, "--bins"])
        .args(["--release", "--target", target, "-Zbuild-std=core"])
        .arg("--target-dir")
        .arg(target_dir);
    // The outer cargo's compiler and wrappers (clippy) are not for this build.
    for name in ["RUSTC_WRAPPER", "RUSTC_WORKSPACE_WRAPPER", "RUSTC_LINKER"] {
        cargo.env_remove(name);
    }
    cargo
        .env("RUSTC", &toolchain["RUSTC"])
        .env("RUSTC_BOOTSTRAP", "1")
        .env("CARGO_ENCODED_RUSTFLAGS", flags(&toolchain["LINKER"]));
    cargo
}

fn flags(linker: &str) -> String {
    let architecture = match variable("CARGO_CFG_TARGET_ARCH") {
        architecture if architecture.starts_with("riscv64") => "riscv64".to_owned(),
        architecture => architecture,
    };
    [
        &format!("-Clinker={linker}"),
        "-Clink-arg=--btf",
        // Packets are not aligned: without it every load from one goes byte by byte.
        "-Clink-arg=--cpu-features=+allows-misaligned-mem-access",
        // With it every memset is a call to a loop over bytes.
        "-Clink-arg=--disable-expand-memcpy-in-order",
        "-Cdebuginfo=2",
        &format!("--cfg=bpf_target_arch=\"{architecture}\""),
    ]
    .join("\x1f")
}

/// Passes warnings on; errors are the error.
fn report(output: &Output) -> Result<(), String> {
    let messages = String::from_utf8_lossy(&output.stderr);
    if !output.status.success() {
        return Err(messages.into_owned());
    }
    for line in messages.lines() {
        println!("cargo::warning={line}");
    }
    Ok(())
}

fn variable(name: &str) -> String {
    env::var(name).unwrap_or_default()
}

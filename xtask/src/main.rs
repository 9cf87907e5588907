//! Set-up, build, run, test, fuzzing, mutations and benchmarks of redirector: `cargo xtask <verb>`.

mod bench;
mod build;
mod fuzz;
mod mutate;
mod package;
mod run;
mod setup;
mod sys;
mod test;
mod vm;
mod workspace;

use std::process::ExitCode;

use clap::Parser;

#[derive(Parser)]
#[command(name = "cargo xtask", bin_name = "cargo xtask", about)]
enum Verb {
    /// Install what building (and with --tests, testing) needs; does nothing twice
    Setup(setup::Options),
    /// Set up, then build target/release/redirector
    Build(build::Options),
    /// Set up, build, then run redirector with these arguments
    Run(run::Options),
    /// Set up, build, then run every test
    Test(test::Options),
    /// Look for packets that break the promises of the packet path
    Fuzz(fuzz::Options),
    /// Break one thing after another and see whether the tests notice
    Mutate(mutate::Options),
    /// Set up, build, then compare with what else redirects a port
    Bench(bench::Options),
    /// Set up, then build a Debian package, an RPM and a tarball below target/package
    Package(package::Options),
    /// Set up, build, then run the tests for virtual machines in one
    Vm(vm::Options),
    /// Install, reboot, upgrade and purge the Debian package in a virtual machine with systemd
    VmDebian(vm::debian::Options),
    /// Run one program of this host in a virtual machine
    VmRun(vm::run::Options),
}

fn main() -> ExitCode {
    let outcome = match Verb::parse() {
        Verb::Setup(options) => setup::verb(&options),
        Verb::Build(options) => build::verb(&options),
        Verb::Run(options) => run::verb(&options),
        Verb::Test(options) => test::verb(&options),
        Verb::Fuzz(options) => fuzz::verb(&options),
        Verb::Mutate(options) => mutate::verb(&options),
        Verb::Bench(options) => bench::verb(&options),
        Verb::Package(options) => package::verb(&options),
        Verb::Vm(options) => vm::verb(&options),
        Verb::VmDebian(options) => vm::debian::verb(&options),
        Verb::VmRun(options) => vm::run::verb(&options),
    };
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}

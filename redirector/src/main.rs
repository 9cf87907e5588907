fn main() -> std::process::ExitCode {
    redirector::cli::main()
}

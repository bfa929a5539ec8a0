//! The program: reads the command line and hands over to the subcommand.

use std::process::ExitCode;

use clap::Parser as _;
use voicepost::cli::{self, Cli, Command};

/// Messages make many small allocations on several threads, and the libc's are slow at that.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    let cli = Cli::parse();
    let config = cli.config.as_deref();
    cli::finish(match &cli.command {
        Command::CheckConfig(args) => cli::check_config::run(config, args),
        Command::Doctor(args) => cli::doctor::run(config, args),
        Command::Keys(args) => cli::keys::run(config, args),
        Command::Erase(args) => cli::erase::run(args, config),
        Command::Inspect(args) => cli::inspect::run(config, args),
        Command::Send(args) => cli::send::run(args),
        Command::Demo(args) => cli::demo::run(config, args),
        Command::Serve => cli::serve::run(config),
        Command::Sandbox(args) => cli::sandbox::run(args),
    })
}

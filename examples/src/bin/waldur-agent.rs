//! The reference agent: a drop-in for the Python site agent, and a demo that needs no network.
//!
//! [`Exit`](waldur_examples::exit::Exit) has the exit codes.

use std::{env, process::ExitCode};

use waldur_examples::cli;

fn main() -> ExitCode {
    match cli::main(env::args_os()) {
        Ok(exit) => exit.code().into(),
        Err(error) => {
            // A reader who is gone changes nothing.
            drop(error.print());
            u8::try_from(error.exit_code()).unwrap_or(2).into()
        }
    }
}

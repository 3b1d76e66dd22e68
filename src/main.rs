//! The `pithead` program.

use std::process::ExitCode;

#[tokio::main(flavor = "current_thread")]
async fn main() -> ExitCode {
    match pithead::cli::run().await {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            #[expect(clippy::print_stderr, reason = "the last words go to whoever started us")]
            {
                eprintln!("pithead: {error}");
            }
            ExitCode::FAILURE
        }
    }
}

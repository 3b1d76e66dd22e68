//! The `pithead` program.

use std::process::ExitCode;

use pithead::app::AppError;

/// Many small values pass between threads; this allocator is made for that.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

#[tokio::main(flavor = "current_thread")]
async fn main() -> ExitCode {
    match pithead::cli::run().await {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            #[expect(clippy::print_stderr, reason = "the last words go to whoever started us")]
            {
                eprintln!("pithead: {error}");
            }
            match error {
                // As for arguments that cannot be used.
                AppError::BadInput(_) => ExitCode::from(2),
                _ => ExitCode::FAILURE,
            }
        }
    }
}

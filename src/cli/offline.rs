//! What the commands share that read a file and answer without a server.

use std::fs::File;
use std::io::{self, Read};
use std::path::Path;

use crate::app::AppError;

/// The whole text of a file, or of standard input for `-`, at most so many bytes.
///
/// # Errors
/// [`AppError::BadInput`] with the file and what is in the way.
pub(super) fn read(from: &Path, bytes_max: u64) -> Result<String, AppError> {
    whole(from, bytes_max)
        .map_err(|reason| AppError::BadInput(format!("{}: {reason}", from.display())))
}

fn whole(from: &Path, most: u64) -> Result<String, String> {
    let too_long = || format!("is longer than {most} bytes");
    let source: Box<dyn Read> = if from == Path::new("-") {
        Box::new(io::stdin().lock())
    } else {
        let file = File::open(from).map_err(|error| error.to_string())?;
        if file.metadata().is_ok_and(|about| about.len() > most) {
            return Err(too_long());
        }
        Box::new(file)
    };
    let mut bytes = Vec::new();
    source.take(most + 1).read_to_end(&mut bytes).map_err(|error| error.to_string())?;
    if bytes.len() as u64 > most {
        return Err(too_long());
    }
    String::from_utf8(bytes).map_err(|error| format!("is no UTF-8 text: {error}"))
}

/// What becomes of the command once its answer is written.
///
/// # Errors
/// [`AppError::Io`] when it could not be.
pub(super) fn finish(written: io::Result<()>) -> Result<(), AppError> {
    match written {
        // Whoever read us has seen enough.
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Ok(()),
        Err(error) => Err(AppError::Io { what: "the answer".to_owned(), error }),
        Ok(()) => Ok(()),
    }
}

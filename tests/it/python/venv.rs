//! A throw-away Python environment with the real SDK from PyPI, kept in the target folder under the
//! SDK's version.

use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::sync::OnceLock;

/// The SDK whose signatures are the contract.
const SDK: &str = "bittensor==11.3.0";
/// The client that people have.
const OPENAI: &str = "openai==3.54.0";
/// The library with which receivers check signatures.
const WEBHOOKS: &str = "standardwebhooks==1.1.0";

/// Its interpreter, or `None` (loudly) where it cannot be made. With `CI` set that is a failure.
pub(super) fn python() -> Option<&'static Path> {
    static PYTHON: OnceLock<Option<PathBuf>> = OnceLock::new();
    let python = PYTHON.get_or_init(|| match make() {
        Ok(python) => Some(python),
        Err(reason) => {
            let sentence =
                format!("SKIPPED: no Python environment with {SDK} could be made: {reason}");
            let ci = std::env::var("CI").is_ok_and(|ci| !ci.is_empty());
            assert!(!ci, "{sentence}");
            // Not `eprintln!`, which the test harness would keep to itself.
            writeln!(std::io::stderr(), "\n{sentence}\n").ok();
            None
        }
    });
    python.as_deref()
}

fn make() -> Result<PathBuf, String> {
    let target = Path::new(env!("CARGO_TARGET_TMPDIR")).parent().unwrap_or(Path::new("target"));
    let folder =
        target.join("python-venv").join([SDK, OPENAI, WEBHOOKS].join("-").replace("==", "-"));
    let (python, complete) = (folder.join("bin/python"), folder.join("complete"));
    if complete.exists() {
        return Ok(python);
    }
    // One that was broken off.
    std::fs::remove_dir_all(&folder).ok();
    run(Command::new("python3").args(["-m", "venv"]).arg(&folder))?;
    let quiet = ["--quiet", "--disable-pip-version-check", "--retries", "2", "--timeout", "60"];
    run(Command::new(&python)
        .args(["-m", "pip", "install"])
        .args(quiet)
        .args([SDK, OPENAI, WEBHOOKS, "requests"]))?;
    std::fs::write(&complete, SDK).map_err(|error| error.to_string())?;
    Ok(python)
}

fn run(command: &mut Command) -> Result<(), String> {
    let Output { status, stderr, .. } = command.output().map_err(|error| error.to_string())?;
    let said = String::from_utf8_lossy(&stderr);
    if status.success() { Ok(()) } else { Err(format!("{status}: {said}")) }
}

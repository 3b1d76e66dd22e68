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

/// What makes requests out of the contract.
const SCHEMATHESIS: &str = "schemathesis==4.32.5";

/// What speaks S3 in tests.
const S3: &str = "moto[server]==5.2.5";

/// Its interpreter, or `None` (loudly) where it cannot be made. With `CI` set that is a failure.
pub(super) fn python() -> Option<&'static Path> {
    static PYTHON: OnceLock<Option<PathBuf>> = OnceLock::new();
    PYTHON.get_or_init(|| or_say(make(&[SDK, OPENAI, WEBHOOKS], &["requests"]), SDK)).as_deref()
}

/// The same for the interpreter that has the S3 server: an environment of its own, so that neither
/// decides what the other depends on.
pub(super) fn python_with_s3() -> Option<&'static Path> {
    static PYTHON: OnceLock<Option<PathBuf>> = OnceLock::new();
    PYTHON.get_or_init(|| or_say(make(&[S3], &[]), S3)).as_deref()
}

/// The same for the interpreter that has `schemathesis`.
pub(super) fn python_with_schemathesis() -> Option<&'static Path> {
    static PYTHON: OnceLock<Option<PathBuf>> = OnceLock::new();
    PYTHON.get_or_init(|| or_say(make(&[SCHEMATHESIS], &[]), SCHEMATHESIS)).as_deref()
}

fn or_say(made: Result<PathBuf, String>, what: &str) -> Option<PathBuf> {
    match made {
        Ok(python) => Some(python),
        Err(reason) => {
            let sentence =
                format!("SKIPPED: no Python environment with {what} could be made: {reason}");
            let ci = std::env::var("CI").is_ok_and(|ci| !ci.is_empty());
            assert!(!ci, "{sentence}");
            // Not `eprintln!`, which the test harness would keep to itself.
            writeln!(std::io::stderr(), "\n{sentence}\n").ok();
            None
        }
    }
}

/// An environment with these packages, kept under their names and versions.
fn make(pinned: &[&str], more: &[&str]) -> Result<PathBuf, String> {
    let target = Path::new(env!("CARGO_TARGET_TMPDIR")).parent().unwrap_or(Path::new("target"));
    let name = pinned.join("-").replace("==", "-").replace(['[', ']'], "-");
    let folder = target.join("python-venv").join(name);
    let (python, complete) = (folder.join("bin/python"), folder.join("complete"));
    if complete.exists() {
        return Ok(python);
    }
    // One that was broken off.
    std::fs::remove_dir_all(&folder).ok();
    run(Command::new("python3").args(["-m", "venv"]).arg(&folder))?;
    let quiet = ["--quiet", "--disable-pip-version-check", "--retries", "2", "--timeout", "60"];
    run(Command::new(&python).args(["-m", "pip", "install"]).args(quiet).args(pinned).args(more))?;
    std::fs::write(&complete, pinned.join(" ")).map_err(|error| error.to_string())?;
    Ok(python)
}

fn run(command: &mut Command) -> Result<(), String> {
    let Output { status, stderr, .. } = command.output().map_err(|error| error.to_string())?;
    let said = String::from_utf8_lossy(&stderr);
    if status.success() { Ok(()) } else { Err(format!("{status}: {said}")) }
}

//! Commands that read a text and need no server, run as an operator runs them.

use std::io::Write as _;
use std::process::{Command, Output, Stdio};

/// Runs `pithead COMMAND --from - ARGS` on this text.
pub(crate) fn run(command: [&str; 2], text: &str, args: &[&str]) -> Output {
    let mut pithead = Command::new(env!("CARGO_BIN_EXE_pithead"));
    pithead.args(command).args(["--from", "-"]).args(args);
    pithead.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = pithead.spawn().unwrap();
    let mut input = child.stdin.take().unwrap();
    let text = text.to_owned();
    let writer = std::thread::spawn(move || input.write_all(text.as_bytes()));
    let output = child.wait_with_output().unwrap();
    // A command that refuses the text need not read all of it.
    writer.join().unwrap().ok();
    output
}

/// What it printed.
pub(crate) fn out(output: &Output) -> String {
    String::from_utf8(output.stdout.clone()).unwrap()
}

/// What it complained of.
pub(crate) fn err(output: &Output) -> String {
    String::from_utf8(output.stderr.clone()).unwrap()
}

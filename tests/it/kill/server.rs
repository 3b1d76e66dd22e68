//! The real program on a folder: started, killed with -9, started again.

use std::fs::File;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::{Duration, Instant};

use tokio::io::{AsyncBufReadExt, BufReader};
use tokio::process::{Child, Command};

/// How long a start may take on a busy machine; also how long PostgreSQL may take to notice that the
/// session of a dead server is gone, and with it its lock.
const START: Duration = Duration::from_secs(60);

/// The program, without the variables that configure it.
pub(super) fn program() -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_pithead"));
    for (name, _) in std::env::vars_os() {
        if name.to_string_lossy().starts_with("PITHEAD_") {
            command.env_remove(name);
        }
    }
    command.kill_on_drop(true);
    command
}

/// Where it runs, and on which database.
pub(super) struct Place {
    pub(super) folder: PathBuf,
    pub(super) database: Option<String>,
}

impl Place {
    /// What it said on its standard error, over all its lives.
    pub(super) fn log(&self) -> String {
        std::fs::read_to_string(self.folder.join("log")).unwrap_or_default()
    }

    fn command(&self) -> Command {
        let mut command = program();
        let log = File::options().create(true).append(true).open(self.folder.join("log")).unwrap();
        command.arg("serve").args(["--listen", "127.0.0.1:0", "--log", "warn"]);
        command.arg("--data").arg(&self.folder).arg("--config").arg(config(&self.folder));
        if let Some(url) = &self.database {
            command.args(["--database", url]);
        }
        command.stdout(Stdio::piped()).stderr(log);
        command
    }

    /// Starts it and kills it before it can say a word.
    pub(super) async fn start_and_kill(&self, after: Duration) {
        let mut child = self.command().spawn().unwrap();
        tokio::time::sleep(after).await;
        child.kill().await.ok();
    }

    /// Starts it, as often as a supervisor would.
    pub(super) async fn start(&self) -> Server {
        let begun = Instant::now();
        loop {
            if let Some(server) = self.started().await {
                return server;
            }
            // SQLite's lock goes with the process; only PostgreSQL's may stay for a moment.
            let patient = self.database.is_some() && begun.elapsed() < START;
            assert!(patient, "the server does not start again:\n{}", self.log());
        }
    }

    async fn started(&self) -> Option<Server> {
        let mut child = self.command().spawn().unwrap();
        let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
        let read = async {
            let (mut url, mut key) = (None, None);
            while url.is_none() || key.is_none() {
                let line = lines.next_line().await.ok().flatten()?;
                if let Some(said) = line.strip_prefix("Pithead listens on ") {
                    url = Some(said.to_owned());
                } else if let Some(said) = line.strip_prefix("admin key, shown this once: ") {
                    key = Some(said.to_owned());
                } else if line.starts_with("data folder: ") && self.folder.join("keyed").exists() {
                    break;
                }
            }
            Some((url?, key))
        };
        let said = tokio::time::timeout(START, read).await.ok().flatten();
        let Some((url, admin_key)) = said else {
            child.kill().await.ok();
            return None;
        };
        if admin_key.is_some() {
            std::fs::write(self.folder.join("keyed"), "").unwrap();
        }
        Some(Server { child, url, admin_key })
    }
}

/// A running server.
pub(super) struct Server {
    child: Child,
    pub(super) url: String,
    pub(super) admin_key: Option<String>,
}

impl Server {
    /// kill -9.
    pub(super) async fn kill(mut self) {
        // It must have lived until now: whoever dies by itself has a defect.
        let ended = self.child.try_wait().unwrap();
        assert!(ended.is_none(), "the server ended by itself: {ended:?}");
        self.child.kill().await.unwrap();
    }
}

pub(super) fn config(folder: &Path) -> PathBuf {
    folder.join("pithead.toml")
}

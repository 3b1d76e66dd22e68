//! One throw-away PostgreSQL server per test process, from the installed binaries; a fresh database
//! per test.
//!
//! A shell is the server's guard: it starts the server, waits until its standard input closes, and
//! then stops the server and removes its folder. Our end of that pipe closes with this process,
//! however it ends, so nothing is left behind even after `kill -9`.

use std::io::{BufRead, BufReader, Write};
use std::os::unix::net::UnixListener;
use std::os::unix::process::CommandExt;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU32, Ordering};

use sqlx::{ConnectOptions, Connection, Executor, postgres::PgConnectOptions};

/// `$1` is the folder of the binaries. Signals from the terminal end the tests, and so close the
/// pipe; the guard itself must survive them. The server listens on a socket in its own folder.
const GUARD: &str = r#"
trap '' INT TERM HUP
dir=$(mktemp -d "${TMPDIR:-/tmp}/pithead-postgres.XXXXXX") || exit 1
"$1/initdb" -D "$dir/data" -U pithead -A trust -E UTF8 --no-locale --no-sync >"$dir/log" 2>&1 &&
"$1/pg_ctl" -D "$dir/data" -l "$dir/log" -w -t 60 \
    -o "-k $dir -c listen_addresses='' -c max_connections=300 -c fsync=off" start >>"$dir/log" 2>&1
if [ $? -ne 0 ]; then cat "$dir/log" >&2; rm -rf "$dir"; exit 1; fi
echo "$dir"
cat >/dev/null
"$1/pg_ctl" -D "$dir/data" -m immediate stop >/dev/null 2>&1
rm -rf "$dir"
"#;

/// A running server; it stops when the guard's pipe closes.
pub(crate) struct Server {
    guard: Child,
    socket: String,
}

impl Server {
    /// The URL of a database of this server.
    pub(crate) fn url(&self, name: &str) -> String {
        format!("postgres://pithead@localhost/{name}?host={}", self.socket)
    }

    /// Stops it and leaves the socket behind, as a crash does: connections are refused. The folder
    /// of the socket goes with what is returned.
    pub(crate) fn stop(mut self) -> tempfile::TempDir {
        drop(self.guard.stdin.take());
        self.guard.wait().unwrap();
        let path = PathBuf::from(&self.socket);
        let name = path.file_name().and_then(|name| name.to_str()).unwrap();
        let mut folder = tempfile::Builder::new();
        let folder = folder.prefix(name).rand_bytes(0).tempdir_in(path.parent().unwrap()).unwrap();
        drop(UnixListener::bind(path.join(".s.PGSQL.5432")).unwrap());
        folder
    }
}

/// The newest installed server.
fn binaries() -> Option<PathBuf> {
    let versions = std::fs::read_dir("/usr/lib/postgresql").ok()?.flatten();
    let number = |path: &PathBuf| -> u32 {
        let name = path.parent().and_then(|version| version.file_name()?.to_str()?.parse().ok());
        name.unwrap_or_default()
    };
    versions
        .map(|v| v.path().join("bin"))
        .filter(|bin| bin.join("initdb").exists())
        .max_by_key(number)
}

/// Starts a server of its own, for a test that stops it; `None` as for [`database`].
pub(crate) fn start() -> Option<Server> {
    let Some(binaries) = binaries() else {
        let sentence = "SKIPPED: PostgreSQL is not installed (no /usr/lib/postgresql/*/bin/initdb); \
                        nothing was tested on it";
        let ci = std::env::var("CI").is_ok_and(|ci| !ci.is_empty());
        assert!(!ci, "{sentence}");
        // Not `eprintln!`, which the test harness would keep to itself.
        writeln!(std::io::stderr(), "\n{sentence}\n").ok();
        return None;
    };
    // The server refuses to run as root.
    let root = std::fs::metadata("/proc/self").map(|me| std::os::unix::fs::MetadataExt::uid(&me));
    let mut command = if root.is_ok_and(|uid| uid == 0) {
        let mut command = Command::new("runuser");
        command.args(["-u", "postgres", "--", "sh"]);
        command
    } else {
        Command::new("sh")
    };
    command.args(["-c", GUARD, "guard"]).arg(binaries).current_dir("/");
    // A group of its own: the terminal's ^C is not for the server.
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).process_group(0);
    let mut guard = command.spawn().expect("the guard of PostgreSQL did not start");
    let mut socket = String::new();
    let out = guard.stdout.take().map(BufReader::new);
    out.map(|mut out| out.read_line(&mut socket));
    let socket = socket.trim().to_owned();
    assert!(!socket.is_empty(), "PostgreSQL did not start; its log is above");
    Some(Server { guard, socket })
}

/// The URL of a fresh database, or `None` (loudly) where PostgreSQL is not installed. With `CI` set
/// that is a failure.
pub(crate) async fn database() -> Option<String> {
    static SERVER: OnceLock<Option<Server>> = OnceLock::new();
    static COUNT: AtomicU32 = AtomicU32::new(0);
    let server = SERVER.get_or_init(start).as_ref()?;
    let name = format!("test_{}", COUNT.fetch_add(1, Ordering::Relaxed));
    let options: PgConnectOptions = server.url("postgres").parse().unwrap();
    let mut session = options.connect().await.unwrap();
    session.execute(sqlx::AssertSqlSafe(format!("CREATE DATABASE {name}"))).await.unwrap();
    session.close().await.unwrap();
    Some(server.url(&name))
}

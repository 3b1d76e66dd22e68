//! The server as a child process, with everybody's credentials.

use std::error::Error;
use std::num::NonZeroU32;
use std::path::Path;
use std::process::Stdio;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use pithead::app::Server;
use pithead::config::{Config, KindWeight, Role, RoleEntry};
use pithead::domain::ids::Hotkey;
use pithead::domain::kind::TaskKind;
use pithead::identity::Keypair;
use pithead::identity::btauth::{Nonces, sign_request};
use pithead::outside::Clock;
use serde_json::Value;
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader, Lines};
use tokio::process::{ChildStdout, Command};

use super::Args;
use super::wire::Wire;

/// Kinds that are scored where weights are made beside the work.
pub(crate) const KINDS: [&str; 6] =
    ["transcription", "tts", "summarization", "weather", "geomagnetic", "soil_moisture"];

/// What the server says where it is under siege.
const LOG: &str = "log";

/// Validators that report.
pub(crate) const VALIDATORS: u16 = 64;

pub(crate) fn miner_key(uid: u16) -> Keypair {
    Keypair::from_label(&format!("load/miner/{uid}"))
}

pub(crate) fn validator_key(number: u16) -> Keypair {
    Keypair::from_label(&format!("load/validator/{number}"))
}

/// Runs the server until standard input ends. Each line there puts its clock so many milliseconds
/// ahead, and is answered with an empty one.
pub(crate) fn be(args: &Args, folder: &Path) -> Result<(), Box<dyn Error>> {
    let mut config = Config::default();
    config.server.listen = "127.0.0.1:0".to_owned();
    config.data_dir = folder.to_owned();
    config.database.clone_from(&args.database);
    config.auth.hotkey_api_keys = true;
    config.limits.reports_per_minute = u32::MAX;
    if !args.siege {
        // Everybody is at one address here.
        config.limits.connections_per_ip = usize::MAX;
        config.limits.requests_per_minute = NonZeroU32::MAX;
    }
    if !args.hostile && !args.siege {
        // One client stands for very many.
        config.limits.tasks_per_minute = NonZeroU32::MAX;
    }
    if args.beside {
        config.weights.kinds = KINDS
            .map(|name| KindWeight {
                name: name.to_owned(),
                weight_millionths: 1_000_000,
                sigmoid: false,
            })
            .to_vec();
    }
    config.evaluation.quorum = args.quorum;
    if let Some(secs) = args.run_secs {
        let kinds = config.kinds();
        config.kinds =
            kinds.iter().map(|kind| TaskKind { run_secs: secs, ..kind.clone() }).collect();
    }
    config.auth.hotkeys = (0..VALIDATORS)
        .map(|number| RoleEntry {
            hotkey: validator_key(number).hotkey().to_string(),
            role: Role::Validator,
            uid: 10_000 + number,
            stake: 1_000.0,
        })
        .collect();
    config.log.filter = "warn".to_owned();
    pithead::telemetry::logs(&config.log);
    pithead::telemetry::metrics();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(async {
        let clock = Clock::default();
        let server = Server::start_at(config, clock.clone()).await?;
        println!("{} {}", server.address(), server.admin_key().unwrap_or_default());
        let end = tokio::task::spawn_blocking(move || {
            for line in std::io::stdin().lines().map_while(Result::ok) {
                clock.advance(line.parse().unwrap_or_default());
                println!();
            }
        });
        server.run_until(async { drop(end.await) }).await?;
        Ok(())
    })
}

type Spawned = (tokio::process::Child, Lines<BufReader<ChildStdout>>, String, String);

/// The process, what it says, its address, and the first key of an administrator.
async fn spawn(args: &Args, folder: &Path) -> Result<Spawned, Box<dyn Error>> {
    let mut command = Command::new(std::env::current_exe()?);
    command.arg("--serve").arg(folder).stdin(Stdio::piped()).stdout(Stdio::piped());
    if let Some(url) = &args.database {
        command.arg("--database").arg(url);
    }
    command.arg("--quorum").arg(args.quorum.to_string());
    if args.hostile {
        command.arg("--hostile");
    }
    if args.beside {
        command.arg("--beside");
    }
    if args.siege {
        // What it complains of is counted.
        let log = std::fs::File::options().create(true).append(true).open(folder.join(LOG))?;
        command.arg("--siege").stderr(log);
    }
    if let Some(secs) = args.run_secs {
        command.arg("--run-secs").arg(secs.to_string());
    }
    let mut process = command.kill_on_drop(true).spawn()?;
    let out = process.stdout.take().ok_or("no output")?;
    let mut says = BufReader::new(out).lines();
    let line = says.next_line().await?.ok_or("the server did not start")?;
    let (address, admin_key) = line.split_once(' ').ok_or("the server said something else")?;
    let (address, admin_key) = (address.to_owned(), admin_key.to_owned());
    Ok((process, says, address, admin_key))
}

/// A running server.
pub(crate) struct Child {
    process: tokio::process::Child,
    // Kept open: the child would fail on a closed pipe.
    says: Lines<BufReader<ChildStdout>>,
    folder: tempfile::TempDir,
    pub(crate) address: String,
    admin_key: String,
    hotkey: Hotkey,
    nonces: Nonces,
    /// How far its clock is ahead.
    ahead: Duration,
}

impl Child {
    pub(crate) async fn start(args: &Args) -> Result<Self, Box<dyn Error>> {
        let folder = tempfile::tempdir()?;
        let (process, says, address, admin_key) = spawn(args, folder.path()).await?;
        if admin_key.is_empty() {
            return Err("the database was used before: give an empty one".into());
        }
        let mut wire = Wire::connect(&address, "").await?;
        let identity: Value = serde_json::from_slice(wire.get("/api/v1/identity").await?.body)?;
        let hotkey = Hotkey::parse(identity["hotkey"].as_str().unwrap_or_default())?;
        let nonces = Nonces::default();
        let ahead = Duration::ZERO;
        Ok(Self { process, says, folder, address, admin_key, hotkey, nonces, ahead })
    }

    /// Stops the server and waits until it has gone; its data stay.
    pub(crate) async fn stop(&mut self) -> Result<(), Box<dyn Error>> {
        drop(self.process.stdin.take());
        match self.process.wait().await? {
            status if status.success() => Ok(()),
            status => Err(format!("the server ended with {status}").into()),
        }
    }

    /// Starts a stopped server again with the same data.
    pub(crate) async fn start_again(&mut self, args: &Args) -> Result<(), Box<dyn Error>> {
        (self.process, self.says, self.address, _) = spawn(args, self.folder.path()).await?;
        self.ahead = Duration::ZERO;
        Ok(())
    }

    /// Puts the server's clock ahead.
    pub(crate) async fn advance(&mut self, by: Duration) -> Result<(), Box<dyn Error>> {
        let input = self.process.stdin.as_mut().ok_or("the server is stopped")?;
        input.write_all(format!("{}\n", by.as_millis()).as_bytes()).await?;
        self.says.next_line().await?.ok_or("the server is gone")?;
        self.ahead += by;
        Ok(())
    }

    /// How far its clock is ahead.
    pub(crate) const fn ahead(&self) -> Duration {
        self.ahead
    }

    /// Where its rows are.
    pub(crate) fn database(&self, args: &Args) -> String {
        let file = || format!("sqlite:{}?mode=rw", self.folder.path().join("pithead.db").display());
        args.database.clone().unwrap_or_else(file)
    }

    /// Kills the server with -9 and starts it again with the same data.
    pub(crate) async fn kill_and_start(&mut self, args: &Args) -> Result<(), Box<dyn Error>> {
        self.process.kill().await?;
        self.start_again(args).await
    }

    /// Header lines of the administrator.
    pub(crate) fn admin(&self) -> String {
        format!("x-api-key: {}\r\n", self.admin_key)
    }

    /// Makes an API key of this scope; header lines that present it.
    pub(crate) async fn key(&self, scope: &str) -> Result<String, Box<dyn Error>> {
        let mut wire = Wire::connect(&self.address, &self.admin()).await?;
        let body = format!("{{\"scopes\":\"{scope}\"}}");
        let answer =
            wire.post("/api/v1/admin/keys", "application/json", "", body.as_bytes()).await?;
        let answer: Value = serde_json::from_slice(answer.body)?;
        let key = answer["key"].as_str().ok_or("no key was made")?;
        Ok(format!("x-api-key: {key}\r\n"))
    }

    /// Header lines that sign a request.
    pub(crate) fn sign(&self, who: &Keypair, method: &str, target: &str, body: &[u8]) -> String {
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default() + self.ahead;
        let nonce = self.nonces.next(u64::try_from(now.as_nanos()).unwrap_or_default());
        let headers = sign_request(who, method, target, body, &self.hotkey, nonce);
        headers.into_iter().map(|(name, value)| format!("{name}: {value}\r\n")).collect()
    }

    /// Its hotkey: the receiver of signed requests.
    pub(crate) fn hotkey(&self) -> Hotkey {
        self.hotkey.clone()
    }

    /// Resident memory.
    pub(crate) fn rss_mb(&self) -> Result<f64, Box<dyn Error>> {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.pid()?))?;
        let line = status.lines().find(|line| line.starts_with("VmRSS:")).ok_or("no VmRSS")?;
        let kb: f64 = line.split_whitespace().nth(1).ok_or("no VmRSS")?.parse()?;
        Ok(kb / 1024.0)
    }

    /// Panics that its log tells of.
    pub(crate) fn panics(&self) -> Result<usize, Box<dyn Error>> {
        let log = std::fs::read_to_string(self.folder.path().join(LOG))?;
        Ok(log.matches("panicked at").count())
    }

    /// Time of processors that it has used, in nanoseconds, over all of its threads.
    pub(crate) fn cpu_nanos(&self) -> Result<u64, Box<dyn Error>> {
        let mut sum = 0;
        for thread in std::fs::read_dir(format!("/proc/{}/task", self.pid()?))? {
            let stat = std::fs::read_to_string(thread?.path().join("schedstat"))?;
            sum += stat.split(' ').next().unwrap_or_default().parse::<u64>()?;
        }
        Ok(sum)
    }

    fn pid(&self) -> Result<u32, Box<dyn Error>> {
        Ok(self.process.id().ok_or("the server is gone")?)
    }

    /// Changes of the database's files while nothing happens, scaled to a minute.
    pub(crate) async fn idle_writes_per_minute(&self, secs: u64) -> Result<f64, Box<dyn Error>> {
        if secs == 0 {
            return Ok(f64::NAN);
        }
        // What the last requests left to do: agreed values are written when their round, a minute of
        // the clock, is over.
        let now = SystemTime::now().duration_since(UNIX_EPOCH)?;
        tokio::time::sleep(Duration::from_secs(63 - now.as_secs() % 60)).await;
        let before = self.bytes_written()?;
        tokio::time::sleep(Duration::from_secs(secs)).await;
        let written = self.bytes_written()? - before;
        // A page is the least that a write to the database writes.
        Ok(written as f64 / 4096.0 * 60.0 / secs as f64)
    }

    fn bytes_written(&self) -> Result<u64, Box<dyn Error>> {
        let mut sum = 0;
        for name in ["pithead.db", "pithead.db-wal"] {
            if let Ok(meta) = std::fs::metadata(self.folder.path().join(name)) {
                sum += meta.len();
            }
        }
        let io = std::fs::read_to_string(format!("/proc/{}/io", self.pid()?)).unwrap_or_default();
        let line = io.lines().find_map(|line| line.strip_prefix("write_bytes: "));
        Ok(line.and_then(|n| n.parse().ok()).unwrap_or(sum))
    }
}

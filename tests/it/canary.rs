//! No secret comes out: a canary in each, the program driven with all logs on, everything that it said
//! and wrote searched for all of them in every form that a careless line would give them.

use std::collections::BTreeMap;
use std::path::Path;
use std::process::Stdio;
use std::sync::{Arc, Mutex};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use base64::Engine;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use pithead::domain::ids::Hotkey;
use pithead::identity::Keypair;
use pithead::identity::btauth::{Nonces, sign_request};
use serde_json::{Value, json};
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::TcpListener;
use tokio::process::Command;

use crate::support::postgres;

/// What of a bucket and a database the environment holds.
const OUTSIDE: [(&str, &str); 3] = [
    ("bucket secret", "canaryBucketSecretKqX7VnR2wT9sLmZ4"),
    ("database password", "canaryDatabasePwHx83QzLw61NvTe5"),
    ("variable's password", "canaryVariablePwUd72RkMc04YbSg9"),
];

/// Where a careless line may have put something.
#[derive(Default)]
struct Haystack(BTreeMap<String, Vec<u8>>);

impl Haystack {
    fn add(&mut self, place: impl Into<String>, bytes: impl AsRef<[u8]>) {
        self.0.entry(place.into()).or_default().extend(bytes.as_ref());
    }

    /// All files of a folder, but for those that hold secrets since they must.
    fn add_folder(&mut self, folder: &Path, but: &[&str]) {
        for entry in std::fs::read_dir(folder).unwrap().flatten() {
            let (path, name) = (entry.path(), entry.file_name().into_string().unwrap());
            if path.is_dir() {
                self.add_folder(&path, but);
            } else if !but.iter().any(|but| name.starts_with(but)) {
                self.add(path.display().to_string(), std::fs::read(&path).unwrap());
            }
        }
    }
}

/// Secrets by what they are.
#[derive(Default)]
struct Canaries(Vec<(String, Vec<String>)>);

impl Canaries {
    /// The forms in which a secret is looked for: as it is, each half of it, and encoded.
    fn add(&mut self, what: &str, text: &str, bytes: &[u8]) {
        let mut forms = Vec::new();
        for of in [text.as_bytes(), bytes] {
            forms.extend([hex::encode(of), hex::encode_upper(of), STANDARD.encode(of)]);
            forms.extend([URL_SAFE_NO_PAD.encode(of), bs58::encode(of).into_string()]);
            let list: Vec<_> = of.iter().take(10).map(ToString::to_string).collect();
            forms.extend([list.join(", "), list.join(",")]);
        }
        forms.push(text.to_owned());
        let halves: Vec<_> = forms
            .iter()
            .filter(|form| form.is_ascii() && form.len() >= 30)
            .flat_map(|form| [&form[..form.len() / 2], &form[form.len() / 2..]])
            .map(|half| half.trim_end_matches('=').to_owned())
            .collect();
        forms.extend(halves);
        assert!(forms.iter().all(|form| form.len() >= 12), "too short to be looked for: {forms:?}");
        self.0.push((what.to_owned(), forms));
    }

    fn key(&mut self, what: &str, key: &str) {
        let secret = key.rsplit('_').next().unwrap();
        self.add(what, secret, &bs58::decode(secret).into_vec().unwrap());
    }

    fn webhook(&mut self, what: &str, secret: &str) {
        let text = secret.strip_prefix("whsec_").unwrap();
        self.add(what, text, &STANDARD.decode(text).unwrap());
    }

    fn found(&self, within: &Haystack) -> Vec<String> {
        let mut found = Vec::new();
        for (place, bytes) in &within.0 {
            let text = String::from_utf8_lossy(bytes);
            for (what, forms) in &self.0 {
                if let Some(form) = forms.iter().find(|form| text.contains(form.as_str())) {
                    let at = text.find(form.as_str()).unwrap_or_default();
                    let line = text[..at].rsplit('\n').next().unwrap_or_default();
                    let line: String = line.chars().rev().take(200).collect();
                    let line: String = line.chars().rev().collect();
                    found.push(format!("{what} in {place}: {line}[{form}]"));
                }
            }
        }
        found
    }
}

#[test]
fn what_is_hidden_in_any_form_would_be_found() {
    let mut canaries = Canaries::default();
    let key = pithead::identity::ApiKey::generate();
    let secret = key.reveal().rsplit('_').next().unwrap().to_owned();
    let bytes = bs58::decode(&secret).into_vec().unwrap();
    canaries.key("key", &key.reveal());
    for form in [
        secret.clone(),
        key.reveal(),
        secret[..secret.len() / 2].to_owned(),
        hex::encode(&bytes),
        STANDARD.encode(secret.as_bytes()),
        format!("{bytes:?}"),
        serde_json::to_string(&bytes).unwrap(),
    ] {
        let mut haystack = Haystack::default();
        haystack.add("log", format!("a line with {form} in it"));
        assert_eq!(canaries.found(&haystack).len(), 1, "{form}");
    }
    let mut haystack = Haystack::default();
    haystack.add("log", format!("{key:?} {} {}", key.id(), hex::encode(key.hash())));
    assert!(canaries.found(&haystack).is_empty());
}

/// Takes everything that is told, and refuses everything that is asked of a bucket.
async fn outside() -> (String, Arc<Mutex<usize>>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let told = Arc::new(Mutex::new(0));
    let count = told.clone();
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            let count = count.clone();
            tokio::spawn(async move {
                let mut head = vec![0; 16 * 1024];
                let length = stream.read(&mut head).await.unwrap_or_default();
                let hook = head[..length].starts_with(b"POST /hook");
                *count.lock().unwrap() += usize::from(hook);
                let status = if hook { "200 OK" } else { "403 Forbidden" };
                let answer =
                    format!("HTTP/1.1 {status}\r\ncontent-length: 0\r\nconnection: close\r\n\r\n");
                stream.write_all(answer.as_bytes()).await.ok();
            });
        }
    });
    (url, told)
}

/// The program with its variables set to canaries.
fn pithead(folder: &Path, database: Option<&str>, args: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_pithead"));
    command.args(args).arg("--data").arg(folder).args(["--log", "trace"]);
    command.arg("--config").arg(folder.join("pithead.toml"));
    if let Some(url) = database {
        command.args(["--database", url]);
    }
    command.env("AWS_ACCESS_KEY_ID", "AKIACANARY").env("AWS_SECRET_ACCESS_KEY", OUTSIDE[0].1);
    command.env("RUST_BACKTRACE", "full").kill_on_drop(true);
    command
}

struct Stage {
    http: reqwest::Client,
    url: String,
    receiver: Hotkey,
    nonces: Nonces,
    haystack: Haystack,
    canaries: Canaries,
}

impl Stage {
    /// Sends it; what comes back is kept unless it is what shows a secret once.
    async fn send(
        &mut self,
        method: &str,
        target: &str,
        headers: &[(&str, String)],
        body: Option<&Value>,
        shows: bool,
    ) -> (u16, Value) {
        let url = format!("{}{target}", self.url);
        let mut request = self.http.request(method.parse().unwrap(), url);
        for (name, value) in headers {
            request = request.header(*name, value);
        }
        if let Some(body) = body {
            request = request.header("content-type", "application/json").body(body.to_string());
        }
        let answer = request.send().await.unwrap();
        let status = answer.status().as_u16();
        let headers = format!("{:?}", answer.headers());
        let body = answer.bytes().await.unwrap();
        let value = serde_json::from_slice(&body).unwrap_or_default();
        if !shows {
            self.haystack.add(format!("answer to {method} {target}"), headers);
            self.haystack.add(format!("answer to {method} {target}"), body);
        }
        (status, value)
    }

    async fn by_key(
        &mut self,
        key: &str,
        method: &str,
        target: &str,
        body: Option<&Value>,
    ) -> (u16, Value) {
        let shows = ["/admin/keys", "/rotate", "/webhooks", "/callback-secret"];
        let shows = method == "POST" && shows[..3].iter().any(|end| target.ends_with(end))
            || target.ends_with(shows[3]);
        let bearer = [("authorization", format!("Bearer {key}"))];
        self.send(method, target, &bearer, body, shows).await
    }

    /// Signed requests: a good one, again, and with a broken signature; plain and as an upload.
    async fn sign(&mut self, keys: &Keypair) {
        for (n, content_type) in
            ["application/json", "multipart/form-data; boundary=x"].iter().enumerate()
        {
            let (target, body) = ("/api/v1/tts", b"{\"text\":5}".as_slice());
            let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_nanos();
            let nonce = self.nonces.next(u64::try_from(now).unwrap());
            let proof = sign_request(keys, "POST", target, body, &self.receiver, nonce);
            let mut proof: Vec<(&str, String)> = proof.into_iter().collect();
            proof.push(("content-type", (*content_type).to_owned()));
            let signature =
                proof.iter().position(|(name, _)| name.to_lowercase().contains("signature"));
            let signature = signature.unwrap();
            for broken in [false, false, true] {
                if broken {
                    let text = &mut proof[signature].1;
                    let last = if text.pop() == Some('0') { '1' } else { '0' };
                    text.push(last);
                }
                let mut request = self.http.post(format!("{}{target}", self.url)).body(body);
                for (name, value) in &proof {
                    request = request.header(*name, value);
                }
                let answer = request.send().await.unwrap();
                let text = answer.text().await.unwrap();
                self.haystack.add(format!("answer to a signed request, {n}"), text);
            }
            let text = proof[signature].1.trim_start_matches("0x").to_owned();
            self.canaries.add("signature", &text, &hex::decode(&text).unwrap());
        }
    }

    /// Each of these keys on routes that take it, that do not, and that are none; also in ways that are
    /// none, and beside another one.
    async fn use_all(&mut self, keys: &[String], new: &str) {
        for key in keys {
            for (method, target) in [
                ("GET", "/api/v1/tasks"),
                ("GET", "/api/v1/webhooks"),
                ("GET", "/api/v1/admin/keys"),
                ("GET", "/v1/models"),
                ("GET", "/api/v1/nowhere/at/all"),
                ("POST", "/api/v1/tts"),
                ("GET", "/metrics"),
            ] {
                let body = (method == "POST").then(|| json!({ "text": 7 }));
                self.by_key(key, method, target, body.as_ref()).await;
            }
            for header in [("x-api-key", key.to_owned()), ("authorization", format!("Basic {key}"))]
            {
                self.send("GET", "/api/v1/tasks", &[header], None, false).await;
            }
            let both = [("x-api-key", key.to_owned()), ("authorization", format!("Bearer {new}"))];
            self.send("GET", "/api/v1/tasks", &both, None, false).await;
        }
    }

    /// Makes what has secrets, and uses all of it rightly and wrongly.
    async fn drive(&mut self, admin: &str, hook: &str, told: &Mutex<usize>) {
        let text = |value: &Value, field: &str| value[field].as_str().unwrap().to_owned();
        let body = json!({ "name": "canary" });
        let (_, made) = self.by_key(admin, "POST", "/api/v1/admin/keys", Some(&body)).await;
        let (client, id) = (text(&made, "key"), text(&made, "id"));
        self.canaries.key("client key", &client);
        let place = format!("/api/v1/admin/keys/{id}");
        let (_, rotated) =
            self.by_key(admin, "POST", &format!("{place}/rotate"), Some(&json!({}))).await;
        let new = text(&rotated, "key");
        self.canaries.key("rotated key", &new);
        let (_, made) = self
            .by_key(admin, "POST", "/api/v1/admin/keys", Some(&json!({ "scopes": "miner:hk" })))
            .await;
        let bound = text(&made, "key");
        self.canaries.key("bound key", &bound);
        let wrong = pithead::identity::ApiKey::again(&id).unwrap().reveal();
        self.canaries.key("wrong secret", &wrong);
        let body = json!({ "url": hook });
        let (status, made) = self.by_key(&client, "POST", "/api/v1/webhooks", Some(&body)).await;
        assert_eq!(status, 201, "{made}");
        self.canaries.webhook("webhook secret", &text(&made, "secret"));
        let target = format!("/api/v1/webhooks/{}/rotate", text(&made, "id"));
        let (_, made) = self.by_key(&client, "POST", &target, None).await;
        self.canaries.webhook("rotated webhook secret", &text(&made, "secret"));
        let (_, made) = self.by_key(&client, "GET", "/api/v1/webhooks/callback-secret", None).await;
        self.canaries.webhook("callback secret", &text(&made, "secret"));
        let task = json!({ "text": "words that somebody reads aloud", "callback_url": hook });
        let (_, made) = self.by_key(&new, "POST", "/api/v1/tts", Some(&task)).await;
        let made = text(&made, "task_id");
        self.by_key(&client, "DELETE", &format!("/api/v1/tasks/{made}"), None).await;
        let cut = client[..client.len() - 1].to_owned();
        let keys = [client.clone(), new.clone(), bound, wrong, cut, format!("{client}x")];
        self.use_all(&keys, &new).await;
        let change = json!({ "requests_per_minute": 99 });
        self.by_key(admin, "PATCH", &place, Some(&change)).await;
        for target in ["config", "keys", "audit", &format!("keys/{id}")] {
            let (status, _) =
                self.by_key(admin, "GET", &format!("/api/v1/admin/{target}"), None).await;
            assert_eq!(status, 200, "{target}");
        }
        self.by_key(admin, "DELETE", &place, None).await;
        let began = std::time::Instant::now();
        while *told.lock().unwrap() < 2 {
            assert!(began.elapsed() < Duration::from_secs(60), "the receiver is not told");
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        for target in ["/metrics", "/api/v1/health", "/openapi.json"] {
            self.send("GET", target, &[], None, false).await;
        }
    }

    /// Commands beside and after the server, as operators give them.
    async fn commands(&mut self, folder: &Path, database: Option<&str>, outside: &str) {
        let unreachable = format!("postgres://u:{}@127.0.0.1:1/nowhere", OUTSIDE[2].1);
        let all: [(&[&str], Option<&str>); 6] = [
            (&["config"], database),
            (&["inspect", "audit"], database),
            (&["doctor"], database),
            (&["keys", "list"], database),
            (&["keys", "list"], Some(&unreachable)),
            (&["config"], Some(&unreachable)),
        ];
        for (args, database) in all {
            let output = pithead(folder, database, args).output().await.unwrap();
            self.haystack.add(format!("pithead {args:?}"), output.stdout);
            self.haystack.add(format!("pithead {args:?}"), output.stderr);
        }
        let mut doctor = pithead(folder, database, &["doctor", "--deep"]);
        doctor.env("PITHEAD_BLOBS__STORE", "s3").env("PITHEAD_BLOBS__BUCKET", "pit");
        doctor.env("PITHEAD_BLOBS__ENDPOINT", outside).env("PITHEAD_BLOBS__ALLOW_HTTP", "true");
        let output = doctor.output().await.unwrap();
        self.haystack.add("pithead doctor on a bucket", output.stdout);
        self.haystack.add("pithead doctor on a bucket", output.stderr);
    }
}

async fn nothing_comes_out(database: Option<&str>, json_logs: bool) {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    let keys = Keypair::from_label("canary-validator");
    let (hook, told) = outside().await;
    let config = format!(
        "[auth]\nhotkey_api_keys = true\n[[auth.hotkeys]]\nhotkey = \"{}\"\nrole = \"validator\"\n\
         uid = 1\n[webhooks]\nprivate_addresses = true\n[log]\njson = {json_logs}\n",
        keys.hotkey()
    );
    std::fs::write(folder.join("pithead.toml"), config).unwrap();
    let mut serve = pithead(folder, database, &["serve", "--listen", "127.0.0.1:0"]);
    let log = std::fs::File::create(folder.join("log")).unwrap();
    let mut server = serve.stdout(Stdio::piped()).stderr(log).spawn().unwrap();
    let mut lines = BufReader::new(server.stdout.take().unwrap()).lines();
    let (mut url, mut admin, mut said) = (None, None, String::new());
    while url.is_none() || admin.is_none() {
        let line = lines.next_line().await.unwrap().expect("the server says where it is");
        match line.strip_prefix("admin key, shown this once: ") {
            Some(key) => admin = Some(key.to_owned()),
            None => said.push_str(&line),
        }
        url = url.or(line.strip_prefix("Pithead listens on ").map(ToOwned::to_owned));
    }
    let (url, admin) = (url.unwrap(), admin.unwrap());
    let http = reqwest::Client::new();
    let identity: Value =
        http.get(format!("{url}/api/v1/identity")).send().await.unwrap().json().await.unwrap();
    let receiver = Hotkey::parse(identity["hotkey"].as_str().unwrap()).unwrap();
    let (haystack, canaries) = Default::default();
    let mut stage = Stage { http, url, receiver, nonces: Nonces::default(), haystack, canaries };
    for (what, secret) in OUTSIDE {
        stage.canaries.add(what, secret, secret.as_bytes());
    }
    stage.canaries.key("first admin key", &admin);
    let own: Value =
        serde_json::from_slice(&std::fs::read(folder.join("server.key")).unwrap()).unwrap();
    let seed = own["secretSeed"].as_str().unwrap().trim_start_matches("0x").to_owned();
    stage.canaries.add("seed of the server's key", &seed, &hex::decode(&seed).unwrap());
    stage.drive(&admin, &format!("{hook}/hook"), &told).await;
    stage.sign(&keys).await;
    stage.commands(folder, database, &hook).await;
    let process = i32::try_from(server.id().unwrap()).unwrap();
    let abort = Command::new("kill").args(["-ABRT", &process.to_string()]).status().await.unwrap();
    assert!(abort.success());
    assert!(!server.wait().await.unwrap().success());
    while let Some(line) = lines.next_line().await.unwrap() {
        said.push_str(&line);
    }
    stage.haystack.add("standard output", said);
    stage.commands(folder, database, &hook).await;
    // Webhooks' secrets must be in the database to sign; the hashes of keys are all that is of keys.
    stage.haystack.add_folder(folder, &["server.key", "pithead.db"]);
    let log = stage.haystack.0.iter().find(|(place, _)| place.ends_with("/log")).unwrap();
    assert!(log.1.len() > 10_000, "all logs were on: {} bytes", log.1.len());
    assert_eq!(stage.canaries.found(&stage.haystack), Vec::<String>::new());
    let mut rows = Haystack::default();
    rows.add_folder(folder, &["server.key", "log", "pithead.toml"]);
    stage.canaries.0.retain(|(what, _)| !what.contains("webhook") && !what.contains("callback"));
    assert_eq!(stage.canaries.found(&rows), Vec::<String>::new());
}

#[tokio::test]
async fn no_secret_comes_out_of_the_program_on_sqlite() {
    nothing_comes_out(None, false).await;
}

#[tokio::test]
async fn no_secret_comes_out_of_the_program_on_postgres() {
    let Some(url) = postgres::database().await else { return };
    // The server trusts whoever comes by its socket, so that any password will do.
    let url = url.replacen("pithead@", &format!("pithead:{}@", OUTSIDE[1].1), 1);
    assert!(url.contains(OUTSIDE[1].1));
    nothing_comes_out(Some(&url), true).await;
}

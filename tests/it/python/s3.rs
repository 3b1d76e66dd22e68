//! Files in a bucket, and large ones anywhere: through the API, in a process of its own, since the
//! keys to a bucket come from the environment and its memory is looked at. The bucket is that of a
//! server of others, `moto`.

use std::path::Path;
use std::process::Stdio;
use std::time::Duration;

use bytes::Bytes;
use futures_util::{StreamExt, stream};
use object_store::ObjectStoreExt;
use object_store::aws::AmazonS3Builder;
use pithead::app::{Server, blob_place};
use pithead::config::{BlobStore, Config};
use pithead::outside::{Blobs, Clock};
use reqwest::{Client, Method, RequestBuilder, Response};
use serde_json::{Value, json};
use sha2::{Digest, Sha256};
use tokio::io::{AsyncBufReadExt, BufReader};
use tokio::process::Command;

use super::venv;

const SECRET: &str = "a-secret-that-nobody-may-read";
const MEBIBYTE: usize = 1024 * 1024;
const MINUTE: i64 = 60_000;

/// Serves S3 until its input ends.
const MOTO: &str = "import sys; from moto.server import ThreadedMotoServer as S; \
    s = S(ip_address='127.0.0.1', port=0, verbose=False); s.start(); \
    print(s.get_host_and_port()[1], flush=True); sys.stdin.read()";

/// Runs one of the tests below in a process of its own.
async fn alone(test: &str, endpoint: &str) {
    let run = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", &format!("python::s3::{test}"), "--ignored", "--nocapture"])
        .env("S3_ENDPOINT", endpoint)
        .env("AWS_ACCESS_KEY_ID", "test")
        .env("AWS_SECRET_ACCESS_KEY", SECRET)
        .kill_on_drop(true)
        .output()
        .await
        .unwrap();
    let said = String::from_utf8_lossy(&run.stdout).into_owned();
    let error = String::from_utf8_lossy(&run.stderr);
    assert!(run.status.success() && said.contains("1 passed"), "{said}\n{error}");
}

#[tokio::test]
async fn files_live_in_a_bucket() {
    let Some(python) = venv::python_with_s3() else { return };
    let mut moto = Command::new(python);
    moto.args(["-c", MOTO]).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::null());
    let mut moto = moto.kill_on_drop(true).spawn().unwrap();
    let mut lines = BufReader::new(moto.stdout.take().unwrap()).lines();
    let port = lines.next_line().await.unwrap().expect("the S3 server did not start");
    alone("in_a_bucket", &format!("http://127.0.0.1:{port}")).await;
    drop(moto.stdin.take());
    moto.wait().await.unwrap();
}

#[tokio::test]
async fn a_large_file_passes_through_a_folder_in_little_memory() {
    alone("in_a_folder", "").await;
}

/// A server, a client of it, and the folder of both.
struct Stage {
    server: Server,
    clock: Clock,
    config: Config,
    key: String,
    http: Client,
}

impl Stage {
    async fn set(config: Config) -> Self {
        let clock = Clock::default();
        let server = Server::start_at(config.clone(), clock.clone()).await.unwrap();
        let key = server.admin_key().unwrap().to_owned();
        Self { server, clock, config, key, http: Client::new() }
    }

    fn call(&self, method: Method, path: &str) -> RequestBuilder {
        self.http.request(method, self.server.url() + path).header("x-api-key", &self.key)
    }

    async fn get(&self, path: &str, range: Option<&str>) -> Response {
        let call = self.call(Method::GET, path);
        let call = range.into_iter().fold(call, |call, range| call.header("range", range));
        call.send().await.unwrap()
    }

    /// Uploads these chunks as one WAV file.
    async fn upload(&self, chunks: Vec<Bytes>) -> Value {
        let size = chunks.iter().map(Bytes::len).sum::<usize>() as u64;
        let chunks = stream::iter(chunks.into_iter().map(Ok::<_, std::io::Error>));
        let body = reqwest::Body::wrap_stream(chunks);
        let part = reqwest::multipart::Part::stream_with_length(body, size);
        let part = part.file_name("a.wav").mime_str("audio/wav").unwrap();
        let form = reqwest::multipart::Form::new().part("file", part);
        let made = self.call(Method::POST, "/api/v1/files").multipart(form).send().await.unwrap();
        assert_eq!(made.status(), 201);
        made.json().await.unwrap()
    }

    /// A hundred mebibytes up and down again, in little memory.
    async fn pass_a_large_file(&self) -> Value {
        let head = Bytes::from_static(b"RIFF\x24\0\0\0WAVEfmt ");
        let zeros = Bytes::from(vec![0; MEBIBYTE]);
        let mut chunks = vec![head];
        chunks.resize(100, zeros.clone());
        chunks.push(zeros.slice(16..));
        let mut hasher = Sha256::new();
        chunks.iter().for_each(|chunk| hasher.update(chunk));
        let expected = hex::encode(hasher.finalize());
        let before = peak_bytes();
        let made = self.upload(chunks).await;
        assert_eq!((&made["size"], &made["sha256"]), (&json!(100 * MEBIBYTE), &json!(expected)));
        let mut hasher = Sha256::new();
        let mut body = self.get(url(&made), None).await.bytes_stream();
        while let Some(chunk) = body.next().await {
            hasher.update(chunk.unwrap());
        }
        assert_eq!(hex::encode(hasher.finalize()), expected);
        let more = peak_bytes() - before;
        println!("100 MiB up and down took {} MiB more at the peak", more / MEBIBYTE);
        assert!(more < 60 * MEBIBYTE, "{more} bytes more at the peak");
        made
    }
}

fn url(row: &Value) -> &str {
    row["url"].as_str().unwrap()
}

/// The most memory that this process had so far.
fn peak_bytes() -> usize {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).unwrap();
    line.trim().trim_end_matches(" kB").parse::<usize>().unwrap() * 1024
}

fn config(folder: &Path) -> Config {
    let mut config = Config::default();
    config.server.listen = "127.0.0.1:0".to_owned();
    config.server.workers = 1;
    config.data_dir = folder.to_owned();
    config.sweep_millis = 20;
    config
}

#[ignore = "run by its neighbour, in a process of its own"]
#[tokio::test]
async fn in_a_folder() {
    let folder = tempfile::tempdir().unwrap();
    let stage = Stage::set(config(folder.path())).await;
    stage.pass_a_large_file().await;
    stage.server.finish().await.unwrap();
}

/// The names in the bucket.
async fn names(http: &Client, endpoint: &str) -> Vec<String> {
    let list = http.get(format!("{endpoint}/pit?list-type=2")).send().await.unwrap();
    let list = list.text().await.unwrap();
    let keys = list.split("<Key>").skip(1);
    keys.filter_map(|rest| rest.split_once("</Key>")).map(|(key, _)| key.to_owned()).collect()
}

/// `pithead doctor --deep` on the folder and the bucket.
async fn doctor(folder: &Path, endpoint: &str) -> (bool, String) {
    let run = Command::new(env!("CARGO_BIN_EXE_pithead"))
        .args(["doctor", "--deep", "--data"])
        .arg(folder)
        .env("PITHEAD_BLOBS__STORE", "s3")
        .env("PITHEAD_BLOBS__BUCKET", "pit")
        .env("PITHEAD_BLOBS__ENDPOINT", endpoint)
        .env("PITHEAD_BLOBS__PREFIX", "files/of/ours")
        .env("PITHEAD_BLOBS__ALLOW_HTTP", "true")
        .output()
        .await
        .unwrap();
    let said = String::from_utf8_lossy(&run.stdout) + String::from_utf8_lossy(&run.stderr);
    assert!(!said.contains(SECRET), "{said}");
    (run.status.success(), said.into_owned())
}

fn bucket_config(folder: &Path, endpoint: &str) -> Config {
    let mut config = config(folder);
    config.blobs.store = BlobStore::S3;
    config.blobs.bucket = Some("pit".to_owned());
    config.blobs.endpoint = Some(endpoint.to_owned());
    config.blobs.prefix = "files/of/ours".to_owned();
    config.blobs.allow_http = true;
    config.retention.files_days = 2;
    config
}

const SMALL: &[u8] = b"RIFF\x24\0\0\0WAVEfmt words";

/// Where a row's bytes are in the bucket.
fn name(row: &Value) -> String {
    let hash = row["sha256"].as_str().unwrap();
    format!("files/of/ours/{}/{hash}", &hash[..2])
}

#[ignore = "run by its neighbour, in a process of its own with keys in its environment"]
#[tokio::test]
async fn in_a_bucket() {
    let endpoint = std::env::var("S3_ENDPOINT").unwrap();
    let folder = tempfile::tempdir().unwrap();
    let config = bucket_config(folder.path(), &endpoint);
    let blobs = Blobs::look(&folder.path().join("blobs"), &blob_place(&config)).unwrap();
    assert!(!format!("{config:?} {blobs:?}").contains(SECRET));
    let stage = Stage::set(config).await;
    let made = stage.http.put(format!("{endpoint}/pit")).send().await.unwrap();
    assert!(made.status().is_success());

    let small = stage.upload(vec![Bytes::from_static(SMALL)]).await;
    assert_eq!(names(&stage.http, &endpoint).await, vec![name(&small)]);
    let local = folder.path().join("blobs");
    assert!(!local.join(&small["sha256"].as_str().unwrap()[..2]).exists(), "not there too");
    reads_in_parts(&stage, &small).await;
    let large = stage.pass_a_large_file().await;
    let middle = format!("bytes={}-{}", 50 * MEBIBYTE, 50 * MEBIBYTE + 9);
    let middle = stage.get(url(&large), Some(&middle)).await;
    assert_eq!(middle.bytes().await.unwrap(), [0; 10][..]);
    assert_eq!(std::fs::read_dir(local.join("spool")).unwrap().count(), 0, "nothing stays here");

    let Stage { server, clock, config, key, http } = stage;
    server.finish().await.unwrap();
    is_looked_after(folder.path(), &endpoint, &small).await;
    let server = Server::start_at(config.clone(), clock.clone()).await.unwrap();
    let stage = Stage { server, clock, config, key, http };
    ends(&stage, &endpoint, [&small, &large]).await;
    stage.server.finish().await.unwrap();
}

async fn reads_in_parts(stage: &Stage, small: &Value) {
    let whole = stage.get(url(small), None).await;
    assert_eq!(whole.status(), 200);
    assert_eq!(whole.bytes().await.unwrap(), SMALL);
    let part = stage.get(url(small), Some("bytes=-5")).await;
    assert_eq!(part.status(), 206);
    assert_eq!(part.headers()["content-range"], "bytes 16-20/21");
    assert_eq!(part.bytes().await.unwrap(), b"words"[..]);
    let head = stage.call(Method::HEAD, url(small)).send().await.unwrap();
    assert_eq!(
        (head.status().as_u16(), &head.headers()["content-length"]),
        (200, &"21".parse().unwrap())
    );
    assert_eq!(stage.get(url(small), Some("bytes=21-")).await.status(), 416);
}

/// Every name is in the bucket and right; one that is not is told of.
async fn is_looked_after(folder: &Path, endpoint: &str, small: &Value) {
    let (sound, said) = doctor(folder, endpoint).await;
    assert!(sound && said.contains("ok     files_have_their_bytes (2 files)"), "{said}");
    let bucket = AmazonS3Builder::from_env().with_bucket_name("pit").with_allow_http(true);
    let bucket = bucket.with_endpoint(endpoint).build().unwrap();
    let weeds = b"RIFF\x24\0\0\0WAVEfmt weeds".as_slice();
    bucket.put(&name(small).into(), weeds.into()).await.unwrap();
    let (sound, said) = doctor(folder, endpoint).await;
    assert!(!sound && said.contains("files_have_their_bytes: 1 of 2 files"), "{said}");
}

/// Past their time the rows go, and then the bytes, each in the minute of its first byte.
async fn ends(stage: &Stage, endpoint: &str, rows: [&Value; 2]) {
    stage.clock.advance(3 * 24 * 60 * MINUTE);
    for row in rows {
        let path = format!("/api/v1/files/{}", row["file_id"].as_str().unwrap());
        while stage.get(&path, None).await.status() != 404 {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }
    for row in rows {
        let first = i64::from_str_radix(&row["sha256"].as_str().unwrap()[..2], 16).unwrap();
        let minute = stage.clock.now().0 / MINUTE + 1;
        let turn = minute + (first - minute).rem_euclid(256);
        stage.clock.advance(turn * MINUTE - stage.clock.now().0);
        while names(&stage.http, endpoint).await.contains(&name(row)) {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }
}

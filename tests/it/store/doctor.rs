//! `pithead doctor`, the program: a sound folder is ok, and whatever was tampered with is named.

use std::path::Path;
use std::process::{Command, Output};

use pithead::config::Config;
use pithead::store::Store;
use pithead::store::sql::{Location, SqlStore};
use sha2::{Digest, Sha256};
use sqlx::{Connection, Executor, PgConnection, SqliteConnection};

use super::make::{at, file, leased, miner, register, respond, token};
use crate::support::postgres;

/// Runs the program on a folder.
fn doctor(folder: &Path, more: &[&str]) -> (bool, String) {
    let mut command = Command::new(env!("CARGO_BIN_EXE_pithead"));
    for (name, _) in std::env::vars_os() {
        if name.to_string_lossy().starts_with("PITHEAD_") {
            command.env_remove(name);
        }
    }
    let done = command.arg("doctor").arg("--data").arg(folder).args(more).output().unwrap();
    let Output { status, stdout, stderr } = done;
    let said = String::from_utf8_lossy(&stdout) + String::from_utf8_lossy(&stderr);
    (status.success(), said.into_owned())
}

/// A folder with a task that has an answer, one that is leased, and a file with its blob.
async fn filled(location: Location, folder: &Path) -> String {
    let store = SqlStore::open(location).await.unwrap();
    store.register(register(1, 10)).await.unwrap();
    leased(&store, 1, 2).await;
    let answer = respond(token(1, 0, 1), miner(1), "a", at(20));
    store.respond(answer).await.unwrap();
    let bytes = b"the bytes of a file";
    let sha256 = hex::encode(Sha256::digest(bytes));
    let mut put = file(7);
    put.file.sha256.clone_from(&sha256);
    put.file.size = bytes.len() as u64;
    store.put_file(put).await.unwrap();
    store.close().await;
    let path = folder.join("blobs").join(&sha256[..2]).join(&sha256);
    std::fs::create_dir_all(path.parent().unwrap()).unwrap();
    std::fs::write(path, bytes).unwrap();
    sha256
}

async fn tamper(url: &str, statement: &'static str) {
    if url.starts_with("sqlite:") {
        let mut session = SqliteConnection::connect(url).await.unwrap();
        session.execute(statement).await.unwrap();
        session.close().await.unwrap();
    } else {
        let mut session = PgConnection::connect(url).await.unwrap();
        session.execute(statement).await.unwrap();
        session.close().await.unwrap();
    }
}

/// Sound, then with one lie after the other, each named and taken back.
async fn names_what_is_wrong(url: &str, folder: &Path, flags: &[&str]) {
    let location = Location::parse(Some(url), folder).unwrap();
    let sha256 = filled(location, folder).await;
    let (sound, said) = doctor(folder, flags);
    assert!(sound && said.contains("ok     live_counts_the_open_leases"), "{said}");
    assert!(said.contains("ok     files_have_their_size (1 files)"), "{said}");
    assert!(!said.contains("WRONG"), "{said}");
    for (lie, truth, name) in [
        (
            "UPDATE registration SET live = live + 1",
            "UPDATE registration SET live = live - 1",
            "WRONG  live_counts_the_open_leases: 2 rows",
        ),
        (
            "UPDATE slot SET attempt = attempt + 1 WHERE state = 'answered'",
            "UPDATE slot SET attempt = attempt - 1 WHERE state = 'answered'",
            "WRONG  answered_slots_have_their_response: 1 rows",
        ),
        (
            "UPDATE task SET answered = answered + 1",
            "UPDATE task SET answered = answered - 1",
            "WRONG  counts_of_a_task_equal_its_slots: 1 rows",
        ),
        (
            "UPDATE file SET size = size + 1",
            "UPDATE file SET size = size - 1",
            "WRONG  files_have_their_size: 1 of 1 files",
        ),
    ] {
        tamper(url, lie).await;
        let (sound, said) = doctor(folder, flags);
        assert!(!sound && said.contains(name), "after `{lie}`:\n{said}");
        tamper(url, truth).await;
    }
    let path = folder.join("blobs").join(&sha256[..2]).join(&sha256);
    std::fs::write(&path, b"the bytes of a fool").unwrap();
    assert!(doctor(folder, flags).0, "of the same size");
    let deep = [flags, &["--deep"]].concat();
    let (sound, said) = doctor(folder, &deep);
    assert!(!sound && said.contains("files_have_their_bytes: 1 of 1"), "{said}");
    std::fs::remove_file(&path).unwrap();
    let (sound, said) = doctor(folder, flags);
    assert!(!sound && said.contains("cannot be read at"), "{said}");
    assert!(said.contains("1 of the checks failed"), "{said}");
}

#[tokio::test]
async fn doctor_names_what_is_wrong_on_sqlite() {
    let folder = tempfile::tempdir().unwrap();
    let url = format!("sqlite:{}", folder.path().join("pithead.db").display());
    names_what_is_wrong(&url, folder.path(), &[]).await;
}

#[tokio::test]
async fn doctor_names_what_is_wrong_on_postgres() {
    let Some(url) = postgres::database().await else { return };
    let folder = tempfile::tempdir().unwrap();
    names_what_is_wrong(&url, folder.path(), &["--database", &url]).await;
}

#[tokio::test]
async fn doctor_is_refused_while_a_server_runs_and_where_nothing_is() {
    let folder = tempfile::tempdir().unwrap();
    let (sound, said) = doctor(folder.path(), &[]);
    assert!(!sound && said.contains("there is no database at"), "{said}");
    assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 0, "and none was made");
    let mut config = Config::default();
    config.server.listen = "127.0.0.1:0".to_owned();
    config.data_dir = folder.path().to_owned();
    let server = pithead::app::Server::start(config).await.unwrap();
    let (sound, said) = doctor(folder.path(), &[]);
    assert!(!sound && said.contains("another pithead runs on the data folder"), "{said}");
    server.stop().await;
    let (sound, said) = doctor(folder.path(), &[]);
    assert!(sound, "{said}");
}

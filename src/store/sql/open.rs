//! How a store begins: the lock, the schema, the writer's thread, the readers.

use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;

use sea_orm::DatabaseConnection;
use tokio::sync::oneshot;

use super::writer::{self, Writer};
use super::{Location, SqlStore, check, connect, left, outbox, webhook};
use crate::domain::ids::FileId;
use crate::store::{FileRow, StoreError, StoreResult};

impl SqlStore {
    /// Locks, opens and migrates the database, and starts the writer's thread.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`] with the reason.
    pub async fn open(location: Location) -> StoreResult<Self> {
        let lock = location.lock().await?;
        let (writer, jobs) = Writer::new();
        let (ready, opened) = oneshot::channel();
        let (at, known) = (location.clone(), outbox::Known::default());
        let own = known.clone();
        let run = move || {
            let mut runtime = tokio::runtime::Builder::new_current_thread();
            // SQLite answers from a thread of its own: without sockets to watch, the writer sleeps on
            // a lock, from which it wakes sooner.
            let runtime = match &at {
                Location::Sqlite(_) => runtime.enable_time().build(),
                Location::Postgres(_) => runtime.enable_all().build(),
            };
            let Ok(runtime) = runtime else { return };
            runtime.block_on(async move {
                let opened = async {
                    migrate(&at).await?;
                    let db = at.writer().await?;
                    own.number_after(left::last(&db).await?);
                    Ok::<_, StoreError>(db)
                };
                match opened.await {
                    Ok(db) => {
                        ready.send(Ok(())).ok();
                        writer::run(db, jobs, own).await;
                    }
                    Err(error) => {
                        ready.send(Err(error)).ok();
                    }
                }
            });
        };
        let spawned = thread::Builder::new().name("pithead-writer".to_owned()).spawn(run);
        let thread = spawned.map_err(|error| StoreError::Unavailable(error.to_string()))?;
        opened.await.map_err(|_| StoreError::Closed)??;
        let readers = location.readers().await?;
        if webhook::any(&readers).await? {
            known.there_may_be_webhooks();
        }
        Ok(Self {
            readers,
            writer: Mutex::new(Some(writer)),
            known,
            chain_written: AtomicU64::new(0),
            thread: Mutex::new(Some(thread)),
            lock: Mutex::new(Some(lock)),
        })
    }

    /// Opens the database to read only, beside a process that may own it. Every command is refused
    /// with [`StoreError::Closed`].
    ///
    /// # Errors
    /// [`StoreError::Unavailable`] with the reason.
    pub async fn look(location: Location) -> StoreResult<Self> {
        Ok(Self {
            readers: location.readers().await?,
            writer: Mutex::new(None),
            known: outbox::Known::default(),
            chain_written: AtomicU64::new(0),
            thread: Mutex::new(None),
            lock: Mutex::new(None),
        })
    }

    /// The pool that reads, for queries that only operators make.
    #[must_use]
    pub const fn readers(&self) -> &DatabaseConnection {
        &self.readers
    }

    /// Asks the database for every invariant of `invariants.sql`: its name, and how many rows offend
    /// it. Scans whole tables: for operators and tests.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`] when the database does not answer.
    pub async fn check(&self) -> StoreResult<Vec<(String, u64)>> {
        check::run(&self.readers).await
    }

    /// A page of everybody's files in the order of their ids, from the one `after` another.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`] when the database does not answer.
    pub async fn all_files(&self, after: Option<FileId>, limit: u64) -> StoreResult<Vec<FileRow>> {
        check::files(&self.readers, after, limit).await
    }

    /// Counts a command that changed what is known of the chain, or of which that is not known.
    pub(super) fn count_news<T>(&self, outcome: &StoreResult<T>, is_news: impl Fn(&T) -> bool) {
        let news = match outcome {
            Ok(answer) => is_news(answer),
            Err(error) => matches!(error, StoreError::Unknown(_)),
        };
        self.chain_written.fetch_add(news.into(), Ordering::Relaxed);
    }

    pub(super) async fn commit<C: writer::Command>(&self, command: C) -> StoreResult<C::Answer> {
        let writer = self.writer.lock().map(|writer| writer.clone());
        let writer = writer.ok().flatten().ok_or(StoreError::Closed)?;
        writer.commit(command).await
    }
}

/// Brings the schema of a database up to date.
///
/// # Errors
/// [`StoreError::Unavailable`] with the reason.
pub async fn migrate(location: &Location) -> StoreResult<()> {
    // Two connections: PostgreSQL's migrations hold a row lock on one and run on the other.
    let db = location.migrator().await?;
    let migrated = connect::migrate(&db).await;
    db.close().await?;
    migrated
}

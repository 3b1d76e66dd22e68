//! Connections: where the database is, how it is opened, migrated and kept to one process.

use std::fs::{File, TryLockError};
use std::path::{Path, PathBuf};
use std::str::FromStr;
use std::time::Duration;

use pithead_migration::{Migrator, MigratorTrait};
use sea_orm::{
    ConnectionTrait, DatabaseConnection, SqlxPostgresConnector, SqlxSqliteConnector,
    TransactionTrait,
};
use sqlx::postgres::{PgConnectOptions, PgPoolOptions};
use sqlx::sqlite::{SqliteConnectOptions, SqliteJournalMode, SqlitePoolOptions, SqliteSynchronous};
use sqlx::{ConnectOptions, Connection};

use super::dialect::{STATEMENTS_CACHED, statement};
use crate::store::{StoreError, StoreResult};

/// Where the rows are.
#[derive(Clone, PartialEq, Eq)]
pub enum Location {
    /// A SQLite file in the data folder.
    Sqlite(PathBuf),
    /// A PostgreSQL server.
    Postgres(String),
}

/// The URL of a server may hold a password.
impl std::fmt::Debug for Location {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Sqlite(path) => f.debug_tuple("Sqlite").field(path).finish(),
            Self::Postgres(_) => f.write_str("Postgres(..)"),
        }
    }
}

impl Location {
    /// `None` is the embedded default, `pithead.db` in the data folder.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`] for a URL of another scheme.
    pub fn parse(url: Option<&str>, data_dir: &Path) -> StoreResult<Self> {
        match url {
            None => Ok(Self::Sqlite(data_dir.join("pithead.db"))),
            Some(url) if url.starts_with("postgres://") || url.starts_with("postgresql://") => {
                Ok(Self::Postgres(url.to_owned()))
            }
            Some(url) => match url.strip_prefix("sqlite:") {
                Some(path) => Ok(Self::Sqlite(path.trim_start_matches("//").into())),
                None => Err(StoreError::Unavailable(
                    "`database` must begin with `sqlite:` or `postgres://`".to_owned(),
                )),
            },
        }
    }
}

/// Keeps other processes out while it lives.
#[derive(Debug)]
pub(super) enum Lock {
    /// The locked file beside the database.
    Folder(#[expect(dead_code, reason = "held for its lock")] File),
    /// The session that holds the server's lock.
    Session(sqlx::PgConnection),
}

impl Lock {
    /// Lets the next process in. A server notices that a session has gone only a moment later, so
    /// its lock is given back by name.
    pub(super) async fn release(self) -> Result<(), sqlx::Error> {
        match self {
            Self::Folder(_) => Ok(()),
            Self::Session(mut session) => {
                sqlx::query("SELECT pg_advisory_unlock(7484323, 1)").execute(&mut session).await?;
                session.close().await
            }
        }
    }
}

/// Every statement of the writer finds its rows by key, a batch at a time. The planner does not know
/// how large the batch or a young table is, and would rather hash a whole table than look into its
/// index some thirty times.
const BY_KEY: [(&str, &str); 4] = [
    ("enable_seqscan", "off"),
    ("enable_hashjoin", "off"),
    ("enable_mergejoin", "off"),
    ("plan_cache_mode", "force_generic_plan"),
];

/// What a reader asks is quickly planned, and a plan that is kept from when a table was young would
/// walk the whole of it later.
const AS_THEY_ARE: [(&str, &str); 1] = [("plan_cache_mode", "force_custom_plan")];

/// Readers of SQLite: one per core would do; a few more hide slow pages.
const SQLITE_READERS: u32 = 4;
/// Rows that SQLite's thread hands over before it waits for their reader: each wait is a sleep.
const ROWS_BUFFERED: usize = 1_024;
/// Readers of PostgreSQL.
const POSTGRES_READERS: u32 = 8;

fn failed(what: &str) -> impl Fn(sqlx::Error) -> StoreError {
    move |error| StoreError::Unavailable(format!("{what}: {error}"))
}

impl Location {
    /// A pool of one connection, for the writer. Belongs to the runtime that calls this.
    pub(super) async fn writer(&self) -> StoreResult<DatabaseConnection> {
        self.pool(1, false).await
    }

    /// Two connections, for migrations.
    pub(super) async fn migrator(&self) -> StoreResult<DatabaseConnection> {
        self.pool(if matches!(self, Self::Sqlite(_)) { 1 } else { 2 }, false).await
    }

    /// A pool for reads.
    pub(super) async fn readers(&self) -> StoreResult<DatabaseConnection> {
        match self {
            Self::Sqlite(_) => self.pool(SQLITE_READERS, true).await,
            Self::Postgres(_) => self.pool(POSTGRES_READERS, true).await,
        }
    }

    async fn pool(&self, connections: u32, read_only: bool) -> StoreResult<DatabaseConnection> {
        match self {
            Self::Sqlite(path) => {
                let options = sqlite_options(path).read_only(read_only);
                let pool = SqlitePoolOptions::new()
                    .max_connections(connections)
                    // All of them now: a connection's thread has the priority of whoever opened it.
                    .min_connections(connections)
                    .max_lifetime(None)
                    .idle_timeout(None)
                    .test_before_acquire(false)
                    .connect_with(options.create_if_missing(!read_only))
                    .await
                    .map_err(failed("cannot open the database file"))?;
                Ok(SqlxSqliteConnector::from_sqlx_sqlite_pool(pool))
            }
            Self::Postgres(url) => {
                // Dead connections are found when they come back, not when they are needed
                // (a pool that tests on acquire can die for good).
                let options = postgres_options(url)?;
                let options = match read_only {
                    true => options.options(AS_THEY_ARE),
                    false => options.options(BY_KEY),
                };
                let pool = PgPoolOptions::new()
                    .max_connections(connections)
                    .acquire_timeout(Duration::from_secs(10))
                    .max_lifetime(None)
                    .test_before_acquire(false)
                    .after_release(|connection, _| {
                        Box::pin(async move {
                            let ping = connection.ping();
                            let ping = tokio::time::timeout(Duration::from_secs(2), ping).await;
                            Ok(matches!(ping, Ok(Ok(()))))
                        })
                    })
                    .connect_with(options)
                    .await
                    .map_err(failed("cannot connect to PostgreSQL"))?;
                Ok(SqlxPostgresConnector::from_sqlx_postgres_pool(pool))
            }
        }
    }

    /// Keeps a second process out.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`] with a sentence that says who is in the way.
    pub(super) async fn lock(&self) -> StoreResult<Lock> {
        match self {
            Self::Sqlite(path) => lock_folder(path),
            Self::Postgres(url) => lock_server(url).await,
        }
    }
}

fn sqlite_options(path: &Path) -> SqliteConnectOptions {
    SqliteConnectOptions::new()
        .filename(path)
        .journal_mode(SqliteJournalMode::Wal)
        .synchronous(SqliteSynchronous::Full)
        .busy_timeout(Duration::from_secs(10))
        .statement_cache_capacity(STATEMENTS_CACHED)
        .row_buffer_size(ROWS_BUFFERED)
        .pragma("cache_size", "-65536")
        .pragma("wal_autocheckpoint", "4000")
        .pragma("temp_store", "MEMORY")
        .disable_statement_logging()
}

fn postgres_options(url: &str) -> StoreResult<PgConnectOptions> {
    let options = PgConnectOptions::from_str(url).map_err(failed("`database` is no valid URL"))?;
    Ok(options
        .application_name("pithead")
        .statement_cache_capacity(STATEMENTS_CACHED)
        .options([
            ("statement_timeout", "30s"),
            ("lock_timeout", "10s"),
            ("idle_in_transaction_session_timeout", "10s"),
        ])
        .disable_statement_logging())
}

fn lock_folder(path: &Path) -> StoreResult<Lock> {
    let folder = path.parent().unwrap_or(Path::new("."));
    let name = folder.join("pithead.lock");
    let cannot = |error: std::io::Error| {
        StoreError::Unavailable(format!(
            "cannot use the data folder `{}`: {error}",
            folder.display()
        ))
    };
    std::fs::create_dir_all(folder).map_err(cannot)?;
    let file = File::options().create(true).append(true).open(&name).map_err(cannot)?;
    match file.try_lock() {
        Ok(()) => Ok(Lock::Folder(file)),
        Err(TryLockError::WouldBlock) => Err(StoreError::Unavailable(format!(
            "another pithead runs on the data folder `{}`; stop it or choose another `--data`",
            folder.display()
        ))),
        Err(TryLockError::Error(error)) => Err(cannot(error)),
    }
}

/// A session lock: it goes away with the process, so that a restart after a crash need not wait. It
/// guards the start only; what keeps rows right are the predicates of each command.
async fn lock_server(url: &str) -> StoreResult<Lock> {
    let mut session =
        postgres_options(url)?.connect().await.map_err(failed("cannot connect to PostgreSQL"))?;
    let (free,): (bool,) = sqlx::query_as("SELECT pg_try_advisory_lock(7484323, 1)")
        .fetch_one(&mut session)
        .await
        .map_err(failed("cannot ask for the server's lock"))?;
    if free {
        return Ok(Lock::Session(session));
    }
    Err(StoreError::Unavailable(
        "another pithead runs on this PostgreSQL database; several instances are not supported yet"
            .to_owned(),
    ))
}

/// Brings the schema up to date. Two processes may do this at once: one waits for the other.
pub(super) async fn migrate(db: &DatabaseConnection) -> StoreResult<()> {
    if db.get_database_backend() == sea_orm::DbBackend::Sqlite {
        return up(db).await;
    }
    // The row lock is held by a transaction on another connection than the migrations run on.
    ensure_lock_row(db).await?;
    let lock = db.begin().await?;
    let text = "SELECT id FROM pithead_migration_lock WHERE id = 1 FOR UPDATE";
    lock.execute_unprepared(
        "SET LOCAL lock_timeout = '120s'; SET LOCAL idle_in_transaction_session_timeout = 0",
    )
    .await?;
    lock.query_one_raw(statement(&lock, text, [])).await?;
    let done = up(db).await;
    lock.commit().await?;
    done
}

async fn ensure_lock_row(db: &DatabaseConnection) -> StoreResult<()> {
    let text = "CREATE TABLE IF NOT EXISTS pithead_migration_lock (id integer PRIMARY KEY)";
    // Two processes that create it at once collide in the catalogue; the loser finds it there.
    if db.execute_unprepared(text).await.is_err() {
        db.execute_unprepared(text).await?;
    }
    let row = "INSERT INTO pithead_migration_lock (id) VALUES (1) ON CONFLICT DO NOTHING";
    db.execute_unprepared(row).await?;
    Ok(())
}

async fn up(db: &DatabaseConnection) -> StoreResult<()> {
    Migrator::up(db, None).await.map_err(|error| {
        StoreError::Unavailable(format!(
            "cannot migrate the database (was it used by a newer pithead?): {error}"
        ))
    })
}

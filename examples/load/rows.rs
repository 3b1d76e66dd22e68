//! The database beside the server: what is counted at the end of a run, and what is put there
//! before it.

use std::error::Error;

use sea_orm::{
    ConnectOptions, ConnectionTrait, Database, DatabaseConnection, DbBackend, Statement,
};

/// One connection of its own.
pub(crate) struct Rows(DatabaseConnection);

impl Rows {
    pub(crate) async fn open(database: &str) -> Result<Self, Box<dyn Error>> {
        let mut options = ConnectOptions::new(database);
        options.max_connections(1).sqlx_logging(false);
        Ok(Self(Database::connect(options).await?))
    }

    pub(crate) fn is_sqlite(&self) -> bool {
        self.0.get_database_backend() == DbBackend::Sqlite
    }

    /// The one number that a statement gives.
    pub(crate) async fn number(&self, text: &str) -> Result<i64, Box<dyn Error>> {
        let statement = Statement::from_string(self.0.get_database_backend(), text);
        let row = self.0.query_one_raw(statement).await?.ok_or("no number")?;
        Ok(row.try_get_by_index(0)?)
    }

    /// The two numbers of each row.
    pub(crate) async fn pairs(&self, text: &str) -> Result<Vec<(i32, i64)>, Box<dyn Error>> {
        let statement = Statement::from_string(self.0.get_database_backend(), text);
        let rows = self.0.query_all_raw(statement).await?;
        rows.iter().map(|row| Ok((row.try_get_by_index(0)?, row.try_get_by_index(1)?))).collect()
    }

    pub(crate) async fn execute(&self, text: &str) -> Result<(), Box<dyn Error>> {
        self.0.execute_unprepared(text).await.map_err(|error| format!("{error}: {text}"))?;
        Ok(())
    }

    pub(crate) async fn close(self) -> Result<(), Box<dyn Error>> {
        Ok(self.0.close().await?)
    }
}

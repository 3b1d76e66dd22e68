//! `pithead migrate`.

use clap::Args;

use super::Common;
use crate::app::{AppError, open_store};
use crate::store::Store;

/// Bring the database's schema up to date, and end.
#[derive(Debug, Args)]
pub(super) struct Migrate {
    #[command(flatten)]
    common: Common,
}

impl Migrate {
    pub(super) async fn run(self) -> Result<(), AppError> {
        let config = self.common.load()?;
        // Opening migrates.
        let store = open_store(&config, &config.data_dir).await?;
        store.close().await;
        println!("the schema is up to date");
        Ok(())
    }
}

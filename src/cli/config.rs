//! `pithead config`: what a server would run with.

use clap::Args;

use super::Common;
use crate::app::AppError;

/// Show the configuration that is in force: defaults, file, variables and flags. Passwords are hidden.
#[derive(Debug, Args)]
pub(super) struct ShowConfig {
    #[command(flatten)]
    common: Common,
}

impl ShowConfig {
    pub(super) fn run(self) -> Result<(), AppError> {
        let config = self.common.load()?.validate()?;
        let shown = config.shown().map_err(|error| AppError::BadInput(error.to_string()))?;
        print!("{shown}");
        Ok(())
    }
}

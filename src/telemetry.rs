//! Every metric name, in one place.

/// Seconds that a transaction took, commit included.
pub const STORE_COMMIT_SECONDS: &str = "pithead_store_commit_seconds";
/// Commands in one transaction.
pub const STORE_BATCH_COMMANDS: &str = "pithead_store_batch_commands";

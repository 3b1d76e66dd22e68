//! Logs, and every metric's name and meaning in one place. Labels are drawn from fixed sets only:
//! nothing that grows with miners, tasks or callers.

use metrics_exporter_prometheus::{PrometheusBuilder, PrometheusHandle};
use tracing_subscriber::EnvFilter;

use crate::config::LogConfig;

macro_rules! metrics {
    ($($(#[$doc:meta])* $name:ident : $kind:ident = $text:literal, $help:literal;)*) => {
        $(#[doc = $help] pub const $name: &str = $text;)*

        fn describe() {
            $(metrics::$kind!($name, $help);)*
        }
    };
}

metrics! {
    STORE_COMMIT_SECONDS: describe_histogram = "pithead_store_commit_seconds", "Time that a transaction took, commit included.";
    STORE_BATCH_COMMANDS: describe_histogram = "pithead_store_batch_commands", "Commands in one transaction.";
    STORE_BATCHES_REPLAYED: describe_counter = "pithead_store_batches_replayed_total", "Batches that failed as one, so that their commands ran one by one.";
    TASKS_SUBMITTED: describe_counter = "pithead_tasks_submitted_total", "Tasks taken in.";
    TASKS_ENDED: describe_counter = "pithead_tasks_ended_total", "Tasks that ended, by state.";
    TASKS_ARCHIVED: describe_counter = "pithead_tasks_archived_total", "Ended tasks put into the archive.";
    TASKS_OPEN: describe_gauge = "pithead_tasks_open", "Tasks that have not ended.";
    LEASES_OPENED: describe_counter = "pithead_leases_opened_total", "Leases opened.";
    LEASES_HEDGED: describe_counter = "pithead_leases_hedged_total", "Second leases opened for stragglers.";
    LEASES_LOST: describe_counter = "pithead_leases_lost_total", "Leases that ended without an answer, by reason.";
    ANSWER_SECONDS: describe_histogram = "pithead_answer_seconds", "Time from fetch to answer.";
    REPORTS: describe_counter = "pithead_reports_total", "Reports taken.";
    STATUSES: describe_counter = "pithead_statuses_total", "Miner statuses taken.";
    REPORT_TO_VERDICT_SECONDS: describe_histogram = "pithead_report_to_verdict_seconds", "Time from a report's receipt to its merge.";
    FILES_FORGOTTEN: describe_counter = "pithead_files_forgotten_total", "Files whose time was over.";
    BLOBS_DELETED: describe_counter = "pithead_blobs_deleted_total", "Blobs deleted since no file named them.";
    BLOB_BYTES_DELETED: describe_counter = "pithead_blob_bytes_deleted_total", "Bytes of blobs deleted since no file named them.";
    EVALUATIONS: describe_counter = "pithead_evaluations_total", "Judgements of responses taken.";
    SCORES_PUSHED: describe_counter = "pithead_scores_pushed_total", "Scores of validators' own tasks taken.";
    STATS_WRITES_FAILED: describe_counter = "pithead_stats_writes_failed_total", "Evaluations, sums and weights that could not be written.";
    WEIGHTS_RUNS: describe_counter = "pithead_weights_runs_total", "Calculations of the current weights that were kept.";
    WEIGHTS_RECORDS: describe_counter = "pithead_weights_records_total", "Records of miners by period that were written.";
    WEIGHTS_RUN_SECONDS: describe_histogram = "pithead_weights_run_seconds", "Time that the weights of an hour took, records included.";
    WEIGHTS_WRITE_SECONDS: describe_histogram = "pithead_weights_write_seconds", "Time of one write of weights, its wait for the writer included.";
    LEDGER_EVENTS: describe_counter = "pithead_ledger_events_total", "What happened in the weight ledger, by event: drift, failed calculations, gaps, old snapshots.";
    AUDIT_WRITES_FAILED: describe_counter = "pithead_audit_writes_failed_total", "Tries to write into the audit log that failed; they are made again.";
    CHAIN_BLOCK: describe_gauge = "pithead_chain_block", "Block of the snapshot that is believed.";
    CHAIN_ADOPTED_AT: describe_gauge = "pithead_chain_adopted_timestamp_seconds", "Since when it is believed, Unix seconds.";
    ACTORS_RESPAWNED: describe_counter = "pithead_actors_respawned_total", "Miner actors that died and were started again.";
    DELIVERIES: describe_counter = "pithead_deliveries_total", "Tries to tell a client something, by outcome: delivered, again, given_up, disabled.";
    STREAMS: describe_gauge = "pithead_streams", "Streams of a task's events that are open.";
    HTTP_REQUESTS: describe_counter = "pithead_http_requests_total", "Requests answered, by class of status.";
    HTTP_SECONDS: describe_histogram = "pithead_http_request_seconds", "Time of a request at its handler, waits of long-polls included.";
    HTTP_REFUSED_FULL: describe_counter = "pithead_http_refused_full_total", "Requests refused since all permits were taken.";
    HTTP_REFUSED_STRANGERS: describe_counter = "pithead_http_refused_strangers_total", "Requests refused since their address had proven nothing too often.";
    CONNECTIONS_REFUSED: describe_counter = "pithead_connections_refused_total", "Connections closed at once since their address had too many.";
    CONNECTIONS_CUT: describe_counter = "pithead_connections_cut_total", "Connections cut since nothing came, or an answer was not read, in time.";
    AUTH_FAILED: describe_counter = "pithead_auth_failures_total", "Requests whose credentials were refused, by code.";
    MINERS: describe_gauge = "pithead_miners", "Miners with an actor.";
    POLLS_PARKED: describe_gauge = "pithead_polls_parked", "Long-polls that wait.";
    CONSENSUS_CONFIDENCE: describe_gauge = "pithead_consensus_confidence", "Mean confidence of all verdicts.";
    CONSENSUS_COVERAGE: describe_gauge = "pithead_consensus_coverage", "Share of known miners that enough validators report.";
    CONSENSUS_CONFLICTS: describe_gauge = "pithead_consensus_conflict_rate", "Share of verdicts with a conflict.";
    VALIDATOR_EVENTS: describe_counter = "pithead_validator_events_total", "What happened to validators: silent, drifting, quarantined and so on.";
    VALIDATORS_ACTIVE: describe_gauge = "pithead_validators_active", "Validators whose newest report counts.";
}

/// Upper bounds of all time histograms, in seconds.
const SECONDS: [f64; 14] =
    [0.0005, 0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.25, 0.5, 1.0, 5.0, 30.0, 120.0];

/// Installs the process' metrics once; later calls give the same handle.
pub fn metrics() -> Option<PrometheusHandle> {
    static HANDLE: std::sync::OnceLock<Option<PrometheusHandle>> = std::sync::OnceLock::new();
    let install = || {
        let builder = PrometheusBuilder::new().set_buckets(&SECONDS).ok()?;
        let handle = builder.install_recorder().ok()?;
        describe();
        Some(handle)
    };
    HANDLE.get_or_init(install).clone()
}

/// Sends logs to standard error. A filter that cannot be read means `info`; setting up twice (in
/// tests) does nothing.
pub fn logs(config: &LogConfig) {
    let filter = EnvFilter::try_new(&config.filter).unwrap_or_else(|_| EnvFilter::new("info"));
    let builder = tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr);
    let installed = if config.json { builder.json().try_init() } else { builder.try_init() };
    if installed.is_err() {
        tracing::debug!("logs were set up before");
    }
}

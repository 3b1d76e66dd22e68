//! Pithead's tables, one file each: columns only. Times are Unix milliseconds in UTC, shares and
//! scores are millionths, states are text.

pub mod api_key;
pub mod archive;
pub mod attempt;
pub mod audit;
pub mod callback_secret;
pub mod delivery;
pub mod evaluation;
pub mod file;
pub mod idempotency;
pub mod metagraph;
pub mod miner_kind_record;
pub mod miner_performance_kind;
pub mod miner_performance_stats;
pub mod pushed_score;
pub mod quarantine;
pub mod registration;
pub mod replay;
pub mod report;
pub mod response;
pub mod round;
pub mod score;
pub mod score_day;
pub mod score_hour;
pub mod slot;
pub mod submission;
pub mod task;
pub mod usage_day;
pub mod validator;
pub mod verdict;
pub mod voice;
pub mod voice_day;
pub mod webhook;
pub mod weight_run;
pub mod work_day;

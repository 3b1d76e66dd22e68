//! The answers of the server, as far as the simulation reads them.

use serde::Deserialize;
use serde_json::Value;
use sha2::{Digest, Sha256};

use crate::sim::call::Call;
use crate::sim::client::{Api, ApiError};
use crate::sim::craft::Input;

/// One element of `GET /api/v1/miners/{uid}/tasks`.
#[derive(Debug, Deserialize)]
pub(crate) struct Assignment {
    pub(crate) task_id: String,
    pub(crate) task_type: String,
    pub(crate) lease: LeaseTerms,
    #[serde(flatten)]
    pub(crate) input: InputRef,
}

#[derive(Debug, Deserialize)]
pub(crate) struct LeaseTerms {
    pub(crate) token: String,
    /// RFC 3339.
    pub(crate) expires_at: String,
}

/// The input of a task: in the answer itself, or a file to fetch.
#[derive(Debug, Deserialize)]
pub(crate) struct InputRef {
    input_text: Option<InputText>,
    input_file: Option<InputFile>,
}

#[derive(Debug, Deserialize)]
struct InputText {
    text: String,
}

#[derive(Debug, Deserialize)]
struct InputFile {
    url: String,
    sha256: String,
}

impl InputRef {
    /// Gets the input; a file must hash to what the server said.
    pub(crate) async fn fetch(self, api: &Api) -> Result<Input, ApiError> {
        if let Some(InputText { text }) = self.input_text {
            return Ok(Input::Text(text));
        }
        let unexpected = |target: &str, reason: &str| ApiError::Unexpected {
            target: target.to_owned(),
            reason: reason.to_owned(),
        };
        let Some(file) = self.input_file else {
            return Err(unexpected("input", "neither `input_text` nor `input_file`"));
        };
        let bytes = api.bytes(&Call::get(&file.url)).await?;
        if hex::encode(Sha256::digest(&bytes)) != file.sha256 {
            return Err(unexpected(&file.url, "the file does not hash to its `sha256`"));
        }
        Ok(Input::Audio(bytes))
    }
}

/// Answer to an upload of a miner.
#[derive(Debug, Deserialize)]
pub(crate) struct Uploaded {
    pub(crate) file_id: String,
}

/// `GET /api/v1/validator/tasks`.
#[derive(Debug, Deserialize)]
pub(crate) struct ToEvaluate {
    pub(crate) tasks: Vec<AnsweredTask>,
}

#[derive(Debug, Deserialize)]
pub(crate) struct AnsweredTask {
    pub(crate) task_id: String,
    pub(crate) task_type: String,
    #[serde(flatten)]
    pub(crate) input: InputRef,
    pub(crate) responses: Vec<AnsweredSlot>,
}

#[derive(Debug, Deserialize)]
pub(crate) struct AnsweredSlot {
    pub(crate) miner_uid: u16,
    pub(crate) response_data: Value,
    #[serde(default)]
    pub(crate) elapsed_ms: Option<f64>,
}

/// Answer to an evaluation.
#[derive(Debug, Deserialize)]
pub(crate) struct Evaluated {
    #[serde(default)]
    pub(crate) task_status: String,
}

/// Answer to a report.
#[derive(Debug, Deserialize)]
pub(crate) struct Reported {
    #[serde(default)]
    pub(crate) rejected: Vec<Value>,
}

/// Answer to a submit, and to a look at a task.
#[derive(Debug, Deserialize)]
pub(crate) struct TaskState {
    pub(crate) task_id: String,
    pub(crate) status: String,
}

/// `GET /api/v1/{kind}/{id}/result`.
#[derive(Debug, Deserialize)]
pub(crate) struct TaskResult {
    #[serde(default)]
    pub(crate) result: Value,
}

/// `GET /api/v1/miners/{uid}/consensus`.
#[derive(Debug, Deserialize)]
pub(crate) struct Consensus {
    pub(crate) consensus_status: ConsensusStatus,
}

#[derive(Debug, Deserialize)]
pub(crate) struct ConsensusStatus {
    #[serde(default)]
    pub(crate) performance_score: Option<f64>,
}

/// The words of an answer of any craft; speech is downloaded and heard.
pub(crate) async fn answer_words(api: &Api, answer: &Value) -> Result<Vec<String>, ApiError> {
    let text_of = |key: &str| answer.get(key).and_then(Value::as_str);
    if let Some(file_id) = text_of("audio_file") {
        let bytes = api.bytes(&Call::get(format!("/api/v1/files/{file_id}/download"))).await?;
        return Ok(crate::sim::speech::hear(&bytes).into_iter().map(str::to_owned).collect());
    }
    let text = text_of("transcript").or_else(|| text_of("summary")).unwrap_or_default();
    Ok(text.split_whitespace().map(str::to_owned).collect())
}

//! Validators judge responses.

use actix_web::web::{Data, Path};
use actix_web::{HttpRequest, HttpResponse};
use serde_json::{Value, json};

use crate::actors::consensus::KnowValidator;
use crate::actors::stats::TakeEvaluation;
use crate::domain::ids::{MinerUid, TaskId, ValidatorId};
use crate::domain::limits::{PAGE_MAX, TO_JUDGE_MAX};
use crate::domain::task::TaskState;
use crate::domain::units::Score;
use crate::http::answered::Answered;
use crate::http::auth::ValidatorCaller;
use crate::http::error::{ApiError, ApiResult, Code};
use crate::http::fields::{Fields, whole};
use crate::http::upload::Body;
use crate::http::{Web, view};
use crate::store::{Evaluate, Evaluated, JudgementRow, TaskPage, TaskRecord};

/// The row of the validator that calls.
pub(super) async fn id_of(
    web: &Web,
    caller: &ValidatorCaller,
    named: Option<u16>,
) -> ApiResult<ValidatorId> {
    let reporter = caller.reporter(named)?;
    Ok(web.consensus.send(KnowValidator(reporter)).await??)
}

async fn with_responses(web: &Web, records: &[TaskRecord]) -> ApiResult<Vec<Value>> {
    let mut files = view::Files::default();
    let mut shown = Vec::with_capacity(records.len());
    for record in records {
        let (input_text, input_file) = view::input(web, &record.task, &mut files).await?;
        let responses = web.store.responses(record.task.id).await?;
        let responses = view::responses(&web.kinds, &record.task.kind, &responses);
        let mut value = view::task(record, &web.directory);
        if let Value::Object(fields) = &mut value {
            fields.insert("input_text".to_owned(), input_text);
            fields.insert("input_file".to_owned(), input_file);
            fields.insert("miner_responses".to_owned(), json!(responses));
            fields.insert("responses".to_owned(), json!(responses));
        }
        shown.push(value);
    }
    Ok(shown)
}

/// `GET /validator/tasks`: done tasks that this validator has not judged yet.
pub(super) async fn tasks(web: Data<Web>, caller: ValidatorCaller) -> ApiResult {
    let id = id_of(&web, &caller, None).await?;
    let now = web.clock.now();
    let records = web.left.of(&*web.store, id, TO_JUDGE_MAX, now).await?;
    let tasks = with_responses(&web, &records).await?;
    Ok(HttpResponse::Ok().json(json!({
        "success": true, "count": tasks.len(), "tasks": tasks,
    })))
}

/// `GET /tasks/completed`: done and approved tasks, newest first, as a bare array.
pub(super) async fn completed(web: Data<Web>, _: ValidatorCaller) -> ApiResult {
    let page = TaskPage {
        owner: None,
        states: vec![TaskState::Done, TaskState::Approved],
        kind: None,
        before: None,
        limit: PAGE_MAX / 2,
    };
    let records = web.store.tasks(page).await?;
    Ok(HttpResponse::Ok().json(with_responses(&web, &records).await?))
}

/// `GET /validator/{uid}/evaluated_tasks`.
pub(super) async fn evaluated(
    web: Data<Web>,
    caller: ValidatorCaller,
    path: Path<String>,
) -> ApiResult {
    let named: u16 = path
        .parse()
        .map_err(|_| ApiError::field("uid", "must be a whole number from 0 to 65535"))?;
    let id = id_of(&web, &caller, Some(named)).await?;
    let rows = web.store.evaluated_by(id, PAGE_MAX).await?;
    let mut tasks: Vec<TaskId> = rows.iter().map(|row| row.task).collect();
    tasks.dedup();
    let row = |row: &crate::store::EvaluationRow| {
        json!({
            "task_id": row.task,
            "slot": row.slot,
            "accuracy": row.accuracy.as_f64(),
            "score": row.score.as_f64(),
            "reward": row.reward.as_f64(),
            "evaluated_at": row.created_at.rfc3339(),
        })
    };
    Ok(HttpResponse::Ok().json(json!({
        "success": true,
        "validator_uid": named,
        "count": tasks.len(),
        "evaluated_tasks": tasks,
        "evaluations": rows.iter().map(row).collect::<Vec<_>>(),
    })))
}

/// `POST /validators/mark-task-seen`: the documents' validators send it after an evaluation; what
/// was judged is known here without it.
pub(super) async fn mark_seen(
    web: Data<Web>,
    caller: ValidatorCaller,
    request: HttpRequest,
    Body(body): Body,
) -> ApiResult {
    let mut fields = Fields::read(&request, &body)?;
    let uid = fields.integer("validator_uid", 0, u16::MAX.into());
    let task: Option<TaskId> = fields.parsed("task_id");
    let task = fields.finish("task_id", task)?;
    let id = id_of(&web, &caller, uid.and_then(|uid| u16::try_from(uid).ok())).await?;
    web.store.task(task).await?.ok_or_else(|| ApiError::not_found("task"))?;
    let rows = web.store.evaluations(task).await?;
    let judged = rows.iter().any(|row| row.validator == id);
    Ok(HttpResponse::Ok().json(json!({
        "success": true, "task_id": task, "evaluated": judged,
    })))
}

/// `POST /validator/evaluation`.
pub(super) async fn evaluate(
    web: Data<Web>,
    caller: ValidatorCaller,
    request: HttpRequest,
    Body(body): Body,
) -> ApiResult {
    let mut fields = Fields::read(&request, &body)?;
    let task: Option<TaskId> = fields.parsed("task_id");
    let uid = fields.integer("validator_uid", 0, u16::MAX.into());
    let data = fields.value("evaluation_data");
    let data = fields.need("evaluation_data", data);
    let task = fields.finish("task_id", task)?;
    let validator = id_of(&web, &caller, uid.and_then(|uid| u16::try_from(uid).ok())).await?;
    let answered = web.answered.of(&*web.store, task).await?;
    let answered = answered.ok_or_else(|| ApiError::not_found("task"))?;
    let judgements = judgements(&data.unwrap_or(Value::Null), &answered)?;
    let (_, kind) = web.kinds.find(&answered.kind).ok_or_else(|| ApiError::not_found("task"))?;
    let evaluate = Evaluate {
        task,
        validator,
        judgements,
        quorum: web.config.evaluation.quorum,
        weight: Score::clamped(kind.weight_millionths),
        now: web.clock.now(),
        nonce: caller.nonce,
    };
    match web.stats.send(TakeEvaluation(evaluate)).await?? {
        Evaluated::Accepted { recorded, duplicates, state, best_slot, .. } => {
            let best = answered.slots.iter().find(|(slot, _)| Some(*slot) == best_slot);
            Ok(HttpResponse::Ok().json(json!({
                "success": true,
                "task_id": task,
                "accepted": recorded,
                "duplicates": duplicates,
                "task_status": state,
                "best_miner_uid": best.map(|(_, uid)| uid),
            })))
        }
        Evaluated::Conflict(slot) => Err(ApiError::new(
            Code::ResponseConflict,
            format!("you judged the response in slot {slot} before, otherwise; the first counts"),
        )),
        Evaluated::NoResponse(slot) => {
            Err(ApiError::field("evaluation_data", format!("names slot {slot} without a response")))
        }
        Evaluated::NotDone(state) => Err(ApiError::new(
            Code::Conflict,
            format!("only done tasks are judged; this one is `{state}`"),
        )),
        Evaluated::NotFound => Err(ApiError::not_found("task")),
    }
}

/// Judgements from `{"evaluations": [{miner_uid | slot, accuracy, score?}]}`, from a bare list, or
/// from the documents' map of uid to score.
fn judgements(data: &Value, answered: &Answered) -> ApiResult<Vec<JudgementRow>> {
    let wrong = |reason: &str| ApiError::field("evaluation_data", reason);
    let entries = match data.get("evaluations").unwrap_or(data) {
        Value::Array(entries) => entries,
        _ => return Err(wrong("must hold a list `evaluations`")),
    };
    if entries.is_empty() || entries.len() > answered.slots.len().max(1) {
        return Err(wrong("must hold one entry for each response that you judge"));
    }
    let mut judgements: Vec<JudgementRow> = Vec::with_capacity(entries.len());
    for (place, entry) in entries.iter().enumerate() {
        let at = |field: &str| format!("evaluation_data.evaluations[{place}].{field}");
        let slot = match (entry.get("slot"), entry.get("miner_uid")) {
            (Some(slot), _) => whole(slot).and_then(|slot| u16::try_from(slot).ok()),
            (None, Some(uid)) => {
                let uid = whole(uid).and_then(|uid| u16::try_from(uid).ok()).map(MinerUid);
                answered.slots.iter().find(|(_, by)| Some(*by) == uid).map(|(slot, _)| *slot)
            }
            (None, None) => None,
        };
        let slot = slot.ok_or_else(|| {
            ApiError::field(at("miner_uid"), "must name a miner that answered (or its `slot`)")
        })?;
        let share = |name: &str| match entry.get(name) {
            None | Some(Value::Null) => Ok(None),
            Some(value) => value
                .as_f64()
                .and_then(Score::from_f64)
                .map(Some)
                .ok_or_else(|| ApiError::field(at(name), "must be a number from 0 to 1")),
        };
        let (accuracy, whole) = (share("accuracy")?, share("score")?);
        // Checked, though our own timing counts.
        share("speed")?;
        share("quality")?;
        let (accuracy, whole) = match (accuracy, whole) {
            (Some(accuracy), _) => (accuracy, false),
            (None, Some(score)) => (score, true),
            (None, None) => {
                return Err(ApiError::field(at("accuracy"), "is missing (or give a `score`)"));
            }
        };
        if judgements.iter().any(|judgement| judgement.slot == slot) {
            return Err(ApiError::field(at("miner_uid"), "is judged twice"));
        }
        judgements.push(JudgementRow { slot, accuracy, whole });
    }
    Ok(judgements)
}

//! `/api/v1/tasks`, `/api/v1/task/{id}/..`, `/api/v1/{kind}/{id}/result`.

use crate::support::{Call, TestApp};

const NO_TASK: &str = "0197a0d0-0000-7000-8000-000000000000";

#[tokio::test]
async fn what_is_no_task_is_404_and_wrong_queries_are_named() {
    let app = TestApp::start().await;
    let task = app.submit_tts(&[]).await;
    for id in [NO_TASK, "x", "0", "-1", "None", "completed2", &"9".repeat(3_000)] {
        for target in [
            format!("/api/v1/tasks/{id}"),
            format!("/api/v1/tasks/{id}?wait=1"),
            format!("/api/v1/task/{id}/status"),
            format!("/api/v1/task/{id}/responses"),
            format!("/api/v1/tts/{id}/result"),
        ] {
            app.as_client(Call::get(target)).await.problem(404, "not_found");
        }
        app.as_client(Call::delete(format!("/api/v1/tasks/{id}"))).await.problem(404, "not_found");
    }
    // A task of another kind, or of no kind.
    for kind in ["transcription", "summarization", "nonsense"] {
        let target = format!("/api/v1/{kind}/{task}/result");
        app.as_client(Call::get(target)).await.problem(404, "not_found");
    }
    for (query, field) in [
        ("limit=0", "limit"),
        ("limit=201", "limit"),
        ("limit=-1", "limit"),
        ("limit=x", "limit"),
        ("limit=", "limit"),
        ("cursor=x", "cursor"),
        ("status=open", "status"),
        ("status=nonsense", "status"),
    ] {
        app.as_client(Call::get(format!("/api/v1/tasks?{query}"))).await.names(field);
    }
    for wait in ["-1", "61", "x", "1.5", "99999999999999999999"] {
        app.as_client(Call::get(format!("/api/v1/tasks/{task}?wait={wait}"))).await.names("wait");
    }
    assert_eq!(app.task_count().await, 1);
}

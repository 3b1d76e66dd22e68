//! Every route times everybody, from one table. A route that is missing here is a hole in the
//! table, so the table is also compared with the routes of `http.md` that are served.

use pithead::identity::Keypair;
use serde_json::{Value, json};

use crate::support::{Answer, Call, TEXT, TestApp, Who, miner, served, validator};

const TASK: &str = "0197a0d0-0000-7000-8000-000000000000";

/// Who may call a route.
#[derive(Clone, Copy, PartialEq)]
enum For {
    Everybody,
    /// Anybody whom the server knows.
    Known,
    /// API keys of clients and admins; validators sign as clients too.
    Clients,
    Admins,
    Miners,
    Validators,
    /// A miner, or a validator that pulled.
    Workers,
}

/// A caller of the matrix.
#[derive(Clone, Copy, Debug, PartialEq)]
enum As {
    Nobody,
    Revoked,
    Client,
    Admin,
    Miner,
    Validator,
    Stranger,
}

impl For {
    /// As `/openapi.json` has it.
    const fn documented(self) -> &'static str {
        match self {
            Self::Everybody => "everybody",
            Self::Known => "known",
            Self::Clients => "clients",
            Self::Admins => "admins",
            Self::Miners => "miners",
            Self::Validators => "validators",
            Self::Workers => "workers",
        }
    }

    fn allows(self, caller: As) -> bool {
        match caller {
            As::Nobody => self == Self::Everybody,
            As::Revoked => false,
            // Routes for everybody are for strangers too, once their signature holds.
            As::Stranger => self == Self::Everybody,
            As::Client => matches!(self, Self::Everybody | Self::Known | Self::Clients),
            As::Admin => {
                matches!(self, Self::Everybody | Self::Known | Self::Clients | Self::Admins)
            }
            As::Miner => {
                matches!(self, Self::Everybody | Self::Known | Self::Miners | Self::Workers)
            }
            As::Validator => matches!(
                self,
                Self::Everybody | Self::Known | Self::Clients | Self::Validators | Self::Workers
            ),
        }
    }
}

/// Each route with who may call it and a body that is right but for what it names.
fn routes() -> Vec<(For, &'static str, String, Option<Value>)> {
    let text = || Some(json!({ "text": TEXT.repeat(2), "target_language": "fr" }));
    let none = || Some(json!({}));
    let answer = Some(json!({
        "task_id": TASK, "miner_uid": 0, "response_data": { "audio_data": "x" },
    }));
    let judge = Some(json!({
        "task_id": TASK, "evaluation_data": [{ "miner_uid": 0, "accuracy": 1 }],
    }));
    let report = Some(json!({ "validator_uid": 200, "epoch": 1, "miner_statuses": [] }));
    let release = Some(json!({ "reason": "busy" }));
    let table: Vec<(For, &str, &str, Option<Value>)> = vec![
        (For::Everybody, "GET", "/livez", None),
        (For::Everybody, "GET", "/readyz", None),
        (For::Everybody, "GET", "/metrics", None),
        (For::Everybody, "GET", "/api/v1/health", None),
        (For::Everybody, "GET", "/api/v1/identity", None),
        (For::Everybody, "GET", "/openapi.json", None),
        (For::Everybody, "GET", "/docs", None),
        (For::Known, "GET", "/api/v1/leaderboard", None),
        (For::Known, "GET", "/api/v1/weights/current", None),
        (For::Known, "GET", "/api/v1/weights/export", None),
        (For::Known, "GET", "/api/v1/weights/0", None),
        (For::Known, "GET", "/api/v1/weights/0/explain", None),
        (For::Known, "GET", "/api/v1/performance-stats", None),
        (For::Clients, "GET", "/api/v1/usage", None),
        (For::Admins, "GET", "/api/v1/admin/audit", None),
        (For::Admins, "GET", "/api/v1/admin/roles", None),
        (For::Admins, "GET", "/api/v1/admin/quarantine", None),
        (For::Admins, "POST", "/api/v1/admin/quarantine/nonsense", none()),
        (For::Admins, "DELETE", "/api/v1/admin/quarantine/nonsense", None),
        (For::Admins, "GET", "/api/v1/admin/keys", None),
        (For::Admins, "POST", "/api/v1/admin/drain", none()),
        (For::Admins, "POST", "/api/v1/admin/keys", none()),
        (For::Admins, "GET", "/api/v1/admin/config", None),
        (For::Admins, "GET", "/api/v1/admin/keys/nonsense", None),
        (For::Admins, "PATCH", "/api/v1/admin/keys/nonsense", none()),
        (For::Admins, "DELETE", "/api/v1/admin/keys/nonsense", None),
        (For::Admins, "POST", "/api/v1/admin/keys/nonsense/rotate", none()),
        (For::Clients, "POST", "/api/v1/transcription", none()),
        (For::Clients, "POST", "/api/v1/tts", text()),
        (For::Clients, "POST", "/api/v1/summarization", text()),
        (For::Clients, "POST", "/api/v1/video-transcription", none()),
        (For::Clients, "POST", "/api/v1/text-translation", text()),
        (For::Clients, "POST", "/api/v1/document-translation", none()),
        (For::Clients, "POST", "/v1/audio/transcriptions", none()),
        (For::Clients, "POST", "/v1/audio/speech", none()),
        (For::Clients, "GET", "/v1/models", None),
        (For::Clients, "GET", "/v1/models/tts", None),
        (For::Clients, "POST", "/api/v1/tasks", none()),
        (For::Clients, "POST", "/api/v1/tasks/batch", none()),
        (For::Clients, "POST", "/api/v1/tasks/{task}/retry", none()),
        (For::Clients, "GET", "/api/v1/tasks", None),
        (For::Clients, "GET", "/api/v1/tasks/{task}", None),
        (For::Clients, "DELETE", "/api/v1/tasks/{task}", None),
        (For::Clients, "GET", "/api/v1/task/{task}/status", None),
        (For::Clients, "GET", "/api/v1/task/{task}/responses", None),
        (For::Clients, "GET", "/api/v1/tts/{task}/result", None),
        (For::Clients, "GET", "/api/v1/tasks/{task}/events", None),
        (For::Clients, "GET", "/api/v1/webhooks", None),
        (For::Clients, "POST", "/api/v1/webhooks", none()),
        (For::Clients, "GET", "/api/v1/webhooks/callback-secret", None),
        (For::Clients, "GET", "/api/v1/webhooks/{task}", None),
        (For::Clients, "DELETE", "/api/v1/webhooks/{task}", None),
        (For::Clients, "POST", "/api/v1/webhooks/{task}/rotate", None),
        (For::Clients, "GET", "/api/v1/webhooks/{task}/deliveries", None),
        (For::Clients, "POST", "/api/v1/deliveries/{task}/redeliver", None),
        (For::Clients, "POST", "/api/v1/files", none()),
        (For::Known, "GET", "/api/v1/files/{task}", None),
        (For::Known, "GET", "/api/v1/files/{task}/download", None),
        (For::Clients, "GET", "/api/v1/voices", None),
        (For::Clients, "POST", "/api/v1/voices", none()),
        (For::Clients, "GET", "/api/v1/voices/{task}", None),
        (For::Clients, "DELETE", "/api/v1/voices/{task}", None),
        (For::Workers, "POST", "/api/v1/miner/response", answer),
        (For::Miners, "POST", "/api/v1/miner/files", none()),
        (For::Miners, "POST", "/api/v1/miner/tts/upload-audio", none()),
        (For::Workers, "POST", "/api/v1/miner/tasks/{task}/heartbeat", none()),
        (For::Miners, "POST", "/api/v1/miner/tasks/{task}/release", release),
        (For::Miners, "GET", "/api/v1/miner/tts/{task}", None),
        (For::Miners, "GET", "/api/v1/miners/0/tasks", None),
        (For::Miners, "GET", "/api/v1/miners/0/view", None),
        (For::Known, "GET", "/api/v1/miners", None),
        (For::Known, "GET", "/api/v1/miners/network-status", None),
        (For::Known, "GET", "/api/v1/miners/0/stats", None),
        (For::Known, "GET", "/api/v1/miners/0/consensus", None),
        (For::Known, "GET", "/api/v1/miners/0/consensus/explain", None),
        (For::Known, "GET", "/api/v1/validators", None),
        (For::Known, "GET", "/api/v1/validators/nonsense", None),
        (For::Known, "GET", "/api/v1/validators/consensus-stats", None),
        (For::Known, "GET", "/api/v1/chain/metagraph", None),
        (For::Validators, "POST", "/api/v1/chain/metagraph", none()),
        (For::Known, "GET", "/api/v1/weights/submissions", None),
        (For::Validators, "POST", "/api/v1/weights/submissions", none()),
        (For::Known, "GET", "/api/v1/kinds", None),
        (For::Validators, "POST", "/api/v1/validators/miner-status", report),
        (
            For::Validators,
            "POST",
            "/api/v1/validators/mark-task-seen",
            Some(json!({"task_id": TASK})),
        ),
        (For::Validators, "POST", "/api/v1/scores", none()),
        (For::Validators, "GET", "/api/v1/validator/integration", None),
        (For::Validators, "POST", "/api/v1/validator/distribute", none()),
        (For::Validators, "GET", "/api/v1/validator/tasks", None),
        (For::Validators, "GET", "/api/v1/tasks/completed", None),
        (For::Validators, "POST", "/api/v1/validator/evaluation", judge),
        (For::Validators, "GET", "/api/v1/validator/200/evaluated_tasks", None),
    ];
    let whole = |(who, method, path, body): (For, &'static str, &str, Option<Value>)| {
        (who, method, path.replace("{task}", TASK), body)
    };
    table.into_iter().map(whole).collect()
}

fn check(route: &str, caller: As, allowed: bool, answer: &Answer) {
    let refused = [401, 403].contains(&answer.status);
    assert_eq!(!refused, allowed, "{route} as {caller:?}: {} {}", answer.status, answer.text());
    assert_ne!(answer.status, 405, "{route}: the table names a method that is none");
    if allowed {
        return;
    }
    match caller {
        As::Nobody | As::Revoked => drop(answer.problem(401, "unauthenticated")),
        As::Client | As::Admin | As::Miner | As::Validator | As::Stranger => {
            let told = answer.value();
            let code = told["code"].as_str().or(told["error"]["code"].as_str());
            let code = code.unwrap_or_default().to_owned();
            assert!(["forbidden", "not_registered"].contains(&code.as_str()), "{route}: {code}");
            answer.problem(403, &code);
        }
    }
}

#[tokio::test]
async fn every_route_is_for_whom_the_table_says_and_for_nobody_else() {
    let app = TestApp::start().await;
    let (m, v, stranger) = (miner(0), validator(0), Keypair::from_label("http-stranger"));
    let revoked = app.new_key("client admin").await;
    let id = revoked.split('_').nth(1).unwrap();
    let admin = Who::Bearer(&app.admin);
    app.send(admin, Call::delete(format!("/api/v1/admin/keys/{id}"))).await.is(204);
    let routes = routes();
    // HEAD is asked where GET is.
    assert_eq!(routes.len(), served().iter().filter(|(method, _)| method != "HEAD").count());
    for (who, method, path, body) in routes {
        let documented = app.contract.operation(method, &path).unwrap();
        assert_eq!(documented["x-callers"], who.documented(), "{method} {path}");
        let open = documented["security"] == json!([]);
        assert_eq!(open, who == For::Everybody, "{method} {path}");
        for caller in
            [As::Nobody, As::Revoked, As::Client, As::Admin, As::Miner, As::Validator, As::Stranger]
        {
            // Reports of this test say that the miner is gone; it comes back each time.
            app.report(&[&m]).await;
            app.advance(61_000);
            let proof = match caller {
                As::Nobody => Who::Nobody,
                As::Revoked => Who::Bearer(&revoked),
                As::Client => Who::ApiKey(&app.client),
                As::Admin => Who::Bearer(&app.admin),
                As::Miner => m.who(),
                As::Validator => v.who(),
                As::Stranger => Who::Signed(&stranger),
            };
            let call = Call::new(method, &path);
            let call = match &body {
                Some(body) => call.json(body),
                None => call,
            };
            let answer = app.send(proof, call).await;
            check(&format!("{method} {path}"), caller, who.allows(caller), &answer);
        }
    }
    app.finish().await;
}

#[tokio::test]
async fn a_configured_operator_signs_as_an_admin() {
    let operator = crate::support::Peer::named("http-operator", 9);
    let entry = crate::support::app::entry(&operator, pithead::config::Role::Operator, 0.0);
    let app = TestApp::with(|config| config.auth.hotkeys.push(entry)).await;
    app.send(operator.who(), Call::get("/api/v1/admin/keys")).await.ok();
    let task = app.submit_tts(&[]).await;
    app.send(operator.who(), Call::get(format!("/api/v1/tasks/{task}"))).await.ok();
    let report = app.send_report(&operator, &json!([])).await;
    report.problem(403, "not_registered");
    app.finish().await;
}

//! The main job: miners, validators, reports, tasks with slots and answers, evaluations, scores,
//! files, keys.

use sea_orm_migration::prelude::*;

/// See the module's docs.
#[derive(Debug)]
pub(crate) struct Migration;

impl MigrationName for Migration {
    fn name(&self) -> &'static str {
        "m20261121_000001_main_job"
    }
}

/// A column's type; every table is written down as text with these.
#[derive(Clone, Copy)]
enum Type {
    Uuid,
    Text,
    Int,
    Big,
    Bool,
    Bytes,
    Json,
}

struct Table {
    name: &'static str,
    /// `name` or `name?` for a nullable one.
    columns: &'static [(&'static str, Type)],
    key: &'static [&'static str],
    checks: &'static [&'static str],
}

use Type::{Big, Bool, Bytes, Int, Json, Text, Uuid};

const TABLES: &[Table] = &[
    Table {
        name: "registration",
        columns: &[
            ("id", Uuid),
            ("netuid", Int),
            ("uid", Int),
            ("hotkey", Text),
            ("registered_block", Big),
            ("coldkey?", Text),
            ("capacity", Int),
            ("live", Int),
            ("answered", Big),
            ("lost", Big),
            ("scored", Big),
            ("score_sum", Big),
            ("opened_at", Big),
            ("closed_at?", Big),
        ],
        key: &["id"],
        // `live <= capacity` is refused by the statement that opens leases. It is no CHECK, since
        // validators may agree on a smaller capacity while leases live.
        checks: &["live >= 0", "capacity >= 0"],
    },
    Table {
        name: "validator",
        columns: &[("id", Uuid), ("hotkey", Text), ("uid", Int), ("created_at", Big)],
        key: &["id"],
        checks: &[],
    },
    Table {
        name: "report",
        columns: &[
            ("id", Uuid),
            ("validator_id", Uuid),
            ("signed_order", Big),
            ("epoch", Big),
            ("sequence?", Big),
            ("partial", Bool),
            ("received_at", Big),
            ("statuses", Int),
            ("body_hash", Bytes),
            ("body", Bytes),
        ],
        key: &["id"],
        checks: &[],
    },
    Table {
        name: "verdict",
        columns: &[("uid", Int), ("round", Big), ("body", Json)],
        key: &["uid"],
        checks: &[],
    },
    Table {
        name: "task",
        columns: &[
            ("id", Uuid),
            ("owner", Text),
            ("kind", Text),
            ("state", Text),
            ("priority", Text),
            ("slots", Int),
            ("enough", Int),
            ("min_responses", Int),
            ("answered", Int),
            ("failed", Int),
            ("source_language", Text),
            ("target_language?", Text),
            ("model_id?", Text),
            ("voice_name?", Text),
            ("input_text?", Text),
            ("input_file?", Uuid),
            ("run_millis", Big),
            ("created_at", Big),
            ("deadline", Big),
            ("first_response_at?", Big),
            ("finished_at?", Big),
            ("best_slot?", Int),
        ],
        key: &["id"],
        checks: &[
            "state IN ('open','done','approved','failed','cancelled','expired')",
            "answered >= 0 AND failed >= 0 AND answered + failed <= slots",
        ],
    },
    Table {
        name: "slot",
        columns: &[
            ("task_id", Uuid),
            ("slot", Int),
            ("state", Text),
            ("attempt", Int),
            ("failures", Int),
            ("not_before", Big),
            ("holder_kind?", Text),
            ("holder?", Uuid),
            ("granted_at?", Big),
            ("fetched_at?", Big),
            ("expires_at?", Big),
        ],
        key: &["task_id", "slot"],
        checks: &[
            "state IN ('queued','offered','running','answered','failed','superseded')",
            "state NOT IN ('offered','running') OR (holder IS NOT NULL AND expires_at IS NOT NULL)",
        ],
    },
    Table {
        name: "attempt",
        columns: &[
            ("task_id", Uuid),
            ("slot", Int),
            ("attempt", Int),
            ("holder_kind", Text),
            ("holder", Uuid),
            ("reason", Text),
            ("granted_at", Big),
            ("fetched_at?", Big),
            ("ended_at", Big),
        ],
        key: &["task_id", "slot", "attempt"],
        checks: &[],
    },
    Table {
        name: "response",
        columns: &[
            ("task_id", Uuid),
            ("slot", Int),
            ("attempt", Int),
            ("holder", Uuid),
            ("registration_id?", Uuid),
            ("miner_uid", Int),
            ("body", Json),
            ("body_hash", Bytes),
            ("claims?", Json),
            ("elapsed_millis", Big),
            ("created_at", Big),
        ],
        key: &["task_id", "slot"],
        checks: &[],
    },
    Table {
        name: "evaluation",
        columns: &[
            ("task_id", Uuid),
            ("slot", Int),
            ("validator_id", Uuid),
            ("accuracy", Big),
            ("whole", Bool),
            ("score", Big),
            ("reward", Big),
            ("created_at", Big),
        ],
        key: &["task_id", "slot", "validator_id"],
        checks: &["accuracy BETWEEN 0 AND 1000000", "score BETWEEN 0 AND 1000000"],
    },
    Table {
        name: "score",
        columns: &[
            ("task_id", Uuid),
            ("slot", Int),
            ("registration_id", Uuid),
            ("kind", Text),
            ("score", Big),
            ("validators", Int),
            ("scored_at", Big),
        ],
        key: &["task_id", "slot"],
        checks: &["score BETWEEN 0 AND 1000000"],
    },
    Table {
        name: "file",
        columns: &[
            ("id", Uuid),
            ("owner", Text),
            ("sha256", Text),
            ("size", Big),
            ("content_type", Text),
            ("name", Text),
            ("created_at", Big),
            ("task_id?", Uuid),
        ],
        key: &["id"],
        checks: &["size >= 0"],
    },
    Table {
        name: "api_key",
        columns: &[
            ("id", Text),
            ("secret_hash", Bytes),
            ("name", Text),
            ("scopes", Text),
            ("created_at", Big),
            ("expires_at?", Big),
            ("revoked_at?", Big),
        ],
        key: &["id"],
        checks: &[],
    },
    Table {
        name: "replay",
        columns: &[("hotkey", Text), ("nonce", Big), ("seen_at", Big)],
        key: &["hotkey", "nonce"],
        checks: &[],
    },
    Table {
        name: "idempotency",
        columns: &[
            ("caller", Text),
            ("key", Text),
            ("body_hash", Text),
            ("task_id", Uuid),
            ("created_at", Big),
        ],
        key: &["caller", "key"],
        checks: &[],
    },
];

/// Partial indexes hold open work only, so that their cost does not grow with history.
const INDEXES: &[&str] = &[
    "CREATE UNIQUE INDEX registration_identity ON registration (netuid, uid, hotkey, registered_block)",
    "CREATE UNIQUE INDEX registration_open ON registration (netuid, uid) WHERE closed_at IS NULL",
    "CREATE UNIQUE INDEX validator_hotkey ON validator (hotkey)",
    "CREATE INDEX report_newest ON report (validator_id, signed_order)",
    "CREATE INDEX report_age ON report (received_at)",
    "CREATE INDEX task_owner ON task (owner, id)",
    "CREATE INDEX task_open ON task (deadline) WHERE state = 'open'",
    "CREATE INDEX task_done ON task (id) WHERE state = 'done'",
    "CREATE INDEX task_input_file ON task (input_file) WHERE input_file IS NOT NULL",
    "CREATE INDEX slot_due ON slot (expires_at) WHERE state IN ('offered','running')",
    "CREATE INDEX evaluation_mine ON evaluation (validator_id, created_at)",
    "CREATE INDEX score_of ON score (registration_id, kind, scored_at)",
    "CREATE INDEX file_blob ON file (sha256)",
    "CREATE INDEX replay_age ON replay (seen_at)",
    "CREATE INDEX idempotency_age ON idempotency (created_at)",
];

fn column(name: &str, kind: Type) -> ColumnDef {
    let (name, nullable) = name.strip_suffix('?').map_or((name, false), |name| (name, true));
    let mut column = ColumnDef::new(Alias::new(name));
    match kind {
        Uuid => column.uuid(),
        Text => column.text(),
        Int => column.integer(),
        Big => column.big_integer(),
        Bool => column.boolean(),
        Bytes => column.binary(),
        Json => column.json(),
    };
    if !nullable {
        column.not_null();
    }
    column
}

#[expect(elided_lifetimes_in_paths, reason = "as the trait declares them")]
#[async_trait::async_trait]
impl MigrationTrait for Migration {
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        for table in TABLES {
            let mut create = sea_query::Table::create();
            create.table(Alias::new(table.name));
            for &(name, kind) in table.columns {
                create.col(column(name, kind));
            }
            let mut key = sea_query::Index::create();
            for &name in table.key {
                key.col(Alias::new(name));
            }
            create.primary_key(&mut key);
            for &check in table.checks {
                create.check(Expr::cust(check));
            }
            manager.create_table(create).await?;
        }
        for &index in INDEXES {
            manager.get_connection().execute_unprepared(index).await?;
        }
        Ok(())
    }

    async fn down(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        for table in TABLES.iter().rev() {
            manager
                .drop_table(sea_query::Table::drop().table(Alias::new(table.name)).take())
                .await?;
        }
        Ok(())
    }
}

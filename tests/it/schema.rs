//! The migrated schema and the entities say the same, on both databases; and migrations go down and
//! up again.

use std::collections::BTreeMap;

use pithead::store::sql::{Location, migrate};
use pithead_entities as e;
use pithead_migration::{Migrator, MigratorTrait};
use sea_orm::sea_query::ColumnType;
use sea_orm::{
    ColumnTrait, ConnectionTrait, Database, DatabaseConnection, DbBackend, EntityTrait, IdenStatic,
    Iterable, QueryOrder, Statement,
};

use crate::support::postgres;

/// By table, its columns, each as `kind`, `kind?` when nullable, `kind*` when part of the key.
type Schema = BTreeMap<String, BTreeMap<String, String>>;

/// Tables that are nobody's entities.
const NOT_OURS: &[&str] = &["seaql_migrations", "pithead_migration_lock"];

fn entities() -> Schema {
    let mut schema = Schema::new();
    entity::<e::api_key::Entity>(&mut schema);
    entity::<e::archive::Entity>(&mut schema);
    entity::<e::attempt::Entity>(&mut schema);
    entity::<e::audit::Entity>(&mut schema);
    entity::<e::callback_secret::Entity>(&mut schema);
    entity::<e::delivery::Entity>(&mut schema);
    entity::<e::evaluation::Entity>(&mut schema);
    entity::<e::file::Entity>(&mut schema);
    entity::<e::idempotency::Entity>(&mut schema);
    entity::<e::metagraph::Entity>(&mut schema);
    entity::<e::miner_kind_record::Entity>(&mut schema);
    entity::<e::miner_performance_kind::Entity>(&mut schema);
    entity::<e::miner_performance_stats::Entity>(&mut schema);
    entity::<e::pushed_score::Entity>(&mut schema);
    entity::<e::quarantine::Entity>(&mut schema);
    entity::<e::registration::Entity>(&mut schema);
    entity::<e::replay::Entity>(&mut schema);
    entity::<e::report::Entity>(&mut schema);
    entity::<e::response::Entity>(&mut schema);
    entity::<e::round::Entity>(&mut schema);
    entity::<e::score::Entity>(&mut schema);
    entity::<e::score_day::Entity>(&mut schema);
    entity::<e::score_hour::Entity>(&mut schema);
    entity::<e::slot::Entity>(&mut schema);
    entity::<e::submission::Entity>(&mut schema);
    entity::<e::task::Entity>(&mut schema);
    entity::<e::usage_day::Entity>(&mut schema);
    entity::<e::validator::Entity>(&mut schema);
    entity::<e::verdict::Entity>(&mut schema);
    entity::<e::voice::Entity>(&mut schema);
    entity::<e::voice_day::Entity>(&mut schema);
    entity::<e::webhook::Entity>(&mut schema);
    entity::<e::weight_run::Entity>(&mut schema);
    entity::<e::work_day::Entity>(&mut schema);
    schema
}

fn entity<E: EntityTrait>(schema: &mut Schema) {
    let key: Vec<_> = E::PrimaryKey::iter().map(|column| column.as_str().to_owned()).collect();
    let column = |column: E::Column| {
        let (name, definition) = (column.as_str().to_owned(), column.def());
        let kind = kind_of(definition.get_column_type());
        let mark = mark(definition.is_null(), key.contains(&name));
        (name, format!("{kind}{mark}"))
    };
    let table = E::default().table_name().to_owned();
    schema.insert(table, E::Column::iter().map(column).collect());
}

fn mark(nullable: bool, in_key: bool) -> &'static str {
    match (nullable, in_key) {
        (_, true) => "*",
        (true, false) => "?",
        (false, false) => "",
    }
}

fn kind_of(column: &ColumnType) -> &'static str {
    match column {
        ColumnType::Uuid => "uuid",
        ColumnType::String(_) | ColumnType::Text => "text",
        ColumnType::Integer => "int",
        ColumnType::BigInteger => "big",
        ColumnType::Double => "real",
        ColumnType::Boolean => "bool",
        ColumnType::VarBinary(_) | ColumnType::Binary(_) | ColumnType::Blob => "bytes",
        ColumnType::Json | ColumnType::JsonBinary => "json",
        other => panic!("no column has the type {other:?}"),
    }
}

/// The kind of a declared type, as either database writes it.
fn kind_in(declared: &str) -> &'static str {
    // SQLite keeps a length that means nothing to it.
    let declared = declared.to_lowercase();
    match declared.split('(').next().unwrap_or_default() {
        "uuid" | "uuid_text" => "uuid",
        "text" | "varchar" | "character varying" => "text",
        "integer" => "int",
        "bigint" => "big",
        "double" | "double precision" => "real",
        "boolean" => "bool",
        "blob" | "bytea" => "bytes",
        "json" | "json_text" => "json",
        other => panic!("no column is declared `{other}`"),
    }
}

const SQLITE: &str = "SELECT t.name AS \"table\", c.name AS \"column\", c.type AS declared, \
    c.\"notnull\" = 0 AS nullable, c.pk > 0 AS in_key \
    FROM sqlite_schema t JOIN pragma_table_info(t.name) c \
    WHERE t.type = 'table' AND t.name NOT LIKE 'sqlite_%'";

const POSTGRES: &str = "SELECT c.table_name::text AS \"table\", c.column_name::text AS \"column\", \
    c.data_type::text AS declared, c.is_nullable = 'YES' AS nullable, \
    EXISTS (SELECT 1 FROM information_schema.key_column_usage k \
      JOIN information_schema.table_constraints n ON n.constraint_name = k.constraint_name \
        AND n.table_name = k.table_name AND n.constraint_type = 'PRIMARY KEY' \
      WHERE k.table_name = c.table_name AND k.column_name = c.column_name) AS in_key \
    FROM information_schema.columns c WHERE c.table_schema = 'public'";

async fn database(db: &DatabaseConnection) -> Schema {
    let backend = db.get_database_backend();
    let query = if backend == DbBackend::Sqlite { SQLITE } else { POSTGRES };
    let mut schema = Schema::new();
    for row in db.query_all_raw(Statement::from_string(backend, query)).await.unwrap() {
        let text = |column: &str| -> String { row.try_get("", column).unwrap() };
        let holds = |column: &str| -> bool { row.try_get("", column).unwrap() };
        let table = text("table");
        if NOT_OURS.contains(&table.as_str()) {
            continue;
        }
        let kind = kind_in(&text("declared"));
        let described = format!("{kind}{}", mark(holds("nullable"), holds("in_key")));
        schema.entry(table).or_default().insert(text("column"), described);
    }
    schema
}

/// The entities as this database can tell them: SQLite has one kind of integer.
fn expected(db: &DatabaseConnection) -> Schema {
    let mut schema = entities();
    if db.get_database_backend() == DbBackend::Sqlite {
        for described in schema.values_mut().flat_map(BTreeMap::values_mut) {
            *described = described.replace("big", "int");
        }
    }
    schema
}

async fn the_schema_equals_the_entities_before_and_after_down_and_up(
    location: Location,
    url: &str,
) {
    migrate(&location).await.unwrap();
    let db = Database::connect(url).await.unwrap();
    assert_eq!(database(&db).await, expected(&db));
    Migrator::down(&db, None).await.unwrap();
    assert_eq!(database(&db).await, Schema::new(), "down leaves nothing");
    Migrator::up(&db, None).await.unwrap();
    assert_eq!(database(&db).await, expected(&db), "up again");
    db.close().await.unwrap();
    migrate(&location).await.unwrap();
}

#[tokio::test]
async fn entities_are_the_schema_of_sqlite() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("pithead.db");
    let url = format!("sqlite:{}", file.display());
    the_schema_equals_the_entities_before_and_after_down_and_up(Location::Sqlite(file), &url).await;
}

#[tokio::test]
async fn entities_are_the_schema_of_postgres() {
    let Some(url) = postgres::database().await else { return };
    let location = Location::Postgres(url.clone());
    the_schema_equals_the_entities_before_and_after_down_and_up(location, &url).await;
}

/// A file beside the others that nobody listed above would not be compared.
#[test]
fn every_entity_is_compared() {
    let files = std::fs::read_dir(concat!(env!("CARGO_MANIFEST_DIR"), "/entities/src")).unwrap();
    let names = files.map(|file| file.unwrap().file_name().into_string().unwrap());
    let mut tables: Vec<_> =
        names.filter_map(|name| name.strip_suffix(".rs").map(ToOwned::to_owned)).collect();
    tables.retain(|table| table != "lib");
    tables.sort_unstable();
    assert_eq!(tables, entities().into_keys().collect::<Vec<_>>());
}

/// A database of before files had an end: its files are dated by their age, its keys stand for tasks.
async fn rows_of_before_are_kept(url: &str) {
    let db = Database::connect(url).await.unwrap();
    let new = "m20261121_000007_files_and_voices";
    let before = Migrator::migrations().iter().take_while(|step| step.name() != new).count();
    Migrator::up(&db, Some(u32::try_from(before).unwrap())).await.unwrap();
    let id = match db.get_database_backend() {
        DbBackend::Sqlite => "x'0197a0d0000070008000000000000000'",
        _ => "'0197a0d0-0000-7000-8000-000000000000'",
    };
    for insert in [
        format!(
            "INSERT INTO file (id, owner, sha256, size, content_type, name, created_at) \
             VALUES ({id}, 'alice', 'ab', 3, 'audio/wav', 'a.wav', 5)"
        ),
        format!(
            "INSERT INTO idempotency (caller, key, body_hash, task_id, created_at) \
             VALUES ('alice', 'k', 'cd', {id}, 5)"
        ),
    ] {
        db.execute_unprepared(&insert).await.unwrap();
    }
    Migrator::up(&db, None).await.unwrap();
    let files = e::file::Entity::find().all(&db).await.unwrap();
    let dated: Vec<_> = files.iter().map(|file| (file.size, file.expires_at)).collect();
    assert_eq!(dated, [(3, None)]);
    let keys = e::idempotency::Entity::find().all(&db).await.unwrap();
    let kept: Vec<_> = keys.iter().map(|key| (key.made.as_str(), key.made_id)).collect();
    assert_eq!(kept, [("task", files[0].id)]);
    db.close().await.unwrap();
}

/// Submissions of before their steps were dated: they are dated by what was known of them.
async fn submissions_of_before_are_dated(url: &str) {
    let db = Database::connect(url).await.unwrap();
    let new = "m20261121_000016_credit";
    let before = Migrator::migrations().iter().take_while(|step| step.name() != new).count();
    Migrator::up(&db, Some(u32::try_from(before).unwrap())).await.unwrap();
    let rows = [
        ("calculated", "NULL", "NULL"),
        ("committed", "NULL", "NULL"),
        ("settled", "7", "8"),
        ("failed", "NULL", "NULL"),
    ];
    for (block, (state, revealed, counted)) in rows.into_iter().enumerate() {
        db.execute_unprepared(&format!(
            "INSERT INTO submission (netuid, validator_hotkey, block, validator_uid, mode, state, \
             weights, revealed_block, consensus_block, delay_blocks, created_at, updated_at) \
             VALUES (5, 'one', {block}, 3, 'commit_reveal', '{state}', '[]', {revealed}, {counted}, \
             1, 10, 20)"
        ))
        .await
        .unwrap();
    }
    Migrator::up(&db, None).await.unwrap();
    let rows = e::submission::Entity::find().order_by_asc(e::submission::Column::Block);
    let rows = rows.all(&db).await.unwrap();
    let heard = |row: &e::submission::Model| {
        [row.sent_at, row.revealed_at, row.settled_at, row.ended_at].map(|at| at.unwrap_or(0))
    };
    let heard: Vec<_> = rows.iter().map(heard).collect();
    assert_eq!(heard, [[0, 0, 0, 0], [10, 0, 0, 0], [10, 20, 20, 0], [10, 0, 0, 20]]);
    db.close().await.unwrap();
}

#[tokio::test]
async fn submissions_of_before_are_dated_on_sqlite() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("a.db");
    submissions_of_before_are_dated(&format!("sqlite:{}?mode=rwc", file.display())).await;
}

#[tokio::test]
async fn submissions_of_before_are_dated_on_postgres() {
    let Some(url) = postgres::database().await else { return };
    submissions_of_before_are_dated(&url).await;
}

#[tokio::test]
async fn rows_of_before_are_kept_on_sqlite() {
    let dir = tempfile::tempdir().unwrap();
    rows_of_before_are_kept(&format!("sqlite:{}?mode=rwc", dir.path().join("a.db").display()))
        .await;
}

#[tokio::test]
async fn rows_of_before_are_kept_on_postgres() {
    let Some(url) = postgres::database().await else { return };
    rows_of_before_are_kept(&url).await;
}

//! All rows of a database in the form of [`Dump`], through the entities.

use pithead::store::model::{Cell, Dump};
use pithead::store::sql::SqlStore;
use pithead_entities as e;
use sea_orm::{DatabaseConnection, EntityTrait, IdenStatic, Iterable, ModelTrait, Value};

/// Numbers of transactions, which group commit makes as it likes; what follows from them is read.
const NOT_DUMPED: &[&str] = &["done_order"];

/// Everything that the store holds.
pub(super) async fn of(store: &SqlStore) -> Dump {
    let db = store.readers();
    let mut dump = Dump::default();
    table::<e::registration::Entity>(&mut dump, db).await;
    table::<e::validator::Entity>(&mut dump, db).await;
    table::<e::verdict::Entity>(&mut dump, db).await;
    table::<e::miner_kind_record::Entity>(&mut dump, db).await;
    table::<e::task::Entity>(&mut dump, db).await;
    table::<e::slot::Entity>(&mut dump, db).await;
    table::<e::attempt::Entity>(&mut dump, db).await;
    table::<e::response::Entity>(&mut dump, db).await;
    table::<e::evaluation::Entity>(&mut dump, db).await;
    table::<e::score::Entity>(&mut dump, db).await;
    table::<e::audit::Entity>(&mut dump, db).await;
    table::<e::submission::Entity>(&mut dump, db).await;
    table::<e::score_day::Entity>(&mut dump, db).await;
    table::<e::pushed_score::Entity>(&mut dump, db).await;
    table::<e::score_hour::Entity>(&mut dump, db).await;
    table::<e::voice_day::Entity>(&mut dump, db).await;
    table::<e::work_day::Entity>(&mut dump, db).await;
    table::<e::usage_day::Entity>(&mut dump, db).await;
    table::<e::miner_performance_stats::Entity>(&mut dump, db).await;
    table::<e::miner_performance_kind::Entity>(&mut dump, db).await;
    table::<e::file::Entity>(&mut dump, db).await;
    table::<e::voice::Entity>(&mut dump, db).await;
    table::<e::api_key::Entity>(&mut dump, db).await;
    table::<e::quarantine::Entity>(&mut dump, db).await;
    table::<e::webhook::Entity>(&mut dump, db).await;
    table::<e::delivery::Entity>(&mut dump, db).await;
    table::<e::callback_secret::Entity>(&mut dump, db).await;
    table::<e::replay::Entity>(&mut dump, db).await;
    table::<e::idempotency::Entity>(&mut dump, db).await;
    // Reports and minutes are compressed; what counts is what was compressed.
    let reports = e::report::Entity::find().all(db).await.unwrap().into_iter().map(|mut report| {
        report.body = zstd::decode_all(report.body.as_slice()).unwrap();
        line::<e::report::Entity>(&report)
    });
    dump.table("report", reports.collect());
    let rounds = e::round::Entity::find().all(db).await.unwrap().into_iter().map(|mut round| {
        round.body = zstd::decode_all(round.body.as_slice()).unwrap();
        line::<e::round::Entity>(&round)
    });
    dump.table("round", rounds.collect());
    let archived = e::archive::Entity::find().all(db).await.unwrap();
    let archived = archived.into_iter().map(|mut archived| {
        archived.body = zstd::decode_all(archived.body.as_slice()).unwrap();
        line::<e::archive::Entity>(&archived)
    });
    dump.table("archive", archived.collect());
    let runs = e::weight_run::Entity::find().all(db).await.unwrap().into_iter().map(|mut run| {
        run.body = zstd::decode_all(run.body.as_slice()).unwrap();
        line::<e::weight_run::Entity>(&run)
    });
    dump.table("weight_run", runs.collect());
    let snapshots = e::metagraph::Entity::find().all(db).await.unwrap();
    let snapshots = snapshots.into_iter().map(|mut snapshot| {
        snapshot.body = zstd::decode_all(snapshot.body.as_slice()).unwrap();
        line::<e::metagraph::Entity>(&snapshot)
    });
    dump.table("metagraph", snapshots.collect());
    dump
}

async fn table<E: EntityTrait>(dump: &mut Dump, db: &DatabaseConnection) {
    let rows = E::find().all(db).await.unwrap();
    dump.table(E::default().table_name(), rows.iter().map(line::<E>).collect());
}

fn line<E: EntityTrait>(row: &E::Model) -> String {
    let column = |column: E::Column| format!("{}={}", column.as_str(), text(row.get(column)));
    let columns = E::Column::iter().filter(|column| !NOT_DUMPED.contains(&column.as_str()));
    columns.map(column).collect::<Vec<_>>().join(" ")
}

fn text(value: Value) -> String {
    match value {
        Value::Bool(value) => value.cell(),
        Value::Int(value) => value.cell(),
        Value::BigInt(value) => value.cell(),
        Value::Double(value) => value.cell(),
        Value::String(value) => value.cell(),
        Value::Bytes(value) => value.as_deref().cell(),
        Value::Uuid(value) => value.cell(),
        Value::Json(value) => value.map(|json| *json).cell(),
        other => panic!("no column has the type of {other:?}"),
    }
}

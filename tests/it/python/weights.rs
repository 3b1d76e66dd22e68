//! The vector as the real SDK makes it out of the same weights.

use pithead::domain::weights::upscale;
use proptest::strategy::{Strategy, ValueTree};
use proptest::test_runner::TestRunner;
use proptest::{collection, prop_oneof};
use tokio::process::Command;

use super::{said_to, venv};

/// Reads lists of weights, says what the SDK would submit of each.
const NORMALIZE: &str = "
import json, sys
from bittensor.intents.weights import normalize
for line in sys.stdin:
    weights = json.loads(line)
    print(json.dumps(normalize(list(range(len(weights))), weights)))
";

/// Shares, far too small ones, and those that fall between two numbers.
fn vectors() -> Vec<Vec<f64>> {
    let weight = prop_oneof![
        4 => 0.0..1.0_f64,
        1 => 0.0..1e-5_f64,
        1 => (0..131_070_u32).prop_map(|half| f64::from(half) / 131_070.0),
        1 => proptest::strategy::Just(0.0),
    ];
    let vector = collection::vec(weight, 0..256);
    let mut runner = TestRunner::deterministic();
    let mut vectors: Vec<_> =
        (0..500).map(|_| vector.new_tree(&mut runner).unwrap().current()).collect();
    vectors.extend([vec![], vec![0.0; 3], vec![0.1, 0.7, 0.2], vec![65_535.0, 0.5, 1.5, 2.5]]);
    vectors
}

#[tokio::test]
async fn the_vector_is_the_one_that_the_sdk_submits() {
    let Some(python) = venv::python() else { return };
    let mut command = Command::new(python);
    command.args(["-c", NORMALIZE]);
    let vectors = vectors();
    let lines: Vec<_> = vectors.iter().map(|v| serde_json::to_string(v).unwrap()).collect();
    let out = said_to(command, lines.join("\n")).await;
    let theirs: Vec<(Vec<usize>, Vec<u16>)> =
        out.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!(theirs.len(), vectors.len());
    for (weights, theirs) in vectors.iter().zip(theirs) {
        let ours = upscale(weights).into_iter().enumerate().filter(|(_, weight)| *weight > 0);
        assert_eq!(ours.unzip::<_, _, Vec<_>, Vec<_>>(), theirs, "{weights:?}");
    }
}

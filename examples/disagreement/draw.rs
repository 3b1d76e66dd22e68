//! The curves as a table, as a plot in the terminal, and as SVG.

use std::fmt::Write as _;

use super::figures::Curve;

type Curves = [(Curve, Vec<f64>)];

const MARKS: [char; 4] = ['s', 'm', 'r', 'o'];
const COLOURS: [&str; 4] = ["#c0392b", "#e67e22", "#2471a3", "#1e8449"];
/// Errors above this leave the picture.
const TOP: f64 = 0.3;
const ROWS: usize = 18;

pub(crate) fn table(shares: &[u32], curves: &Curves) -> String {
    let mut text = "liars %".to_owned();
    for (curve, _) in curves {
        write!(text, "{:>18}", curve.name()).ok();
    }
    text.push('\n');
    for (place, share) in shares.iter().enumerate() {
        write!(text, "{share:>7}").ok();
        for (_, errors) in curves {
            write!(text, "{:>18.1}", errors.get(place).copied().unwrap_or(0.0) * 1e3).ok();
        }
        text.push('\n');
    }
    text
}

/// The height in rows, by the square root: small errors matter and must be told apart.
fn height(error: f64, rows: f64) -> f64 {
    (error / TOP).min(1.0).sqrt() * rows
}

pub(crate) fn plot(shares: &[u32], curves: &Curves) -> String {
    let width = shares.len() * 4;
    let mut grid = vec![vec![' '; width]; ROWS + 1];
    for (place, (_, errors)) in curves.iter().enumerate() {
        for (column, error) in errors.iter().enumerate() {
            let row = ROWS - height(*error, ROWS as f64).round() as usize;
            let cell = grid.get_mut(row).and_then(|cells| cells.get_mut(column * 4 + place));
            if let (Some(cell), Some(mark)) = (cell, MARKS.get(place)) {
                *cell = *mark;
            }
        }
    }
    let mut text = String::new();
    for (row, cells) in grid.iter().enumerate() {
        let share = (ROWS - row) as f64 / ROWS as f64;
        let line: String = cells.iter().collect();
        writeln!(text, "{:>6.3} |{}", share * share * TOP, line.trim_end()).ok();
    }
    writeln!(text, "       +{}", "-".repeat(width)).ok();
    let ticks: String = shares.iter().map(|share| format!("{share:<4}")).collect();
    writeln!(text, "        {ticks}% of the weight lies").ok();
    let legend =
        curves.iter().zip(MARKS).map(|((curve, _), mark)| format!("{mark} {}", curve.name()));
    writeln!(text, "        {}", legend.collect::<Vec<_>>().join(", ")).ok();
    text
}

pub(crate) fn svg(shares: &[u32], curves: &Curves) -> String {
    let (wide, high) = (640.0, 320.0);
    let x = |share: u32| 60.0 + f64::from(share) / 70.0 * wide;
    let y = |error: f64| 30.0 + high - height(error, high);
    let mut text = "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 860 410\" \
        font-family=\"sans-serif\" font-size=\"13\">\n<rect width=\"860\" height=\"410\" fill=\"white\"/>\n"
        .to_owned();
    for error in [0.0, 0.005, 0.02, 0.05, 0.1, 0.2, 0.3] {
        let y = y(error);
        writeln!(text, "<path d=\"M60 {y:.1}H700\" stroke=\"#ddd\"/>").ok();
        writeln!(text, "<text x=\"52\" y=\"{:.1}\" text-anchor=\"end\">{error}</text>", y + 4.0)
            .ok();
    }
    for share in (0..=70).step_by(10) {
        writeln!(
            text,
            "<text x=\"{:.0}\" y=\"368\" text-anchor=\"middle\">{share}</text>",
            x(share)
        )
        .ok();
    }
    text.push_str(
        "<text x=\"380\" y=\"395\" text-anchor=\"middle\">% of the weight that lies</text>\n",
    );
    text.push_str(
        "<text x=\"60\" y=\"18\">mean error of the performance score, worst attack</text>\n",
    );
    for (place, (curve, errors)) in curves.iter().enumerate() {
        let colour = COLOURS.get(place).copied().unwrap_or("black");
        let points = shares
            .iter()
            .zip(errors)
            .map(|(share, error)| format!("{:.1},{:.1}", x(*share), y(*error)));
        let points = points.collect::<Vec<_>>().join(" ");
        writeln!(
            text,
            "<polyline points=\"{points}\" fill=\"none\" stroke=\"{colour}\" stroke-width=\"2\"/>"
        )
        .ok();
        let line = 60 + place * 22;
        writeln!(text, "<text x=\"712\" y=\"{line}\" fill=\"{colour}\">{}</text>", curve.name())
            .ok();
    }
    text.push_str("</svg>\n");
    text
}

//! The ledger as a table, as bars in the terminal, and as SVG.

use std::fmt::Write as _;

use super::KINDS;
use super::play::Line;

const COLOURS: [&str; 3] = ["#2471a3", "#1e8449", "#b9770e"];
const MARKS: [char; 3] = ['w', 'g', 's'];
/// Cells of the widest bar in the terminal.
const CELLS: f64 = 48.0;

fn short(hotkey: &str) -> String {
    hotkey.chars().take(8).collect()
}

fn largest(lines: &[Line], of: impl Fn(&Line) -> f64) -> f64 {
    lines.iter().map(of).fold(f64::MIN_POSITIVE, f64::max)
}

/// The best first.
fn sorted(lines: &[Line]) -> Vec<&Line> {
    let mut sorted: Vec<&Line> = lines.iter().collect();
    sorted.sort_by(|a, b| b.weight.total_cmp(&a.weight));
    sorted
}

pub(crate) fn table(lines: &[Line]) -> String {
    let mut text = format!(
        "{:>3} {:<8} {:>9} {:>6} {:>9} {:>9} {:>9} {:<10} {:>9} {:>9} {:>9}\n",
        "uid",
        "hotkey",
        "since",
        "scores",
        "E",
        "D",
        "raw",
        "pathway",
        "weight",
        "on chain",
        "incentive"
    );
    let share = |share: Option<f64>| share.map_or("-".to_owned(), |share| format!("{share:.6}"));
    for line in sorted(lines) {
        writeln!(
            text,
            "{:>3} {:<8} {:>9} {:>6} {:>9.6} {:>9.6} {:>9.6} {:<10} {:>9.6} {:>9} {:>9}",
            line.uid,
            short(&line.hotkey),
            line.since,
            line.scores,
            line.excellence,
            line.diversity,
            line.raw,
            line.pathway,
            line.weight,
            share(line.submitted),
            share(line.incentive),
        )
        .ok();
    }
    text
}

/// What each kind adds to D, with E as `|`.
pub(crate) fn plot(lines: &[Line]) -> String {
    let most = largest(lines, |line| line.raw);
    let cells = |value: f64| (value / most * CELLS).round() as usize;
    let mut text = String::new();
    for line in sorted(lines) {
        let mut bar = String::new();
        let mut sum = 0.0;
        for (part, mark) in line.parts.iter().zip(MARKS) {
            sum += part;
            while bar.len() < cells(sum) {
                bar.push(mark);
            }
        }
        let excellence = cells(line.excellence);
        if line.excellence > 0.0 {
            let gap = excellence.saturating_sub(bar.len());
            bar.push_str(&" ".repeat(gap));
            bar.insert(excellence.min(bar.len()), '|');
        }
        writeln!(text, "{:>3} {bar}", line.uid).ok();
    }
    let legend = KINDS.iter().zip(MARKS).map(|((kind, ..), mark)| format!("{mark} {kind}"));
    let legend = legend.collect::<Vec<_>>().join(", ");
    writeln!(text, "    diversity by kind: {legend}; | excellence, and the larger one counts").ok();
    text
}

/// Columns of the picture: where each begins, how wide it is, and its title.
const PATHWAYS: (f64, f64, &str) = (110.0, 330.0, "diversity by kind, and excellence ◆");
const RAW: (f64, f64, &str) = (460.0, 150.0, "raw: the larger");
const WEIGHT: (f64, f64, &str) = (630.0, 150.0, "weight");
const INCENTIVE: (f64, f64, &str) = (800.0, 150.0, "incentive");
const ROW: f64 = 26.0;
const TOP: f64 = 62.0;

pub(crate) fn svg(lines: &[Line]) -> String {
    let high = TOP + ROW * lines.len() as f64 + 30.0;
    let mut text = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 970 {high}\" \
         font-family=\"sans-serif\" font-size=\"12\">\n\
         <rect width=\"970\" height=\"{high}\" fill=\"white\"/>\n"
    );
    for (x, _, title) in [PATHWAYS, RAW, WEIGHT, INCENTIVE] {
        writeln!(text, "<text x=\"{x}\" y=\"48\" font-weight=\"bold\">{title}</text>").ok();
    }
    for (place, ((kind, ..), colour)) in KINDS.iter().zip(COLOURS).enumerate() {
        let x = 110.0 + place as f64 * 120.0;
        let at = x + 16.0;
        writeln!(text, "<rect x=\"{x}\" y=\"12\" width=\"11\" height=\"11\" fill=\"{colour}\"/>")
            .ok();
        writeln!(text, "<text x=\"{at}\" y=\"22\">{kind}</text>").ok();
    }
    let most = largest(lines, |line| line.raw);
    let weight = largest(lines, |line| line.weight);
    let paid = largest(lines, |line| line.incentive.unwrap_or(0.0));
    for (place, line) in sorted(lines).into_iter().enumerate() {
        let y = TOP + ROW * place as f64;
        writeln!(
            text,
            "<text x=\"102\" y=\"{:.0}\" text-anchor=\"end\">{} {}</text>",
            y + 14.0,
            line.uid,
            short(&line.hotkey)
        )
        .ok();
        pathways(&mut text, line, y, most);
        let colour = if line.pathway == "excellence" { "#c0392b" } else { "#5d6d7e" };
        bar(&mut text, RAW, y, line.raw / most, colour, format!("{:.3}", line.raw));
        let share = |share: f64| format!("{:.2} %", share * 100.0);
        bar(&mut text, WEIGHT, y, line.weight / weight, "#7d3c98", share(line.weight));
        let incentive = line.incentive.unwrap_or(0.0);
        bar(&mut text, INCENTIVE, y, incentive / paid, "#148f77", share(incentive));
    }
    let y = high - 10.0;
    writeln!(
        text,
        "<text x=\"110\" y=\"{y}\" fill=\"#555\">red: the excellence pathway counts · grey: the \
         diversity pathway</text>\n</svg>"
    )
    .ok();
    text
}

fn pathways(text: &mut String, line: &Line, y: f64, most: f64) {
    let (left, wide, _) = PATHWAYS;
    let scale = |value: f64| value / most * wide;
    let mut x = left;
    for (part, colour) in line.parts.iter().zip(COLOURS) {
        let width = scale(*part);
        writeln!(
            text,
            "<rect x=\"{x:.1}\" y=\"{y}\" width=\"{width:.1}\" height=\"18\" fill=\"{colour}\"/>"
        )
        .ok();
        x += width;
    }
    if line.excellence > 0.0 {
        let (x, y) = (left + scale(line.excellence), y + 9.0);
        writeln!(
            text,
            "<path d=\"M{:.1} {y}l6 -7l6 7l-6 7z\" fill=\"#c0392b\" stroke=\"white\"/>",
            x - 6.0
        )
        .ok();
    }
}

fn bar(text: &mut String, at: (f64, f64, &str), y: f64, of: f64, colour: &str, label: String) {
    let (x, wide, _) = at;
    // Room for the label behind the longest.
    let width = of * (wide - 55.0);
    let (label_x, label_y) = (x + width + 5.0, y + 14.0);
    writeln!(
        text,
        "<rect x=\"{x}\" y=\"{y}\" width=\"{width:.1}\" height=\"18\" fill=\"{colour}\"/>\n\
         <text x=\"{label_x:.1}\" y=\"{label_y}\">{label}</text>"
    )
    .ok();
}

//! Tables as RFC 4180 has them, safe to open in a spreadsheet: a text that a spreadsheet would take
//! for a formula has an apostrophe in front.

/// One cell.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Cell {
    /// Somebody's text.
    Text(String),
    /// A number of ours.
    Number(String),
    /// Nothing.
    Empty,
}

impl From<String> for Cell {
    fn from(text: String) -> Self {
        Self::Text(text)
    }
}

impl From<&str> for Cell {
    fn from(text: &str) -> Self {
        Self::Text(text.to_owned())
    }
}

impl From<i64> for Cell {
    fn from(number: i64) -> Self {
        Self::Number(number.to_string())
    }
}

impl From<f64> for Cell {
    fn from(number: f64) -> Self {
        Self::Number(number.to_string())
    }
}

impl<T: Into<Self>> From<Option<T>> for Cell {
    fn from(cell: Option<T>) -> Self {
        cell.map_or(Self::Empty, Into::into)
    }
}

/// Adds a line.
pub(super) fn line(table: &mut String, cells: impl IntoIterator<Item = Cell>) {
    for (place, cell) in cells.into_iter().enumerate() {
        if place > 0 {
            table.push(',');
        }
        match cell {
            Cell::Text(text) => push(table, &text),
            Cell::Number(number) => table.push_str(&number),
            Cell::Empty => {}
        }
    }
    table.push_str("\r\n");
}

fn push(table: &mut String, text: &str) {
    let formula = text.starts_with(['=', '+', '-', '@', '\t', '\r', '\n']);
    if !formula && !text.contains([',', '"', '\r', '\n']) {
        table.push_str(text);
        return;
    }
    table.push('"');
    if formula {
        table.push('\'');
    }
    table.push_str(&text.replace('"', "\"\""));
    table.push('"');
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_would_break_a_table_is_quoted_and_formulas_are_texts() {
        let mut table = String::new();
        let texts = ["plain", "a,b", "say \"so\"", "two\r\nlines", "=1+1", "@x", "-1", ""];
        line(&mut table, texts.map(Cell::from));
        let expected =
            "plain,\"a,b\",\"say \"\"so\"\"\",\"two\r\nlines\",\"'=1+1\",\"'@x\",\"'-1\",\r\n";
        assert_eq!(table, expected);
        table.clear();
        line(&mut table, [Cell::from(-0.5), Cell::from(None::<i64>), Cell::from(Some(3))]);
        assert_eq!(table, "-0.5,,3\r\n");
    }
}

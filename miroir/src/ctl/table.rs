//! Rows of text under headings.

/// The headings and the rows, each column as wide as its widest cell.
pub(crate) fn table(headings: &[&str], rows: &[Vec<String>]) -> String {
    let width = |column: usize| {
        let cells = rows.iter().map(|row| row[column].chars().count());
        cells.chain([headings[column].len()]).max().unwrap_or(0)
    };
    let widths: Vec<usize> = (0..headings.len()).map(width).collect();
    let line = |cells: &[String]| {
        let padded = cells.iter().zip(&widths);
        let padded: Vec<String> = padded.map(|(cell, w)| format!("{cell:<w$}")).collect();
        format!("{}\n", padded.join("  ").trim_end())
    };
    let headings: Vec<String> = headings.iter().map(|h| (*h).to_owned()).collect();
    let mut text = line(&headings);
    for row in rows {
        text.push_str(&line(row));
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_are_as_wide_as_their_widest_cell() {
        let rows = [["a", "first"], ["longer", "x"]].map(|r| r.map(str::to_owned).to_vec());
        assert_eq!(
            table(&["NAME", "IS"], &rows),
            "NAME    IS\na       first\nlonger  x\n"
        );
    }
}

//! The table on standard output.

use comfy_table::{CellAlignment, ContentArrangement, Table, presets};

use super::json::{ContenderDocument, Document};

const HEADER: [&str; 6] = [
    "figure",
    "contender",
    "median",
    "min..max",
    "unit",
    "to direct",
];
/// The columns of numbers.
const RIGHT: [usize; 3] = [2, 3, 5];

pub fn render(document: &Document) -> String {
    let mut table = Table::new();
    table
        .load_style(presets::NOTHING)
        .set_content_arrangement(ContentArrangement::Disabled)
        .set_header(HEADER);
    for column in RIGHT {
        if let Some(column) = table.column_mut(column) {
            column.set_cell_alignment(CellAlignment::Right);
        }
    }
    for figure in &document.figures {
        let mut title = figure.title;
        for contender in &figure.contenders {
            table.add_row(row(title, figure.unit, contender));
            title = "";
        }
    }
    let mut text = format!(
        "{} rounds of {} s, kernel {}, one of {} CPUs ({}), load {} before\n{}",
        document.rounds,
        document.seconds,
        document.kernel,
        document.cpus,
        document.cpu,
        document.load,
        table.trim_fmt()
    );
    for missing in &document.missing {
        let what = match &missing.measurement {
            Some(measurement) => format!("no {measurement} in rounds {:?}", missing.rounds),
            None => "not available".to_owned(),
        };
        text += &format!("\n{}: {what}: {}", missing.contender, missing.reason);
    }
    text
}

fn row(title: &str, unit: &str, contender: &ContenderDocument) -> [String; 6] {
    let ratio = contender.ratio.map(|ratio| format!("{ratio:.3}"));
    [
        title.to_owned(),
        contender.name.to_owned(),
        short(contender.median),
        format!("{}..{}", short(contender.min), short(contender.max)),
        unit.to_owned(),
        ratio.unwrap_or_default(),
    ]
}

/// As many digits as mean something.
fn short(value: f64) -> String {
    let decimals = match value.abs() {
        100.0.. => 0,
        10.0.. => 1,
        _ => 2,
    };
    format!("{value:.decimals$}")
}

#[cfg(test)]
mod tests {
    use super::short;

    #[test]
    fn as_many_digits_as_mean_something() {
        assert_eq!(short(12_345.6), "12346");
        assert_eq!(short(12.345), "12.3");
        assert_eq!(short(1.2345), "1.23");
    }
}

//! Tables for people.

use comfy_table::{ContentArrangement, Table, presets};

/// A table that fits the terminal, or is as wide as it needs where there is none.
pub(super) fn table(header: &[&str]) -> Table {
    let mut table = Table::new();
    table.load_style(presets::NOTHING).set_header(header.iter().copied());
    if table.is_tty() {
        table.set_content_arrangement(ContentArrangement::Dynamic);
    }
    table
}

//! What stands around the sections.

use jiff::Timestamp;

use super::text::{Safe, long};
use super::view::{Section, View};
use crate::admin::api::Status;

/// The whole page.
pub(super) fn page(view: &View, status: &Status, sections: &[Section]) -> String {
    let server = Safe(&status.server);
    let main: String = sections.iter().map(|(id, html)| section(id, html)).collect();
    let home = match view {
        View::Overview => String::new(),
        _ => "<nav class=\"trail\" aria-label=\"Where this is\"><a href=\"/\">← Overview</a></nav>".into(),
    };
    format!(
        "<!doctype html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n\
         <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n\
         <meta name=\"color-scheme\" content=\"light dark\">\n<title>{server} – kofn</title>\n\
         <link rel=\"stylesheet\" href=\"/style.css\">\n<link rel=\"icon\" href=\"/icon.svg\">\n\
         <script src=\"/page.js\" defer></script>\n</head>\n<body data-view=\"{}\">\n\
         <a class=\"skip\" href=\"#main\">Skip to the content</a>\n\
         <header>\n<h1><img src=\"/icon.svg\" alt=\"kofn\" width=\"28\" height=\"28\"> {server}</h1>\n\
         <p id=\"facts\">{}</p>\n<p id=\"live\">as of {}</p>\n</header>\n\
         <p id=\"announce\" class=\"unseen\" role=\"status\" aria-live=\"polite\"></p>\n{home}\
         <main id=\"main\" tabindex=\"-1\">\n{main}</main>\n\
         <footer><p>Also for programs: <a href=\"/api/v1/status\">status</a>, <a href=\"/metrics\">metrics</a>, \
         <a href=\"/api/v1/openapi.json\">API</a></p></footer>\n</body>\n</html>\n",
        view.name(),
        facts(status),
        Timestamp::now().strftime("%H:%M:%S UTC"),
    )
}

/// The line below the title, which changes too.
pub(super) fn facts(status: &Status) -> String {
    let up = long(Timestamp::now().duration_since(status.started).as_secs());
    format!("kofn {} · up for {up} · generation {}", Safe(&status.version), status.generation)
}

/// An empty part takes no room, and its place is kept.
fn section(id: &str, html: &str) -> String {
    let hidden = if html.is_empty() { " hidden" } else { "" };
    format!("<section id=\"{id}\" aria-labelledby=\"{id}-title\"{hidden}>{html}</section>\n")
}

//! What of the server a page shows.

use serde::Deserialize;

use super::{pools, rest, traffic, zones};
use crate::admin::api::Status;

/// The words after the question mark.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(super) struct Words {
    /// Of the stream of changes: which page it is for.
    pub(super) view: Option<String>,
    name: String,
    #[serde(rename = "type")]
    rtype: String,
    page: usize,
}

/// One page.
#[derive(Clone, Debug)]
pub(super) enum View {
    /// A bit of everything.
    Overview,
    /// All pools, by pages.
    Pools(usize),
    /// One family of a pool, its members by pages.
    Pool { name: String, rtype: String, page: usize },
    /// All zones, by pages.
    Zones(usize),
}

/// One part of a page: its id, which stays, and its HTML.
pub(super) type Section = (&'static str, String);

impl View {
    /// The page with this name; what is no page is the overview.
    pub(super) fn new(name: &str, words: Words) -> Self {
        match name {
            "pools" => Self::Pools(words.page),
            "pool" => Self::Pool { name: words.name, rtype: words.rtype, page: words.page },
            "zones" => Self::Zones(words.page),
            _ => Self::Overview,
        }
    }

    pub(super) fn name(&self) -> &'static str {
        match self {
            Self::Overview => "overview",
            Self::Pools(_) => "pools",
            Self::Pool { .. } => "pool",
            Self::Zones(_) => "zones",
        }
    }

    /// The parts, in their order; `None` for a pool that is not there.
    pub(super) fn sections(&self, status: &Status) -> Option<Vec<Section>> {
        Some(match self {
            Self::Overview => vec![
                ("alerts", rest::alerts(status)),
                ("traffic", traffic::section(status)),
                ("pools", pools::overview(status)),
                ("drains", rest::drains(status)),
                ("zones", zones::overview(status)),
                ("transfers", zones::transfers(status)),
                ("files", rest::files(status)),
                ("certificates", rest::certificates(status)),
            ],
            Self::Pools(page) => vec![("alerts", rest::alerts(status)), ("pools", pools::all(status, *page))],
            Self::Pool { name, rtype, page } => vec![("pool", pools::one(status, name, rtype, *page)?)],
            Self::Zones(page) => vec![("zones", zones::all(status, *page))],
        })
    }
}

/// A part of many things, and the way to the others.
pub(super) struct Paged {
    pub(super) from: usize,
    pub(super) to: usize,
    all: usize,
    page: usize,
    each: usize,
}

impl Paged {
    /// The page, from 0, of so many things, so many to each.
    pub(super) fn new(all: usize, page: usize, each: usize) -> Self {
        let page = page.min(all.saturating_sub(1) / each);
        Self { from: page * each, to: ((page + 1) * each).min(all), all, page, each }
    }

    /// Links to the pages before and after; `link` is the address of a page but for its number.
    pub(super) fn links(&self, link: &str, what: &str) -> String {
        if self.all <= self.each {
            return String::new();
        }
        let Self { from, to, all, page, .. } = self;
        let to_page = |page: usize, words: &str| format!("<a href=\"{link}page={page}\">{words}</a>");
        let before = if *page > 0 { to_page(page - 1, "Previous") } else { String::new() };
        let after = if to < all { to_page(page + 1, "Next") } else { String::new() };
        format!(
            "<nav class=\"pages\" aria-label=\"Pages of {what}\">{before}<span>{} to {to} of {all} {what}</span>{after}</nav>",
            from + 1
        )
    }
}

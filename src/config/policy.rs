//! `zones/NAME.toml`: the policy of one zone. It never repeats an address that the zone file has.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use super::catalog::{self, CATALOG, Catalog};
use super::check::{self, Check};
use super::fault::{Fault, Place};
use super::pool::{self, POOL, PoolTransfer};
use super::query::{self, QUERY};
use super::reader::{Entry, Item, Section, keys};
use super::transfer::{self, TRANSFER, Transfer};
use super::{read_file, read_table};
use crate::net::Access;
use crate::pool::Policy;
use crate::wire::{Name, NameRef};

/// The policy of one zone, valid by itself; whether the zone has the owners is not known here.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct ZonePolicy {
    /// The pools by owner name, which is absolute and within the zone.
    pub pools: BTreeMap<Name, PoolConfig>,
    /// Who may ask.
    pub query: Access,
    /// Zone transfers.
    pub transfer: Transfer,
    /// What the zone lists, when it is a catalog.
    pub catalog: Option<Catalog>,
    /// What was found that is worth a word but stops nothing.
    pub warnings: Vec<Fault>,
}

impl ZonePolicy {
    /// Whether a client of transfers may get the healthy members of a pool instead of all.
    pub fn has_healthy_view(&self) -> bool {
        let by_client = self.transfer.to.iter().any(|grant| grant.view == Some(PoolTransfer::Healthy));
        self.pools.values().any(|pool| by_client || pool.transfer == PoolTransfer::Healthy)
    }
}

/// One pool.
#[derive(Clone, Debug, PartialEq)]
pub struct PoolConfig {
    /// How its members are handed out.
    pub policy: Policy,
    /// How its members are probed; `None` when they are not.
    pub check: Option<Arc<Check>>,
    /// What a secondary gets of it.
    pub transfer: PoolTransfer,
    /// How many members a secondary gets at most when it gets the healthy ones.
    pub transfer_max: Option<u16>,
    /// How long what secondaries get stays the same, at least.
    pub transfer_hold: Duration,
    /// Where it is written.
    pub place: Place,
}

keys! {
    ROOT "" with "check" "pool" "query" "transfer" "catalog" {}
}

impl ZonePolicy {
    /// Whether the zone has no file of its own: primaries have it, or this server writes it.
    pub fn has_no_file(&self) -> bool {
        !self.transfer.from.is_empty() || self.catalog.is_some()
    }

    /// Reads the policy file at `path` for the zone `apex`.
    ///
    /// # Errors
    /// Every fault of the file, in its order; a file that cannot be read is one fault without a line.
    pub fn load(path: &Path, apex: NameRef<'_>) -> Result<Self, Vec<Fault>> {
        Self::parse(&read_file(path)?, path, apex)
    }

    /// Reads the text of the policy file at `path` for the zone `apex`.
    ///
    /// # Errors
    /// Every fault of the text, in its order.
    pub fn parse(text: &str, path: &Path, apex: NameRef<'_>) -> Result<Self, Vec<Fault>> {
        let (policy, warnings) = read_table(text, path, &ROOT, |root| read(root, apex))?;
        Ok(Self { warnings, ..policy })
    }
}

fn read(root: &Section<'_>, apex: NameRef<'_>) -> ZonePolicy {
    let drafts = root.item("pool").map(|item| pool_drafts(&item, apex)).unwrap_or_default();
    let checks = root.item("check").map(|item| check::drafts(&item)).unwrap_or_default();
    let names: Vec<&str> = checks.keys().copied().collect();
    let mut users: BTreeMap<&str, Vec<String>> = BTreeMap::new();
    for (owner, (draft, _)) in &drafts {
        let Some((name, item)) = &draft.check else { continue };
        match names.iter().find(|other| *other == name) {
            // What HTTP calls a host has no final dot and no case.
            Some(name) => users.entry(name).or_default().push(host_of(owner)),
            None => pool::missing_check(item, &names),
        }
    }
    let resolve =
        |(name, draft): (_, check::Draft<'_>)| Some((name, draft.resolve(users.get(name).map_or(&[], Vec::as_slice))?));
    let checks: BTreeMap<&str, Arc<Check>> = checks.into_iter().filter_map(resolve).collect();
    let pool = |(owner, (draft, place)): (Name, (pool::Draft<'_>, Place))| {
        let check = draft.check.and_then(|(name, _)| checks.get(name.as_str()).cloned());
        let pool::Draft { policy, transfer, transfer_max, transfer_hold, .. } = draft;
        (owner, PoolConfig { policy, check, transfer, transfer_max, transfer_hold, place })
    };
    let query = query::read(&root.table("query", &QUERY));
    let transfer = transfer::read(&root.table("transfer", &TRANSFER));
    let catalog = root.item("catalog").map(|_| catalog::read(&root.table("catalog", &CATALOG)));
    ZonePolicy { pools: drafts.into_iter().map(pool).collect(), query, transfer, catalog, warnings: Vec::new() }
}

/// The pools under `pool` whose owners are names of the zone.
fn pool_drafts<'a>(item: &Item<'a>, apex: NameRef<'_>) -> BTreeMap<Name, (pool::Draft<'a>, Place)> {
    let mut drafts = BTreeMap::new();
    let Some(entries) = item.entries() else {
        item.wrong::<()>("tables, [pool.OWNER]");
        return drafts;
    };
    for entry in entries {
        let owner = owner(&entry, apex);
        let Some(section) = entry.item.section(&POOL) else {
            entry.item.wrong::<()>("a table, [pool.OWNER]");
            continue;
        };
        let draft = pool::draft(&section);
        let Some(owner) = owner else { continue };
        if drafts.contains_key(&owner) {
            entry.name_item.wrong_as::<()>(format_args!("a second pool of {owner}"), "one pool for each owner");
        }
        drafts.insert(owner, (draft, entry.name_item.place()));
    }
    drafts
}

fn owner(entry: &Entry<'_>, apex: NameRef<'_>) -> Option<Name> {
    if entry.name == "@" {
        return Some(apex.to_name());
    }
    match Name::from_text_in(entry.name.as_bytes(), apex) {
        Ok(owner) if owner.borrow().is_within(apex) => Some(owner),
        Ok(owner) => {
            let right = format!("a name in {apex}, relative to it or with a final dot, or \"@\" for {apex} itself");
            entry.name_item.wrong_as(format_args!("{owner} is not in the zone"), right)
        }
        Err(error) => entry.name_item.wrong_as(error, "an owner name of the zone"),
    }
}

fn host_of(owner: &Name) -> String {
    let text = owner.to_lower().to_string();
    text.strip_suffix('.').unwrap_or(&text).to_owned()
}

#[cfg(test)]
mod tests {
    use super::super::{CheckKind, Severity, TcpCheck};
    use super::*;
    use crate::pool::PerFamily;

    fn name(text: &str) -> Name {
        Name::from_text(text.as_bytes()).unwrap()
    }

    fn parse(text: &str) -> Result<ZonePolicy, Vec<String>> {
        let faults = |list: Vec<Fault>| list.iter().map(Fault::to_string).collect();
        ZonePolicy::parse(text, Path::new("z.toml"), name("example.test").borrow()).map_err(faults)
    }

    fn warnings(policy: &ZonePolicy) -> Vec<String> {
        assert!(policy.warnings.iter().all(|fault| fault.severity == Severity::Warning));
        policy.warnings.iter().map(Fault::to_string).collect()
    }

    #[test]
    fn a_fault_is_told_once_however_often_its_key_is_read() {
        let faults = parse(
            "[check.web]\ntype = \"http\"\ntimeout = \"x\"\nfast_interval = \"x\"\n[check.port]\ntype = \"tcp\"\nport = \"x\"\n\
             [pool.www]\ncheck = \"web\"\nttl_min = \"x\"\n[pool.ns]\ncheck = \"port\"\n[pool.a]\ncheck = \"port\"\n",
        );
        let faults = faults.expect_err("four faults");
        assert_eq!(faults.len(), 4, "{faults:?}");
    }

    #[test]
    fn an_empty_pool_is_the_default_policy() {
        let policy = parse("[pool.www]").unwrap();
        let pool = &policy.pools[&name("www.example.test")];
        assert_eq!((&pool.policy, &pool.check), (&Policy::default(), &None));
        assert_eq!((pool.place.line, pool.place.column, pool.place.key.as_str()), (1, 7, "pool.www"));
        assert_eq!(parse(""), Ok(ZonePolicy::default()));
    }

    #[test]
    fn the_example_is_valid() {
        let path = Path::new("zones/example.test.toml");
        let policy = ZonePolicy::load(path, name("example.test").borrow()).unwrap();
        assert_eq!(policy.warnings, []);
        let api = &policy.pools[&name("api.example.test")];
        assert_eq!(api.policy.k, PerFamily { a: 2, aaaa: 1 });
        assert!(matches!(api.check.as_ref().unwrap().kind, CheckKind::Tcp(TcpCheck { port: 8080, .. })));
    }

    #[test]
    fn owners_are_relative_to_the_apex_and_within_it() {
        let policy = parse("[pool.\"@\"]\n[pool.a]\n[pool.\"b.example.test.\"]\n[pool.\"*.c\"]").unwrap();
        let owners: Vec<_> = policy.pools.keys().map(Name::to_string).collect();
        assert_eq!(owners, ["example.test.", "a.example.test.", "b.example.test.", "*.c.example.test."]);
        let faults = parse("[pool.\"a.test.\"]\n[pool.\"a..b\"]\n[pool.www]\n[pool.WWW]").expect_err("faults");
        assert_eq!(
            faults,
            [
                "z.toml:1:7: pool.a.test.: a.test. is not in the zone; a name in example.test., relative to it or with \
                 a final dot, or \"@\" for example.test. itself",
                "z.toml:2:7: pool.a..b: empty label; an owner name of the zone",
                "z.toml:3:7: pool.www: a second pool of www.example.test.; one pool for each owner",
            ]
        );
    }

    #[test]
    fn a_pool_has_its_check_and_equal_checks_are_one_probe() {
        let policy = parse(
            "[check.a]\ntype = \"http\"\nhost = \"x.test\"\n[check.b]\ntype = \"http\"\nport = 80\nhost = \"x.test\"\n\
             [check.c]\ntype = \"http\"\nhost = \"x.test\"\ninterval = 7\n[check.off]\ntype = \"none\"\n\
             [pool.a]\ncheck = \"a\"\n[pool.b]\ncheck = \"b\"\n[pool.c]\ncheck = \"c\"\n[pool.d]\ncheck = \"off\"\n",
        )
        .unwrap();
        let check = |owner: &str| policy.pools[&name(owner)].check.clone();
        let [a, b, c] = ["a", "b", "c"].map(|label| check(&format!("{label}.example.test")).unwrap());
        assert_eq!((&*a.name, &*b.name), ("a", "b"));
        assert_eq!(a.id, b.id);
        assert_ne!(a.id, c.id);
        assert_eq!(a.id.target(), c.id.target());
        assert_eq!(check("d.example.test"), None);
    }

    #[test]
    fn the_host_is_the_first_pool_that_uses_the_check() {
        let text = "[check.web]\ntype = \"http\"\n[pool.WWW]\ncheck = \"web\"\n[pool.api]\ncheck = \"web\"\n\
                    [pool.\"*.a\"]\ncheck = \"web\"";
        let policy = parse(text).unwrap();
        for pool in policy.pools.values() {
            let CheckKind::Http(http) = &pool.check.as_ref().unwrap().kind else { panic!("an http check") };
            assert_eq!(http.host, "api.example.test");
        }
        assert_eq!(
            parse("[check.web]\ntype = \"http\"\n[pool.\"*\"]\ncheck = \"web\"").expect_err("no host"),
            ["z.toml:1:8: check.web: no pool with this check has an owner that is a host; a `host`"]
        );
    }

    #[test]
    fn every_fault_of_the_file_is_told() {
        let text = "[check.web]\ntype = \"htpp\"\nintervall = 3\n[check.port]\ntype = \"tcp\"\nfall = 0\n\
                    [pool.www]\nk = 0\ncheck = \"wbe\"\npanic = 2\n[pol.x]\n[transfer]\nto = [{ key = \"k\" }]\n";
        assert_eq!(
            parse(text).expect_err("faults"),
            [
                "z.toml:1:8: check.web: no pool uses this check; `check = \"web\"` in a pool",
                "z.toml:2:8: check.web.type: found \"htpp\"; \"tcp\", \"http\", \"https\", \"dns\", \"exec\" or \"none\"",
                "z.toml:3:1: check.web.intervall: unknown key `intervall`; did you mean `interval`?",
                "z.toml:4:1: check.port: `port` is missing; `port` takes a whole number from 1 to 65535",
                "z.toml:4:8: check.port: no pool uses this check; `check = \"port\"` in a pool",
                "z.toml:6:8: check.port.fall: found 0; a whole number from 1 to 1000",
                "z.toml:8:5: pool.www.k: found 0; a whole number from 1 to 65535",
                "z.toml:9:9: pool.www.check: found \"wbe\"; a check of this file: \"port\" or \"web\"",
                "z.toml:10:9: pool.www.panic: found 2; a share from 0 to 1",
                "z.toml:11:2: pol: unknown key `pol`; did you mean `pool`?",
                "z.toml:13:7: transfer.to[0]: `net` is missing; `net` takes an address or a prefix, such as \
                 \"192.0.2.1\" or \"2001:db8::/32\"",
            ]
        );
    }

    #[test]
    fn what_is_no_table_is_a_fault() {
        assert_eq!(
            parse("check = 1\npool = 2\ntransfer = 3").expect_err("faults"),
            [
                "z.toml:1:9: check: found 1; tables, [check.NAME]",
                "z.toml:2:8: pool: found 2; tables, [pool.OWNER]",
                "z.toml:3:12: transfer: found 3; a table, [transfer]",
            ]
        );
        assert_eq!(
            parse("[check]\na = 1\n[pool]\nb = 2").expect_err("faults"),
            [
                "z.toml:2:1: check.a: no pool uses this check; `check = \"a\"` in a pool",
                "z.toml:2:5: check.a: found 1; a table, [check.NAME]",
                "z.toml:4:5: pool.b: found 2; a table, [pool.OWNER]",
            ]
        );
    }

    #[test]
    fn keys_without_effect_are_warned_of() {
        let policy = parse(
            "[check.a]\ntype = \"tcp\"\nport = 1\npath = \"/\"\n[check.b]\ntype = \"none\"\nrise = 1\n\
             [pool.a]\ncheck = \"a\"\ntransfer = \"healthy\"\n[pool.b]\ncheck = \"b\"\nspread = \"balanced\"\napart = 24\n",
        )
        .unwrap();
        assert_eq!(
            warnings(&policy),
            [
                "z.toml:4:8: check.a.path: the key has no effect with this type; a check without it",
                "z.toml:7:8: check.b.rise: the key has no effect with this type; a check without it",
            ]
        );
        assert_eq!(policy.pools[&name("a.example.test")].transfer, PoolTransfer::Healthy);
    }
}

//! Directives: `$ORIGIN`, `$TTL`, `$INCLUDE` (RFC 1035 section 5.1, RFC 2308 section 4) and BIND's `$GENERATE`.

use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

use super::fault::{Blame, quote};
use super::generate::Generate;
use super::loader::{Head, Loader, Source, read_owner, read_regular};
use super::rdata::read_rdata;
use super::scanner::{Scanner, Token};
use super::value::seconds;
use crate::reach;
use crate::wire::NameRef;

impl Loader<'_> {
    pub(super) fn directive(&mut self, first: Token<'_>, source: &mut Source<'_>) -> Result<(), Blame> {
        let Source { scanner, origin, file, .. } = source;
        if first.text.eq_ignore_ascii_case(b"$ORIGIN") {
            let token = argument(scanner, first, "a domain name")?;
            let mut octets = Vec::new();
            read_owner(token.text, token, origin.borrow(), &mut octets)?;
            *origin = NameRef::from_valid(&octets).to_name();
            return end_of(first, scanner);
        }
        if first.text.eq_ignore_ascii_case(b"$TTL") {
            let token = argument(scanner, first, "seconds such as 3600 or 1h")?;
            let ttl = seconds(token.text).filter(|_| !token.quoted);
            let ttl = ttl.ok_or_else(|| {
                Blame::new(token.spot, format!("{} as the $TTL", quote(token.text)), "seconds such as 3600 or 1h")
            })?;
            self.default_ttl = Some(self.capped(*file, token.spot, ttl));
            return end_of(first, scanner);
        }
        if first.text.eq_ignore_ascii_case(b"$INCLUDE") {
            return self.include(first, source);
        }
        if first.text.eq_ignore_ascii_case(b"$GENERATE") {
            return self.generate(first, source);
        }
        let found = format!("{} as a directive", quote(first.text));
        Err(Blame::new(first.spot, found, "$ORIGIN, $TTL, $INCLUDE or $GENERATE"))
    }

    fn include(&mut self, first: Token<'_>, source: &mut Source<'_>) -> Result<(), Blame> {
        let name = argument(&mut source.scanner, first, "a file name")?;
        let mut origin = source.origin.clone();
        if let Some(token) = source.scanner.next()? {
            let mut octets = Vec::new();
            read_owner(token.text, token, source.origin.borrow(), &mut octets)?;
            origin = NameRef::from_valid(&octets).to_name();
        }
        end_of(first, &mut source.scanner)?;
        let refuse = |found: String, expected: &'static str| Err(Blame::new(name.spot, found, expected));
        let including = &self.files[usize::from(source.file)];
        let path = including.parent().unwrap_or(Path::new("")).join(OsStr::from_bytes(name.text));
        if self.open.len() > self.limits.include_depth || self.open.is_empty() {
            return refuse(format!("$INCLUDE of {}, too deep or not allowed here", quote(name.text)), INCLUDE_RULE);
        }
        self.includes += 1;
        let Some(file) = u16::try_from(self.files.len()).ok().filter(|_| self.includes <= self.limits.includes) else {
            return refuse(format!("more than {} files included", self.limits.includes), "fewer");
        };
        let canonical = path.canonicalize().unwrap_or_else(|_| path.clone());
        if let [zone_file] = &mut *self.open
            && let Ok(real) = zone_file.canonicalize()
        {
            // Asked for only here, because most zones include nothing, and each look at a folder above costs a system call.
            *zone_file = real;
        }
        if self.open.contains(&canonical) {
            return refuse(format!("{} includes itself", path.display()), "no circle of files");
        }
        // A file that cannot be read is noted, too: the zone is to be read again when it can.
        self.files.push(path.as_path().into());
        let text = match read_regular(&path) {
            Ok(text) => text,
            Err(error) => {
                let expected = reach::remedy(&path, &error, "a readable file");
                return Err(Blame::new(name.spot, format!("{}: {error}", path.display()), expected));
            }
        };
        self.open.push(canonical);
        self.read(&text, file, origin);
        self.open.pop();
        Ok(())
    }

    fn generate(&mut self, first: Token<'_>, source: &mut Source<'_>) -> Result<(), Blame> {
        let range = argument(&mut source.scanner, first, "a range such as 1-254 or 0-100/2")?;
        let owner = argument(&mut source.scanner, first, "an owner with `$` in it")?;
        let head = Head::read(&mut source.scanner)?;
        let data = argument(&mut source.scanner, first, "data with `$` in it")?;
        let rest = source.scanner.rest_from(data)?;
        // Data of several fields stand in one pair of quotes, which is not part of them.
        let alone = data.quoted && rest.len() == data.text.len() + 2;
        let generate = Generate::read(range)?;
        let (mut line, mut name) = (Vec::new(), Vec::new());
        for value in generate.values() {
            self.generated += 1;
            if self.generated > self.limits.generated {
                let found = format!("more than {} records from $GENERATE", self.limits.generated);
                return Err(Blame::new(range.spot, found, "a shorter range"));
            }
            generate.expand(owner.text, owner.spot, value, &mut line)?;
            name.clear();
            read_owner(&line, owner, source.origin.borrow(), &mut name)?;
            generate.expand(if alone { data.text } else { rest }, data.spot, value, &mut line)?;
            let mut scanner = Scanner::new(&line);
            read_rdata(head.rtype, &mut scanner, source.origin.borrow(), &mut self.rdata).map_err(|blame| Blame {
                spot: data.spot,
                found: format!("{} with $ = {value}", blame.found),
                ..blame
            })?;
            let name = NameRef::from_valid(&name);
            self.add(source.file, name, self.contains(name), first.spot, &head)?;
        }
        Ok(())
    }
}

fn argument<'a>(scanner: &mut Scanner<'a>, directive: Token<'_>, expected: &'static str) -> Result<Token<'a>, Blame> {
    let at_end = scanner.spot();
    let missing = || Blame::new(at_end, format!("{} cut short", quote(directive.text)), expected);
    scanner.next()?.ok_or_else(missing)
}

fn end_of(directive: Token<'_>, scanner: &mut Scanner<'_>) -> Result<(), Blame> {
    match scanner.next()? {
        None => Ok(()),
        Some(extra) => {
            let found = format!("{} behind {}", quote(extra.text), quote(directive.text));
            Err(Blame::new(extra.spot, found, "the end of the line"))
        }
    }
}

const INCLUDE_RULE: &str = "files that include one another, at most ten deep";

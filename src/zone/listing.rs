//! A zone back to its records, as transfers and state files have them.

use data_encoding::BASE32HEX_NOPAD;

use super::denial::Denial;
use super::records::{Place, Record, Records};
use super::rrset::Rrset;
use super::tree::{NodeId, Zone};
use crate::wire::{Class, Name, NameRef, Type};

impl Zone {
    /// All records, the SOA first; owners in lower case.
    pub fn to_records(&self) -> Records {
        let mut records = Records::new();
        let soa = self.rrset(NodeId::APEX, Type::SOA);
        soa.iter().for_each(|soa| push(&mut records, self.apex(), soa));
        for node in self.nodes() {
            let rrsets = self.rrsets(node).filter(|rrset| rrset.rtype != Type::SOA);
            rrsets.for_each(|rrset| push(&mut records, self.name(node), &rrset));
        }
        let Denial::Nsec3(chain) = self.denial() else { return records };
        for entry in &chain.entries {
            let label = BASE32HEX_NOPAD.encode(&entry.hash).to_ascii_lowercase();
            let owner: Name = self.apex().to_name().child(label.as_bytes()).expect("the link had this owner");
            let rrsets = self.rrsets_at(entry.at as usize, usize::from(entry.rrsets));
            rrsets.for_each(|rrset| push(&mut records, owner.borrow(), &rrset));
        }
        records
    }
}

fn push(records: &mut Records, owner: NameRef<'_>, rrset: &Rrset<'_>) {
    for record in rrset.iter() {
        let (ttl, rdata) = (record.ttl, record.rdata);
        records.push(Record { owner, rtype: rrset.rtype, class: Class::IN, ttl, rdata, place: Place::default() });
    }
}

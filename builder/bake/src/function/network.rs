//! Functions of network addresses.

use super::Answer;
use super::arguments::Arguments;
use crate::error::Worded;
use crate::value::Value;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// `10.0.0.0/8`
#[derive(Clone, Copy)]
struct Prefix {
    /// The first address.
    base: u128,
    length: u32,
    /// Bits of an address.
    bits: u32,
}

impl Prefix {
    fn read(text: &str) -> Worded<Self> {
        let wrong = || format!("{text:?} is no address with the length of its prefix");
        let (address, length) = text.split_once('/').ok_or_else(wrong)?;
        let (value, bits) = match address.parse().map_err(|_| wrong())? {
            IpAddr::V4(address) => (u128::from(u32::from(address)), 32),
            IpAddr::V6(address) => (u128::from(address), 128),
        };
        let length = length.parse().ok().filter(|length| *length <= bits);
        let length = length.ok_or_else(wrong)?;
        let host = bits - length;
        let base = value
            .checked_shr(host)
            .and_then(|value| value.checked_shl(host));
        Ok(Prefix {
            base: base.unwrap_or(0),
            length,
            bits,
        })
    }

    /// Addresses in it, less one.
    fn last(self) -> u128 {
        let host = self.bits - self.length;
        u128::MAX
            .checked_shr(128 - host)
            .filter(|_| host > 0)
            .unwrap_or(0)
    }

    /// A longer prefix.
    fn longer(self, more: u32) -> Worded<Self> {
        let length = self.length.checked_add(more);
        let length = length.filter(|length| *length <= self.bits);
        let length = length.ok_or_else(|| format!("the prefix has no {more} more bits"))?;
        Ok(Prefix { length, ..self })
    }

    fn address(self, value: u128) -> String {
        match self.bits {
            // an address of 32 bits
            32 => Ipv4Addr::from(value as u32).to_string(),
            _ => Ipv6Addr::from(value).to_string(),
        }
    }

    fn text(self) -> String {
        format!("{}/{}", self.address(self.base), self.length)
    }
}

fn bits(arguments: &Arguments<'_>, at: usize) -> Worded<u32> {
    u32::try_from(arguments.count(at)?).map_err(|_| "these are too many bits".to_owned())
}

/// An address of a prefix; negative numbers count from the end.
pub fn cidrhost(arguments: &Arguments<'_>) -> Answer {
    let (prefix, number) = (Prefix::read(&arguments.text(0)?)?, arguments.integer(1)?);
    let from_end = || {
        prefix
            .last()
            .checked_sub(number.unsigned_abs().checked_sub(1)?)
    };
    let offset = match u128::try_from(number) {
        Ok(offset) => Some(offset).filter(|offset| *offset <= prefix.last()),
        Err(_) => from_end(),
    };
    let offset = offset.ok_or_else(|| format!("the prefix has no host {number}"))?;
    Ok(Value::String(prefix.address(prefix.base + offset)))
}

pub fn cidrnetmask(arguments: &Arguments<'_>) -> Answer {
    let prefix = Prefix::read(&arguments.text(0)?)?;
    if prefix.bits != 32 {
        return Err("only IPv4 has masks".to_owned());
    }
    let mask = u128::from(u32::MAX) & !prefix.last();
    Ok(Value::String(prefix.address(mask)))
}

pub fn cidrsubnet(arguments: &Arguments<'_>) -> Answer {
    let (prefix, more) = (Prefix::read(&arguments.text(0)?)?, bits(arguments, 1)?);
    let number = u128::try_from(arguments.integer(2)?).ok();
    let subnet = prefix.longer(more)?;
    let offset = number
        .filter(|number| *number == 0 || number.checked_ilog2().unwrap_or(0) < more)
        .and_then(|number| number.checked_mul(subnet.last().checked_add(1)?));
    let offset = offset.ok_or_else(|| format!("{more} bits hold no such number"))?;
    let base = prefix.base + offset;
    Ok(Value::String(Prefix { base, ..subnet }.text()))
}

/// One after the other.
pub fn cidrsubnets(arguments: &Arguments<'_>) -> Answer {
    let prefix = Prefix::read(&arguments.text(0)?)?;
    let (mut subnets, mut next) = (Vec::new(), Some(0u128));
    for at in 1..arguments.values.len() {
        let subnet = prefix.longer(bits(arguments, at)?)?;
        let (size, full) = (subnet.last(), "the prefix has no room for all");
        let offset = next.and_then(|next| Some(next.checked_add(size)? & !size));
        let end = offset.and_then(|offset| offset.checked_add(size));
        let (Some(offset), Some(end)) = (offset, end.filter(|end| *end <= prefix.last())) else {
            return Err(full.to_owned());
        };
        let base = prefix.base + offset;
        subnets.push(Prefix { base, ..subnet }.text());
        next = end.checked_add(1);
    }
    Ok(subnets.into_iter().collect())
}

//! Functions of sets: lists that are sorted and have each value once.

use super::Answer;
use super::arguments::Arguments;
use crate::value::Value;

/// Combinations that `setproduct` makes at most.
const MOST: usize = 100_000;

pub fn sethaselement(arguments: &Arguments<'_>) -> Answer {
    let items = arguments.list(0)?;
    Ok(Value::Bool(items.contains(arguments.any(1))))
}

pub fn setunion(arguments: &Arguments<'_>) -> Answer {
    Ok(Value::set(arguments.lists()?.concat()))
}

pub fn setintersection(arguments: &Arguments<'_>) -> Answer {
    let lists = arguments.lists()?;
    let in_all = |item: &&Value| lists.iter().all(|list| list.contains(item));
    let first = lists.first().copied().unwrap_or_default();
    Ok(Value::set(first.iter().filter(in_all).cloned().collect()))
}

pub fn setsubtract(arguments: &Arguments<'_>) -> Answer {
    let (items, without) = (arguments.list(0)?, arguments.list(1)?);
    let left = items.iter().filter(|item| !without.contains(item));
    Ok(Value::set(left.cloned().collect()))
}

/// What is in one of two sets; of more sets, with each of the others in turn.
pub fn setsymmetricdifference(arguments: &Arguments<'_>) -> Answer {
    let mut lists = arguments.lists()?.into_iter();
    let mut found = lists.next().unwrap_or_default().to_vec();
    for list in lists {
        let added: Vec<Value> = list
            .iter()
            .filter(|item| !found.contains(item))
            .cloned()
            .collect();
        found.retain(|item| !list.contains(item));
        found.extend(added);
    }
    Ok(Value::set(found))
}

pub fn setproduct(arguments: &Arguments<'_>) -> Answer {
    let mut combined: Vec<Vec<Value>> = vec![Vec::new()];
    for list in arguments.lists()? {
        if combined.len().saturating_mul(list.len()) > MOST {
            return Err(format!("these are more than {MOST} combinations"));
        }
        let with = |start: &Vec<Value>| {
            let longer = |item: &Value| [&start[..], std::slice::from_ref(item)].concat();
            list.iter().map(longer).collect::<Vec<_>>()
        };
        combined = combined.iter().flat_map(with).collect();
    }
    Ok(combined.into_iter().map(Value::List).collect())
}

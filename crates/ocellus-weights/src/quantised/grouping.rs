//! Which inputs share a scale: runs of neighbours, or what an index says.

use super::matrix::Groups;
use super::parts::{Parts, Reason};
use super::scheme::Scheme;

/// Inputs that share a scale: as the config says where that gives as many groups, else cut evenly.
pub(super) fn size(scheme: &Scheme, inputs: usize, groups: usize) -> Reason<usize> {
    let fits = |size: &usize| inputs.div_ceil(*size) == groups;
    let said = scheme.group.filter(|size| *size > 0 && fits(size));
    let even = || inputs.is_multiple_of(groups).then_some(inputs / groups);
    said.or_else(even).ok_or_else(|| match scheme.group {
        Some(size) => format!("{groups} groups of {size} do not make {inputs} inputs"),
        None => format!("{inputs} inputs do not make {groups} groups of one size"),
    })
}

/// The groups of a matrix with an index of the group of every input, where the tensor `end` is there.
pub(super) fn indexed(
    end: &str,
    parts: &Parts,
    scheme: &Scheme,
    inputs: usize,
    count: usize,
) -> Reason<Groups> {
    let runs = |cols| Groups::Blocks { rows: 1, cols };
    if parts.find(end).is_none() {
        return size(scheme, inputs, count).map(runs);
    }
    let index = parts.integers(end, inputs)?;
    // Some writers fill the index of a matrix in order with -1.
    if index.iter().all(|at| *at == -1) {
        return size(scheme, inputs, count).map(runs);
    }
    let known = |at: &i64| u32::try_from(*at).ok().filter(|at| (*at as usize) < count);
    if let Some(group) = index.iter().find(|at| known(at).is_none()) {
        let base = &parts.base;
        return Err(format!(
            "`{base}{end}` names group {group}, and there are {count}"
        ));
    }
    let index: Vec<u32> = index.iter().filter_map(known).collect();
    let first = index.iter().take_while(|group| **group == 0).count();
    let in_order = |size: usize| {
        index
            .iter()
            .enumerate()
            .all(|(at, group)| *group as usize == at / size)
    };
    Ok(
        match first > 0 && in_order(first) && inputs.div_ceil(first) == count {
            true => runs(first),
            false => Groups::Scattered { index, count },
        },
    )
}

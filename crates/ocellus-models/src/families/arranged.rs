//! Tensors under the names that families ask for, whatever a trainer, a compiler or a converter put in front of them.

use std::collections::BTreeMap;

use ocellus_weights::{Assembly, Scheme, View, Weights, WeightsError};

use super::family::Family;

/// Parts of a name that wrappers of modules put between those of the model.
const WRAPPERS: &[&str] = &["_orig_mod", "_fsdp_wrapped_module", "_checkpoint_wrapped_module"];

/// Values of a pixel; more channels than these, and a kernel's axes cannot be told apart.
const MOST_CHANNELS: usize = 4;

/// The tensors of a checkpoint of this family: what stands in front of all names of the model is cut off, kernels over
/// pixels whose channels come last have them first, and the tensors of a quantised matrix are one. Tensors that do not belong to the
/// model keep their names.
///
/// # Errors
/// Two tensors that have one name without what stands in front; tensors of a quantised matrix that do not fit one another.
pub fn arranged(family: &Family, weights: Weights, scheme: Scheme) -> Result<Weights, WeightsError> {
    // Names of such files were translated already.
    if weights.gguf().is_some() {
        return Ok(weights);
    }
    let mut names: Vec<(String, String)> = weights.names().map(|n| (n.to_owned(), unwrapped(n))).collect();
    let prefix = prefix(family.anchors, names.iter().map(|(_, name)| name.as_str()));
    for (_, name) in &mut names {
        if let Some(rest) = name.strip_prefix(&prefix) {
            *name = rest.to_owned();
        }
    }
    let mut recipes = BTreeMap::new();
    for (stored, name) in names {
        let last = weights.view(&stored).is_ok_and(|view| channels_last(&view));
        match last {
            true => drop(recipes.insert(name, Assembly::ChannelsFirst(stored))),
            false if stored != name => drop(recipes.insert(name, Assembly::As(stored))),
            false => {}
        }
    }
    weights.rebuilt(recipes)?.quantised(scheme)
}

/// `name` without the parts of wrappers.
fn unwrapped(name: &str) -> String {
    let parts = name.split('.').filter(|part| !WRAPPERS.contains(part));
    parts.collect::<Vec<_>>().join(".")
}

/// What stands in front of the names of the model: the shortest that an anchor has in front of it.
fn prefix<'n>(anchors: &[&str], names: impl Iterator<Item = &'n str>) -> String {
    let before = |name: &'n str| {
        let before = |anchor: &&str| name.strip_suffix(anchor);
        let whole = |before: &&str| before.is_empty() || before.ends_with('.');
        anchors.iter().filter_map(before).find(whole)
    };
    let shortest = names.filter_map(before).min_by_key(|prefix| prefix.len());
    shortest.unwrap_or_default().to_owned()
}

/// Whether a kernel over square patches, `[outputs, (frames,) height, width, channels]`, has its channels last.
fn channels_last(view: &View<'_>) -> bool {
    let (height, width, channels) = match view.shape[..] {
        [_, height, width, channels] | [_, _, height, width, channels] => (height, width, channels),
        _ => return false,
    };
    height == width && width > MOST_CHANNELS && channels <= MOST_CHANNELS
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_stands_in_front_is_told_by_tensors_that_every_checkpoint_has() {
        let anchors = &["model.inner.embed.weight", "model.embed.weight"];
        for (name, expected) in [
            ("model.embed.weight", ""),
            ("model.inner.embed.weight", ""),
            ("module.model.embed.weight", "module."),
            ("model.model.embed.weight", "model."),
            ("base_model.model.model.inner.embed.weight", "base_model.model."),
            ("my_model.embed.weight", ""),
            ("something.else", ""),
        ] {
            assert_eq!(
                prefix(anchors, [name, "value_head.weight"].into_iter()),
                expected,
                "{name}"
            );
        }
        // Of two that fit, the one with less in front.
        let both = ["ema.model.embed.weight", "model.embed.weight"];
        assert_eq!(prefix(anchors, both.into_iter()), "");
        assert_eq!(
            unwrapped("model._orig_mod.layers.0._checkpoint_wrapped_module.w"),
            "model.layers.0.w"
        );
    }
}

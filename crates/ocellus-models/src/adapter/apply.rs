//! An adapter's tensors, put to those of its base.

use std::collections::BTreeMap;
use std::sync::Arc;

use ocellus_weights::{Assembly, Dtype, LowRank, TensorBytes, View, Weights, encode, f32_bytes};

use super::config::AdapterConfig;
use super::error::{AdapterError, AdapterWarning};
use super::patterns::{Modules, ends_with};
use super::places::{Places, TABLE};
use super::tensors::{Pair, Tensors};

/// Tables that other layers share, whatever the names of these are.
const SHARED: &[&str] = &["word_embeddings", "shared"];

/// A base with an adapter.
pub struct Adapted {
    pub weights: Weights,
    pub warnings: Vec<AdapterWarning>,
    /// Matrices that products are added to.
    pub matrices: usize,
    /// Tensors that took the place of the base's.
    pub replaced: usize,
    /// The smallest and the largest rank.
    pub ranks: Option<(usize, usize)>,
    /// Whether the output head, which shares the base's table of tokens, is a matrix of its own beside it now: one of the two was
    /// changed.
    pub untied: bool,
}

/// Applies the adapter with this config and these tensors to `base`, whose names are those that its family asks for.
///
/// # Errors
/// Everything that cannot be applied as the reference does, by name.
pub fn apply(base: Weights, config: &str, tensors: Weights) -> Result<Adapted, AdapterError> {
    let config = AdapterConfig::parse(config)?;
    let found = Tensors::read(tensors.names())?;
    let places = Places::new(&base);
    let mut warnings = unused_targets(&config, &found, &places);
    let (mut added, mut biases, mut ranks) = (BTreeMap::new(), Vec::new(), None);
    // The table whose changes are none of the head that shares it.
    let mut table = None;
    let mut head = false;
    for (module, pair) in &found.pairs {
        if let Some(field) = config.keeps_from(module) {
            return Err(AdapterError::NotNamed {
                module: module.clone(),
                field,
            });
        }
        let place = match places.is_tied_head(module) {
            true => {
                head = true;
                places.only_table()
            }
            false => places.module(module),
        };
        let place = place.ok_or_else(|| AdapterError::NoTarget {
            module: module.clone(),
        })?;
        let product = product(&tensors, module, pair, &config)?;
        check_fit(&base, &place, &tensors, pair, &product)?;
        if let Some(bias) = &pair.bias {
            biases.push(summed(&base, &place, &tensors.view(bias)?, config.scale(module))?);
        }
        if pair.table {
            check_shared(module)?;
            table = Some(place.clone()).filter(|place| is_table(place)).or(table);
        }
        let rank = product.rank();
        let (least, most) = ranks.unwrap_or((rank, rank));
        ranks = Some((rank.min(least), rank.max(most)));
        let matrix = match places.is_tied_head(module) {
            true => places.head_matrix(),
            false => format!("{place}.weight"),
        };
        added.insert(matrix, Arc::new(product));
    }
    let mut recipes = BTreeMap::new();
    for (name, stored) in &found.whole {
        let place = places.tensor(name);
        let known = |place: &String| base.contains(place) || *place == places.head_matrix();
        let Some(place) = place.filter(known) else {
            let module = name.rsplit_once('.').map_or(name.as_str(), |(module, _)| module);
            if config.saved.iter().any(|saved| ends_with(module, saved)) {
                return Err(AdapterError::NoTarget {
                    module: module.to_owned(),
                });
            }
            warnings.push(AdapterWarning::ExtraTensor {
                tensor: stored.clone(),
            });
            continue;
        };
        let (own, new) = (base.view(&place).ok(), tensors.view(stored)?);
        if let Some(own) = own.as_ref().filter(|own| is_plain(own) && own.shape != new.shape) {
            return Err(wrong(&new, format!("{:?} as in its base", own.shape)));
        }
        let changed = own.is_none_or(|own| own.bytes != new.bytes);
        let module = place.strip_suffix(".weight").unwrap_or_default();
        if changed {
            check_shared(module)?;
            table = Some(module.to_owned())
                .filter(|module| is_table(module))
                .or(table);
        }
        recipes.insert(place, Assembly::As(stored.clone()));
    }
    let own_head = recipes.contains_key(&places.head_matrix());
    let untied = !places.has_head() && (table.is_some() || head || own_head);
    if config.tied && untied {
        return Err(AdapterError::Unsupported {
            field: "ensure_weight_tying",
            what: "a table and a head that are changed together",
        });
    }
    let replaced = recipes.len() + biases.len();
    let base = match table
        .or_else(|| places.only_table())
        .filter(|_| untied && !own_head)
    {
        Some(table) => base.also_called(&format!("{table}.weight"), &places.head_matrix()),
        None => base,
    };
    let kept: Vec<String> = recipes.keys().cloned().collect();
    let whole = tensors
        .rebuilt(recipes)?
        .without(|name| !kept.iter().any(|k| k == name));
    let sums = Weights::from_bytes(encode(&biases, &BTreeMap::new())?, "biases")?;
    Ok(Adapted {
        matrices: added.len(),
        weights: base.adapted(whole.joined(sums)?, added),
        warnings: [config.warnings, warnings].concat(),
        replaced,
        ranks,
        untied,
    })
}

/// The targets that the config lists, the base has and the file has nothing for.
fn unused_targets(config: &AdapterConfig, found: &Tensors, places: &Places) -> Vec<AdapterWarning> {
    let Modules::Ends(ends) = &config.targets else {
        return Vec::new();
    };
    let unused = ends.iter().filter(|end| {
        let of_pair = found.pairs.keys().any(|module| ends_with(module, end));
        !of_pair && places.any_ends_with(end)
    });
    let warn = |target: &String| AdapterWarning::NoTensors {
        target: target.clone(),
    };
    unused.map(warn).collect()
}

/// The product of a pair, multiplied by its scale.
fn product(
    tensors: &Weights,
    module: &str,
    pair: &Pair,
    config: &AdapterConfig,
) -> Result<LowRank, AdapterError> {
    let names = match pair.table {
        true => ("lora_embedding_A", "lora_embedding_B"),
        false => ("lora_A", "lora_B"),
    };
    let half = |has, lacks| AdapterError::Half {
        module: module.to_owned(),
        has,
        lacks,
    };
    let (a, b) = match (&pair.a, &pair.b) {
        (Some(a), Some(b)) => (tensors.view(a)?, tensors.view(b)?),
        (Some(_), None) => return Err(half(names.0, names.1)),
        (None, Some(_)) => return Err(half(names.1, names.0)),
        (None, None) => return Err(half("a bias", names.0)),
    };
    let rank = a.shape.first().copied().unwrap_or(0);
    let wanted = config.rank(module);
    if rank as f64 != wanted || a.shape.len() < 2 {
        return Err(wrong(&a, format!("the rank {wanted} first")));
    }
    // Behind a convolution stands one of single pixels.
    if b.shape.len() < 2 || b.shape[1..].iter().product::<usize>() != rank || b.shape[1] != rank {
        return Err(wrong(&b, format!("the rank {rank} second")));
    }
    let scale = config.scale(module) as f32;
    let scaled = |values: Vec<f32>| values.into_iter().map(|value| value * scale).collect();
    let (a_values, b_values) = (a.to_f32()?, b.to_f32()?);
    let product = match pair.table {
        false => LowRank::new(scaled(b_values), a_values, rank),
        true => {
            let (rows, width) = (a_values.len() / rank, b.shape[0]);
            LowRank::new(
                scaled(transposed(&a_values, rank, rows)),
                transposed(&b_values, width, rank),
                rank,
            )
        }
    };
    product.ok_or_else(|| wrong(&a, "some values".to_owned()))
}

/// `[rows, columns]` → `[columns, rows]`.
fn transposed(values: &[f32], rows: usize, columns: usize) -> Vec<f32> {
    (0..columns)
        .flat_map(|column| (0..rows).map(move |row| values[row * columns + column]))
        .collect()
}

/// Fails where the matrix of the base has other rows or columns than the product. Of matrices in the layout of our own the sizes are
/// known when the model is built.
fn check_fit(
    base: &Weights,
    place: &str,
    tensors: &Weights,
    pair: &Pair,
    product: &LowRank,
) -> Result<(), AdapterError> {
    let matrix = format!("{place}.weight");
    let Some(stored) = base.shape(&matrix).map(<[usize]>::to_vec) else {
        return Err(AdapterError::NoTarget {
            module: place.to_owned(),
        });
    };
    let plain = base.is_quantised(&matrix) || base.view(&matrix).is_ok_and(|view| is_plain(&view));
    let columns = stored.iter().skip(1).product::<usize>();
    let rows = stored.first().copied().unwrap_or(0);
    if plain && (rows != product.rows() || columns != product.columns()) {
        let (of_rows, of_columns) = match pair.table {
            true => (&pair.a, &pair.b),
            false => (&pair.b, &pair.a),
        };
        let name = if rows != product.rows() {
            of_rows
        } else {
            of_columns
        };
        let view = tensors.view(name.as_deref().unwrap_or_default())?;
        return Err(wrong(&view, format!("one for the base's matrix of {stored:?}")));
    }
    Ok(())
}

/// The bias of a layer with that of its adapter.
fn summed(base: &Weights, place: &str, bias: &View<'_>, scale: f64) -> Result<TensorBytes, AdapterError> {
    let name = format!("{place}.bias");
    let own = base
        .view(&name)
        .map_err(|_| AdapterError::NoTarget { module: name.clone() })?;
    if own.shape != bias.shape {
        return Err(wrong(bias, format!("{:?} as in its base", own.shape)));
    }
    let (own_values, values) = (own.to_f32()?, bias.to_f32()?);
    let sums: Vec<f32> = own_values
        .iter()
        .zip(values)
        .map(|(own, value)| own + value * scale as f32)
        .collect();
    Ok((name, Dtype::F32, own.shape.clone(), f32_bytes(&sums, Dtype::F32)?))
}

/// Whether a module is the table of tokens that a tied output head shares.
fn is_table(module: &str) -> bool {
    ends_with(module, TABLE)
}

fn check_shared(module: &str) -> Result<(), AdapterError> {
    match SHARED.iter().any(|name| ends_with(module, name)) {
        true => Err(AdapterError::Shared {
            module: module.to_owned(),
        }),
        false => Ok(()),
    }
}

/// Whether the shape of a stored tensor is that of its matrix.
fn is_plain(view: &View<'_>) -> bool {
    matches!(view.dtype, Dtype::F32 | Dtype::F16 | Dtype::Bf16) || view.dtype.is_quantised()
}

fn wrong(view: &View<'_>, expected: String) -> AdapterError {
    AdapterError::Shape {
        tensor: view.name.to_owned(),
        expected,
        found: view.shape.clone(),
    }
}

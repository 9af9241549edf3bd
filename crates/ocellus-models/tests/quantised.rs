//! A checkpoint whose decoder's matrices were rounded to packed integers computes what those integers stand for.

use std::collections::BTreeMap;
use std::rc::Rc;
use std::sync::Arc;

use candle_core::{DType, Device};
use ocellus_models::Model;
use ocellus_models::families::{find, parse};
use ocellus_models::quantisation;
use ocellus_nn::attention::Batch;
use ocellus_nn::{Frozen, LoadError, Params, Precision, Source, Taps, Trainable};
use ocellus_testkit::Case;
use ocellus_testkit::case::tensors;
use ocellus_weights::{Dtype, Scheme, Weights, encode, f32_bytes};
use serde_json::{Value, json};

type Stored = BTreeMap<String, (Dtype, Vec<usize>, Vec<u8>)>;

/// How the test packs.
#[derive(Clone, Copy)]
struct Writer {
    gptq: bool,
    bits: u32,
    /// 0 for one group a row.
    group: usize,
    zeros_less_one: bool,
    /// Groups are no neighbours.
    scattered: bool,
}

const GPTQ: Writer = Writer {
    gptq: true,
    bits: 4,
    group: 32,
    zeros_less_one: true,
    scattered: false,
};
const AWQ: Writer = Writer {
    gptq: false,
    group: 16,
    ..GPTQ
};

impl Writer {
    fn config(&self) -> Value {
        let group = match self.group {
            0 => json!(-1),
            group => json!(group),
        };
        match self.gptq {
            true => json!({
                "quant_method": "gptq", "bits": self.bits, "group_size": group, "desc_act": self.scattered, "sym": false,
                "damp_percent": 0.1, "true_sequential": true, "exllama_config": { "version": 1 }, "dataset": null,
                "checkpoint_format": if self.zeros_less_one { "gptq" } else { "gptq_v2" },
            }),
            false => json!({
                "quant_method": "awq", "bits": 4, "group_size": group, "version": "gemm", "zero_point": true,
                "modules_to_not_convert": ["visual"],
            }),
        }
    }

    /// Rounds `weight [outputs, inputs]` in place, and gives the tensors that stand for it.
    fn pack(&self, name: &str, shape: &[usize], weight: &mut [f32]) -> Stored {
        let [outputs, inputs] = shape[..] else { panic!() };
        let size = if self.group == 0 { inputs } else { self.group };
        let groups = inputs.div_ceil(size);
        let index: Vec<usize> = (0..inputs)
            .map(|at| if self.scattered { at * 7 % inputs } else { at } / size)
            .collect();
        let largest = (1_i64 << self.bits) - 1;
        let (mut zeros, mut scales) = (vec![0; groups * outputs], vec![0.0; groups * outputs]);
        let mut integers = vec![0; weight.len()];
        for output in 0..outputs {
            for group in 0..groups {
                let members: Vec<usize> = (0..inputs).filter(|at| index[*at] == group).collect();
                let of = |at: &usize| weight[output * inputs + at];
                let low = members.iter().map(of).fold(0.0, f32::min);
                let high = members.iter().map(of).fold(0.0, f32::max);
                // A number that f16 holds.
                let scale = ((high - low) / largest as f32).max(1e-3);
                let scale = f32::from_bits(scale.to_bits() & !0x1fff);
                let zero = ((-low / scale).round() as i64).clamp(0, largest);
                for at in members {
                    let value =
                        ((weight[output * inputs + at] / scale).round() as i64 + zero).clamp(0, largest);
                    integers[output * inputs + at] = value;
                    weight[output * inputs + at] = scale * (value - zero) as f32;
                }
                (zeros[group * outputs + output], scales[group * outputs + output]) = (zero, scale);
            }
        }
        let n = 32 / self.bits as usize;
        let order = match self.gptq {
            true => (0..n).collect(),
            false => vec![0, 2, 4, 6, 1, 3, 5, 7],
        };
        // Integers `[rows, outputs]` in words along outputs.
        let along_outputs = |rows: usize, of: &dyn Fn(usize, usize) -> i64| -> Vec<u8> {
            let visual_tokens = (0..rows).flat_map(|row| (0..outputs / n).map(move |block| (row, block)));
            let word = |(row, block): (usize, usize)| {
                let part =
                    |place: usize| (of(row, block * n + order[place]) as u32) << (self.bits as usize * place);
                (0..n).map(part).fold(0, |word, part| word | part)
            };
            visual_tokens.map(word).flat_map(u32::to_le_bytes).collect()
        };
        let less = i64::from(self.zeros_less_one && self.gptq);
        let values = match self.gptq {
            false => along_outputs(inputs, &|input, output| integers[output * inputs + input]),
            true => {
                let visual_tokens =
                    (0..inputs / n).flat_map(|block| (0..outputs).map(move |output| (block, output)));
                let word = |(block, output): (usize, usize)| {
                    let part = |place: usize| {
                        (integers[output * inputs + block * n + place] as u32) << (self.bits as usize * place)
                    };
                    (0..n).map(part).fold(0, |word, part| word | part)
                };
                visual_tokens.map(word).flat_map(u32::to_le_bytes).collect()
            }
        };
        let values_shape = match self.gptq {
            true => vec![inputs / n, outputs],
            false => vec![inputs, outputs / n],
        };
        let zeros = along_outputs(groups, &|group, output| {
            (zeros[group * outputs + output] - less) & largest
        });
        let base = name.strip_suffix("weight").unwrap();
        let mut out = Stored::from([
            (format!("{base}qweight"), (Dtype::I32, values_shape, values)),
            (
                format!("{base}qzeros"),
                (Dtype::I32, vec![groups, outputs / n], zeros),
            ),
            (
                format!("{base}scales"),
                (
                    Dtype::F16,
                    vec![groups, outputs],
                    f32_bytes(&scales, Dtype::F16).unwrap(),
                ),
            ),
        ]);
        if self.gptq {
            let bytes = index.iter().flat_map(|at| (*at as u32).to_le_bytes()).collect();
            out.insert(format!("{base}g_idx"), (Dtype::I32, vec![inputs], bytes));
        }
        out
    }
}

struct Rounded {
    config: Value,
    /// What is stored: integers.
    packed: Stored,
    /// What they stand for.
    plain: Stored,
    matrices: BTreeMap<String, (Vec<usize>, Vec<f32>)>,
}

fn f32s(shape: &[usize], values: &[f32]) -> (Dtype, Vec<usize>, Vec<u8>) {
    (Dtype::F32, shape.to_vec(), f32_bytes(values, Dtype::F32).unwrap())
}

fn case() -> Case {
    Case::golden("qwen2_5_vl-multi-449")
}

fn plain_config() -> Value {
    let text = std::fs::read_to_string(case().model_dir().join("config.json")).unwrap();
    Value::clone(&parse(&text).unwrap())
}

/// The tensors of the case as they are.
fn original() -> BTreeMap<String, (Vec<usize>, Vec<f32>)> {
    let mut files = std::fs::read_dir(case().model_dir())
        .unwrap()
        .map(|f| f.unwrap().path());
    let file = files
        .find(|f| f.extension().is_some_and(|e| e == "safetensors"))
        .unwrap();
    let all = tensors(&file).into_iter();
    all.map(|(name, t)| (name, (t.shape.clone(), t.f32s().to_vec())))
        .collect()
}

fn rounded(writer: Writer) -> Rounded {
    let mut config = plain_config();
    config["quantization_config"] = writer.config();
    let mut out = Rounded {
        config,
        packed: Stored::new(),
        plain: Stored::new(),
        matrices: BTreeMap::new(),
    };
    for (name, (shape, mut values)) in original() {
        let linear = name.contains("layers.") && name.ends_with("proj.weight");
        if linear {
            out.packed.extend(writer.pack(&name, &shape, &mut values));
            out.matrices.insert(name.clone(), (shape.clone(), values.clone()));
        } else {
            out.packed.insert(name.clone(), f32s(&shape, &values));
        }
        out.plain.insert(name, f32s(&shape, &values));
    }
    assert_eq!(out.matrices.len(), 2 * 7);
    out
}

fn weights(stored: &Stored) -> Weights {
    let all: Vec<_> = stored
        .iter()
        .map(|(name, (dtype, shape, bytes))| (name.clone(), *dtype, shape.clone(), bytes.clone()))
        .collect();
    Weights::from_bytes(encode(&all, &BTreeMap::new()).unwrap(), "made").unwrap()
}

/// The tensors, with quantised matrices found as the config says.
fn opened(config: &Value, stored: &Stored) -> Result<Weights, String> {
    let scheme = scheme(config)?;
    weights(stored).quantised(scheme).map_err(|e| e.to_string())
}

fn scheme(config: &Value) -> Result<Scheme, String> {
    quantisation::scheme(&config.clone().into(), "qwen2_5_vl").map_err(|e| e.to_string())
}

fn source(config: &Value, stored: &Stored) -> Result<Rc<Frozen>, String> {
    let weights = Arc::new(opened(config, stored)?);
    Ok(Rc::new(Frozen::new(weights, Device::Cpu, DType::F32)))
}

/// The model, with no tensor left over, or what is said instead.
fn load(config: &Value, stored: &Stored) -> Result<Box<dyn Model>, String> {
    let source = source(config, stored)?;
    let family = find(config).unwrap();
    let params = Params::new(source.clone(), Precision::F32);
    let model = (family.load)(&config.clone().into(), &params).map_err(|e| e.to_string())?;
    source
        .finish(|name| family.ignores(name))
        .map_err(|e| e.to_string())?;
    Ok(model)
}

/// Logits of the words of the case: the tower has no part in it, and none of its matrices were rounded.
fn logits(model: &dyn Model) -> Vec<f32> {
    let ids = case().input("input_ids").ids();
    let decoder = model.generator().expect("it continues text").decoder();
    let positions: Vec<[i64; 3]> = (0..ids.len() as i64).map(|at| [at; 3]).collect();
    let batch = Batch::of(vec![ids.len()]);
    let x = decoder.embed(&ids).unwrap();
    let hidden = decoder
        .forward(&x, &positions, &batch, None, &mut Taps::none())
        .unwrap();
    decoder
        .logits(&hidden)
        .unwrap()
        .flatten_all()
        .unwrap()
        .to_vec1()
        .unwrap()
}

/// Length of the difference by length.
fn distance(a: &[f32], b: &[f32]) -> f64 {
    assert_eq!(a.len(), b.len());
    let square = |x: f32| f64::from(x) * f64::from(x);
    let off: f64 = a.iter().zip(b).map(|(a, b)| square(a - b)).sum();
    (off / b.iter().map(|b| square(*b)).sum::<f64>()).sqrt()
}

#[test]
fn integers_compute_what_they_stand_for() {
    let original: Stored = original()
        .into_iter()
        .map(|(name, (shape, values))| (name, f32s(&shape, &values)))
        .collect();
    let original = logits(load(&plain_config(), &original).unwrap().as_ref());
    let second = Writer {
        zeros_less_one: false,
        ..GPTQ
    };
    let table = [
        ("gptq", GPTQ),
        ("gptq of the second format", second),
        ("gptq with one group a row", Writer { group: 0, ..GPTQ }),
        ("gptq with groups of 8", Writer { group: 8, ..GPTQ }),
        (
            "gptq in another order",
            Writer {
                scattered: true,
                ..GPTQ
            },
        ),
        ("gptq of 8 bits", Writer { bits: 8, ..GPTQ }),
        ("awq", AWQ),
        ("awq with one group a row", Writer { group: 0, ..AWQ }),
    ];
    for (name, writer) in table {
        let rounded = rounded(writer);
        let plain = logits(load(&plain_config(), &rounded.plain).unwrap().as_ref());
        let packed = logits(load(&rounded.config, &rounded.packed).unwrap().as_ref());
        let (ours, rounding) = (distance(&packed, &plain), distance(&original, &plain));
        println!("{name}: {ours:.5} from the rounded weights, which are {rounding:.5} from the original");
        assert!(ours < 0.02, "{name}: {ours}");
        assert!(
            writer.bits == 8 || ours < 0.3 * rounding,
            "{name}: {ours}, {rounding}"
        );

        // As tensors they are exactly the rounded weights.
        let source = source(&rounded.config, &rounded.packed).unwrap();
        for (matrix, (shape, values)) in &rounded.matrices {
            assert!(source.contains(matrix) && !source.contains("model.layers.0.mlp.weight"));
            let tensor = source.tensor(matrix, shape).unwrap();
            assert_eq!(
                &tensor.flatten_all().unwrap().to_vec1::<f32>().unwrap(),
                values,
                "{name}, {matrix}"
            );
        }
    }
}

#[test]
fn what_does_not_fit_is_refused_in_one_sentence() {
    const O: &str = "model.layers.1.self_attn.o_proj.";
    type Change = fn(&mut Rounded);
    let table: [(Change, &str); 10] = [
        // Some writers give every matrix a bias.
        (
            |r| drop(r.packed.insert(format!("{O}bias"), f32s(&[48], &[0.0; 48]))),
            "",
        ),
        (
            |r| drop(r.packed.insert(format!("{O}bias"), f32s(&[48], &[0.5; 48]))),
            "nobody takes",
        ),
        (
            |r| {
                drop(
                    r.packed
                        .insert(format!("{O}weight"), f32s(&[48, 48], &[0.0; 2304])),
                )
            },
            "listed twice",
        ),
        (|r| drop(r.packed.remove(&format!("{O}qzeros"))), "o_proj.qzeros"),
        (|r| drop(r.packed.remove(&format!("{O}qweight"))), "o_proj.weight"),
        (
            |r| r.packed.get_mut(&format!("{O}scales")).unwrap().1 = vec![48, 2],
            "o_proj.qzeros",
        ),
        // Tensors show both, for every matrix its own.
        (|r| r.config["quantization_config"]["group_size"] = json!(16), ""),
        (|r| r.config["quantization_config"]["bits"] = json!(8), ""),
        (
            |r| drop(r.config.as_object_mut().unwrap().remove("quantization_config")),
            "no `quantization_config` says",
        ),
        (
            |r| r.packed.get_mut(&format!("{O}g_idx")).unwrap().2[0] = 7,
            "names group 7, and there are 2",
        ),
    ];
    for (change, part) in table {
        let mut rounded = rounded(GPTQ);
        change(&mut rounded);
        match load(&rounded.config, &rounded.packed) {
            Ok(_) => assert_eq!(part, "", "it is read"),
            Err(text) => assert!(
                !part.is_empty() && text.contains(part),
                "`{text}` does not say `{part}`"
            ),
        }
    }
    let rounded = rounded(GPTQ);
    let weights = opened(&rounded.config, &rounded.packed).unwrap();
    let params = Params::new(
        Rc::new(Trainable::from_weights(weights, Device::Cpu)),
        Precision::F32,
    );
    let error = (find(&rounded.config).unwrap().load)(&rounded.config.clone().into(), &params);
    assert_eq!(error.err().unwrap().to_string(), LoadError::Quantised.to_string());
}

#[test]
fn activations_are_rounded_unless_weights_are_widened() {
    for writer in [GPTQ, AWQ, Writer { bits: 8, ..GPTQ }] {
        let rounded = rounded(writer);
        let plain = logits(load(&plain_config(), &rounded.plain).unwrap().as_ref());
        let of = |widened: Option<Precision>| {
            let params = Params::new(source(&rounded.config, &rounded.packed).unwrap(), Precision::F32);
            let params = widened.map_or(params.clone(), |to| params.widened(to));
            let family = find(&rounded.config).unwrap();
            logits(
                (family.load)(&rounded.config.clone().into(), &params)
                    .unwrap()
                    .as_ref(),
            )
        };
        let off = |widened| distance(&of(widened), &plain);
        let (int8, bf16, f32) = (off(None), off(Some(Precision::Bf16)), off(Some(Precision::F32)));
        println!("{int8:.6} with activations of 8 bits, {bf16:.6} in bf16, {f32:.9} in f32");
        // The unpacking is exact: in f32 the bits are those of the rounded weights.
        assert_eq!(f32, 0.0);
        assert!(int8 < 0.02 && bf16 < 0.02);
    }
}

#[test]
fn configs_that_are_not_computed_are_refused_by_name() {
    let with = |writer: Writer, key: &str, value: Value| {
        let mut config = plain_config();
        config["quantization_config"] = writer.config();
        config["quantization_config"][key] = value;
        scheme(&config).err()
    };
    for (writer, key, value) in [
        (GPTQ, "bits", json!(4)),
        (GPTQ, "group_size", json!(-1)),
        (GPTQ, "group_size", Value::Null),
        (GPTQ, "checkpoint_format", Value::Null),
        (GPTQ, "pack_dtype", json!("int32")),
        (GPTQ, "dynamic", json!({ "-:.*visual.*": {} })),
        (GPTQ, "meta", json!({ "quantizer": ["x:1.0"] })),
        (AWQ, "version", json!("GEMM")),
        (AWQ, "checkpoint_format", json!("gemm")),
        (GPTQ, "bits", json!(3)),
        (GPTQ, "dynamic", json!({ "+:.*down.*": { "bits": 8 } })),
        (GPTQ, "hyb_act", json!(true)),
        (AWQ, "version", json!("gemv")),
        (AWQ, "version", json!("gemv_fast")),
    ] {
        assert_eq!(with(writer, key, value.clone()), None, "{key} = {value}");
    }
    for (writer, key, value) in [
        (GPTQ, "quant_method", json!("hqq")),
        (GPTQ, "quant_method", json!("torchao")),
        (GPTQ, "quant_method", json!("quanto")),
        (GPTQ, "quant_method", json!("aqlm")),
        (GPTQ, "bits", json!(5)),
        (GPTQ, "bits", Value::Null),
        (GPTQ, "group_size", json!(0)),
        (GPTQ, "group_size", json!(-2)),
        (GPTQ, "group_size", json!("all")),
        (GPTQ, "checkpoint_format", json!("marlin")),
        (GPTQ, "is_marlin_format", json!(true)),
        (GPTQ, "pack_dtype", json!("int8")),
        (GPTQ, "rotation", json!("hadamard")),
        (AWQ, "bits", json!(8)),
        (AWQ, "version", json!("marlin")),
        (AWQ, "zero_point", json!(false)),
        (AWQ, "backend", json!("llm-awq")),
        (AWQ, "checkpoint_format", json!("gemm_fast")),
    ] {
        let text = with(writer, key, value.clone()).unwrap_or_else(|| panic!("{key} = {value} is read"));
        assert!(text.contains(&format!("`quantization_config.{key}`")), "{text}");
    }
}

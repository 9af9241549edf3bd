//! Hostile checkpoints: the tensors of quantised matrices, changed. Each is read or refused in one sentence.

use std::collections::BTreeMap;
use std::path::PathBuf;

use ocellus_testkit::case::goldens_dir;
use ocellus_weights::{Dtype, Scheme, TensorBytes, Weights, Words, encode};

type Tensors = Vec<TensorBytes>;

fn files() -> Vec<PathBuf> {
    let folders = std::fs::read_dir(goldens_dir().join("quantised")).expect("a folder");
    let mut files: Vec<PathBuf> = folders
        .map(|folder| folder.unwrap().path().join("tensors.safetensors"))
        .collect();
    files.sort();
    files
}

/// The tensors of the first matrix of a file.
fn first(file: &PathBuf) -> Tensors {
    let weights = Weights::from_file(file).unwrap();
    let mut modules = weights.names().filter_map(|name| name.rsplit_once("proj."));
    let module = modules.next().expect("a linear layer").0.to_owned();
    let of_module = weights
        .names()
        .filter(|name| name.starts_with(&format!("{module}proj.")));
    let tensor = |name: &str| {
        let view = weights.view(name).unwrap();
        (
            name.to_owned(),
            view.dtype,
            view.shape.clone(),
            view.bytes.to_vec(),
        )
    };
    of_module.map(tensor).collect()
}

fn schemes() -> Vec<Scheme> {
    let words = [
        Words::Unsaid,
        Words::Gptq { zeros_less_one: true },
        Words::AwqGemm,
        Words::AwqGemv,
        Words::AwqGemvFast,
    ];
    let with = |(at, words): (usize, &Words)| Scheme {
        words: *words,
        group: [None, Some(32), Some(0), Some(usize::MAX), Some(7)][at],
        block: [None, Some([32, 32]), Some([0, 1]), Some([usize::MAX, 1]), None][at],
        bits: [vec![], vec![4], vec![8, 1], vec![3], vec![7]][at].clone(),
        affine: [
            None,
            Some([4, 32]),
            Some([0, 0]),
            Some([usize::MAX, 2]),
            Some([8, 32]),
        ][at],
        modules: vec![(String::new(), [3, 0])],
    };
    words.iter().enumerate().map(with).collect()
}

/// Reads whatever there is; `Err` is the sentence that refuses it.
fn read(tensors: &Tensors, scheme: &Scheme) -> Result<usize, String> {
    let weights = Weights::from_bytes(encode(tensors, &BTreeMap::new()).unwrap(), "made").unwrap();
    let weights = weights.quantised(scheme.clone()).map_err(|e| e.to_string())?;
    let names: Vec<&str> = weights.matrices().collect();
    for name in &names {
        let matrix = weights
            .matrix(name)
            .map_err(|e| e.to_string())?
            .expect("it was found");
        let [outputs, inputs] = matrix.shape();
        assert_eq!(weights.shape(name), Some(&[outputs, inputs][..]));
        let mut values = vec![0.0; outputs * inputs];
        matrix.read_f32(0, &mut values);
        if outputs > 2 {
            let mut last = vec![0.0; 2 * inputs];
            matrix.read_f32(outputs - 2, &mut last);
            let same = last
                .iter()
                .zip(&values[(outputs - 2) * inputs..])
                .all(|(a, b)| a.to_bits() == b.to_bits());
            assert!(same, "{name}: rows alone are rows of the whole");
        }
        let (bits, most) = (matrix.bits(), matrix.largest_number());
        for group in [matrix.group().unwrap_or(1), 16, 1, 0] {
            let Some(grouped) = matrix.grouped(0..outputs, group) else {
                continue;
            };
            assert_eq!(Some(grouped.bits), bits);
            assert!(
                grouped
                    .values
                    .iter()
                    .all(|value| u16::from(*value) < 1 << grouped.bits)
            );
            assert!(
                grouped
                    .scales
                    .iter()
                    .chain(&grouped.offsets)
                    .all(|number| number.abs() <= most)
            );
            // Beyond that, products overflow in one form and not yet in the other.
            let sane = most < 1e30;
            for (ours, exact) in grouped.to_f32().iter().zip(&values).filter(|_| sane) {
                // Scale and offset are rounded once each; the offset may be the zero of 255 values.
                assert!(
                    (ours - exact).abs() <= 1e-6 * most.max(f32::MIN_POSITIVE) * 256.0,
                    "{ours} {exact}"
                );
            }
        }
    }
    Ok(names.len())
}

/// Numbers that look random, from a seed.
struct Dice(u64);

impl Dice {
    fn below(&mut self, most: usize) -> usize {
        self.0 = self
            .0
            .wrapping_mul(6364136223846793005)
            .wrapping_add(1442695040888963407);
        ((self.0 >> 33) as usize) % most.max(1)
    }
}

/// Changes one tensor; its bytes fit its type and shape afterwards.
fn changed(tensors: &Tensors, dice: &mut Dice) -> Tensors {
    let mut tensors = tensors.clone();
    let at = dice.below(tensors.len());
    let (_, dtype, shape, bytes) = &mut tensors[at];
    match dice.below(6) {
        0 => {
            return tensors
                .drain(..)
                .enumerate()
                .filter(|(i, _)| *i != at)
                .map(|(_, tensor)| tensor)
                .collect();
        }
        1 => {
            let all: Vec<Dtype> = Dtype::all().collect();
            *dtype = all[dice.below(all.len())];
        }
        2 if !shape.is_empty() => {
            let axis = dice.below(shape.len());
            shape[axis] = [0, 1, 2, 3, 31, 33, 64, 65, 96, 4096][dice.below(10)];
        }
        3 => shape.reverse(),
        4 => shape.push([1, 2][dice.below(2)]),
        _ => {
            let count = bytes.len();
            for _ in 0..1 + dice.below(8) {
                if count > 0 {
                    bytes[dice.below(count)] = dice.below(256) as u8;
                }
            }
        }
    }
    if let Some((_, dtype, shape, bytes)) = tensors.get_mut(at) {
        let count = shape.iter().product::<usize>() * dtype.size_bytes();
        bytes.resize(count, 0x3c);
    }
    tensors
}

#[test]
fn changed_tensors_are_read_or_refused_in_one_sentence() {
    let mut dice = Dice(3);
    let (mut read_all, mut refused) = (0, 0);
    for file in files() {
        let tensors = first(&file);
        for scheme in &schemes() {
            for _ in 0..30 {
                let tensors = changed(&tensors, &mut dice);
                match read(&tensors, scheme) {
                    Ok(_) => read_all += 1,
                    Err(text) => {
                        refused += 1;
                        let sentence = !text.contains('\n') && text.len() < 400 && text.contains('`');
                        assert!(sentence, "{text}");
                    }
                }
            }
        }
    }
    assert!(read_all > 1000 && refused > 1000, "{read_all} {refused}");
}

#[test]
fn what_is_wrong_is_named() {
    let file = |name: &str| {
        goldens_dir()
            .join("quantised")
            .join(name)
            .join("tensors.safetensors")
    };
    let gptq = Scheme {
        words: Words::Gptq { zeros_less_one: true },
        group: Some(32),
        ..Scheme::default()
    };
    let awq = |words| Scheme {
        words,
        ..gptq.clone()
    };
    let plain = Scheme::default;
    type Change = fn(&mut Tensors);
    fn of<'t>(tensors: &'t mut Tensors, end: &str) -> &'t mut TensorBytes {
        tensors
            .iter_mut()
            .find(|tensor| tensor.0.ends_with(end))
            .expect("it is there")
    }
    fn without(tensors: &mut Tensors, end: &str) {
        tensors.retain(|tensor| !tensor.0.ends_with(end));
    }
    let table: Vec<(&str, Scheme, Change, &str)> = vec![
        (
            "gptq-4",
            gptq.clone(),
            |t| without(t, "qzeros"),
            "there is no tensor",
        ),
        (
            "gptq-4",
            gptq.clone(),
            |t| without(t, "scales"),
            "there is no tensor",
        ),
        (
            "gptq-4",
            gptq.clone(),
            |t| of(t, "g_idx").3[0] = 9,
            "names group 9, and there are",
        ),
        (
            "gptq-4",
            gptq.clone(),
            |t| of(t, "g_idx").3[..4].fill(0xff),
            "names group -1",
        ),
        (
            "gptq-4",
            gptq.clone(),
            |t| of(t, "scales").3[..2].copy_from_slice(&[0, 0x7c]),
            "is not finite",
        ),
        (
            "gptq-4",
            gptq.clone(),
            |t| of(t, "qweight").1 = Dtype::F32,
            "the type of",
        ),
        ("gptq-4", plain(), |_| {}, "no `quantization_config` says"),
        (
            "gptq-4-no-index",
            Scheme {
                group: Some(0),
                ..gptq.clone()
            },
            |t| of(t, "scales").2.reverse(),
            "qzeros",
        ),
        ("awq-gemm", awq(Words::AwqGemv), |_| {}, "the shape of"),
        ("awq-gemv", awq(Words::AwqGemm), |_| {}, "the shape of"),
        (
            "bnb-nf4",
            plain(),
            |t| without(t, "bitsandbytes__nf4"),
            "there is no tensor",
        ),
        ("bnb-nf4", plain(), |t| without(t, "absmax"), "weight.absmax"),
        (
            "bnb-nf4",
            plain(),
            |t| without(t, "quant_map"),
            "weight.quant_map",
        ),
        (
            "bnb-nf4",
            plain(),
            |t| of(t, "__nf4").3[0] = b'[',
            "is not the JSON",
        ),
        (
            "bnb-nf4",
            plain(),
            |t| without(t, "proj.weight"),
            "there is no tensor",
        ),
        (
            "bnb-nf4-double",
            plain(),
            |t| without(t, "nested_quant_map"),
            "nested_quant_map",
        ),
        (
            "bnb-int8",
            plain(),
            |t| of(t, "weight_format").3[0] = 1,
            "weight_format",
        ),
        (
            "fp8-tensor",
            plain(),
            |t| of(t, "weight_scale_inv").3[..4].copy_from_slice(&[0, 0, 0x80, 0x7f]),
            "is not finite",
        ),
        (
            "fp8-blocks",
            Scheme {
                block: Some([16, 16]),
                ..plain()
            },
            |_| {},
            "blocks of 16 x 16",
        ),
        (
            "fp8-blocks",
            Scheme {
                block: Some([0, 16]),
                ..plain()
            },
            |_| {},
            "blocks of 0 x 16",
        ),
        (
            "fp8-channel",
            plain(),
            |t| of(t, "proj.weight").1 = Dtype::U8,
            "the type of",
        ),
        (
            "ct-w4a16",
            plain(),
            |t| of(t, "weight_shape").3[7] = 0x80,
            "weight_shape is",
        ),
        (
            "ct-w4a16",
            plain(),
            |t| of(t, "weight_shape").3[0] = 1,
            "weight_packed",
        ),
        (
            "ct-w4a16",
            plain(),
            |t| without(t, "weight_scale"),
            "there is no tensor",
        ),
        (
            "ct-nvfp4",
            plain(),
            |t| of(t, "global_scale").3.fill(0),
            "infinite",
        ),
        (
            "mlx-4",
            plain(),
            |t| without(t, "proj.scales"),
            "there is no tensor",
        ),
    ];
    for (name, scheme, change, part) in table {
        let mut tensors = first(&file(name));
        change(&mut tensors);
        match read(&tensors, &scheme) {
            Ok(count) => panic!("{name} ({part}): {count} matrices are read"),
            Err(text) => assert!(text.contains(part), "{name}: `{text}` does not say `{part}`"),
        }
    }
}

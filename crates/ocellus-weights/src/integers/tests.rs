use super::*;
use crate::{encode, f32_bytes};
use std::collections::BTreeMap;

type Tensors = Vec<(String, Dtype, Vec<usize>, Vec<u8>)>;
type Change = fn(&mut Tensors);

/// A matrix in the plainest form, and how to write it.
#[derive(Clone)]
struct Plain {
    outputs: usize,
    inputs: usize,
    packing: Packing,
    /// Of every input.
    index: Vec<usize>,
    with_index: bool,
}

impl Plain {
    fn new(words: WordAxis, bits: u8, group: Option<usize>, zeros_less_one: bool) -> Self {
        let inputs = 40;
        let size = group.unwrap_or(inputs);
        Self {
            outputs: 24,
            inputs,
            packing: Packing {
                words,
                bits,
                group,
                zeros_less_one,
            },
            index: (0..inputs).map(|at| at / size).collect(),
            with_index: false,
        }
    }

    fn groups(&self) -> usize {
        self.packing.group.map_or(1, |size| self.inputs.div_ceil(size))
    }

    fn value(&self, output: usize, input: usize) -> u32 {
        ((output * 31 + input * 17 + output * input) % (1 << self.packing.bits)) as u32
    }

    fn zero(&self, group: usize, output: usize) -> u32 {
        ((group * 5 + output * 3) % (1 << self.packing.bits)) as u32
    }

    fn scale(&self, group: usize, output: usize) -> f32 {
        (1 + group + 2 * output) as f32 / 64.0
    }

    fn weight(&self, output: usize, input: usize) -> f32 {
        let group = self.index[input];
        let level = i64::from(self.value(output, input)) - i64::from(self.zero(group, output));
        self.scale(group, output) * level as f32
    }

    /// Words of `rows x outputs` integers that lie along outputs.
    fn along_outputs(&self, rows: usize, integer: impl Fn(usize, usize) -> u32) -> Vec<u32> {
        let (bits, n) = (u32::from(self.packing.bits), 32 / usize::from(self.packing.bits));
        let order: Vec<usize> = match self.packing.words {
            WordAxis::Inputs => (0..n).collect(),
            WordAxis::Outputs => vec![0, 2, 4, 6, 1, 3, 5, 7],
        };
        let mut words = Vec::new();
        for row in 0..rows {
            for block in 0..self.outputs / n {
                let mut word = 0;
                for (place, output) in (0_u32..).zip(&order) {
                    word |= integer(row, block * n + output) << (bits * place);
                }
                words.push(word);
            }
        }
        words
    }

    fn tensors(&self) -> Tensors {
        let n = 32 / usize::from(self.packing.bits);
        let mask = (1 << self.packing.bits) - 1;
        let (values, shape) = match self.packing.words {
            WordAxis::Outputs => (
                self.along_outputs(self.inputs, |input, output| self.value(output, input)),
                vec![self.inputs, self.outputs / n],
            ),
            WordAxis::Inputs => {
                let mut words = vec![0_u32; self.inputs / n * self.outputs];
                for output in 0..self.outputs {
                    for input in 0..self.inputs {
                        let shift = u32::from(self.packing.bits) * (input % n) as u32;
                        words[input / n * self.outputs + output] |= self.value(output, input) << shift;
                    }
                }
                (words, vec![self.inputs / n, self.outputs])
            }
        };
        let less = u32::from(self.packing.zeros_less_one);
        let zeros = self.along_outputs(self.groups(), |group, output| {
            self.zero(group, output).wrapping_sub(less) & mask
        });
        let scales: Vec<f32> = (0..self.groups())
            .flat_map(|group| (0..self.outputs).map(move |output| self.scale(group, output)))
            .collect();
        let bytes = |words: &[u32]| words.iter().flat_map(|w| w.to_le_bytes()).collect::<Vec<u8>>();
        let index: Vec<u32> = self.index.iter().map(|at| *at as u32).collect();
        let groups = self.groups();
        vec![
            ("v".into(), Dtype::I32, shape, bytes(&values)),
            (
                "z".into(),
                Dtype::I32,
                vec![groups, self.outputs / n],
                bytes(&zeros),
            ),
            (
                "s".into(),
                Dtype::F16,
                vec![groups, self.outputs],
                f32_bytes(&scales, Dtype::F16).unwrap(),
            ),
            ("g".into(), Dtype::I32, vec![self.inputs], bytes(&index)),
        ]
    }

    fn open_with(&self, change: Change) -> Result<Integers> {
        open_as(self, self, change)
    }
}

fn scattered() -> Plain {
    let mut plain = Plain::new(WordAxis::Inputs, 4, Some(16), true);
    plain.index = (0..plain.inputs).map(|at| at * 7 % plain.inputs / 16).collect();
    plain.with_index = true;
    plain
}

#[test]
fn every_packing_gives_back_what_was_packed() {
    let mut in_order = Plain::new(WordAxis::Inputs, 4, Some(16), true);
    in_order.with_index = true;
    let table = [
        Plain::new(WordAxis::Inputs, 4, Some(16), true),
        Plain::new(WordAxis::Inputs, 4, Some(8), false),
        Plain::new(WordAxis::Inputs, 8, Some(16), true),
        Plain::new(WordAxis::Inputs, 8, None, false),
        Plain::new(WordAxis::Inputs, 4, None, true),
        Plain::new(WordAxis::Inputs, 4, Some(128), true),
        Plain::new(WordAxis::Outputs, 4, Some(16), false),
        Plain::new(WordAxis::Outputs, 4, None, false),
        in_order,
        scattered(),
    ];
    for plain in table {
        let integers = plain.open_with(|_| {}).unwrap();
        for rows in [0..24, 3..12, 23..24, 5..5] {
            let expected: Vec<f32> = rows
                .clone()
                .flat_map(|output| (0..plain.inputs).map(move |input| (output, input)))
                .map(|(output, input)| plain.weight(output, input))
                .collect();
            let mut found = vec![f32::NAN; expected.len()];
            integers.read_f32(rows.start, &mut found);
            assert_eq!(found, expected, "{:?}", plain.packing);
            match integers.group() {
                Some(group) => {
                    let grouped = integers.grouped(rows.clone(), group).unwrap();
                    assert_eq!(grouped.to_f32(), expected, "{:?}", plain.packing);
                    let halves = integers.grouped(rows, group / 2).unwrap();
                    assert_eq!(halves.to_f32(), expected, "{:?}", plain.packing);
                    let longer = integers.grouped(0..0, group * 2);
                    assert_eq!(longer.is_some(), group >= plain.inputs, "{:?}", plain.packing);
                }
                None => assert!(plain.with_index && integers.grouped(rows, 8).is_none()),
            }
        }
    }
}

#[test]
fn the_middle_is_seen() {
    let plain = Plain::new(WordAxis::Inputs, 8, Some(16), true);
    assert!(!plain.open_with(|_| {}).unwrap().is_centred());
    let middle = plain.open_with(|tensors| tensors[1].3.fill(127)).unwrap();
    assert!(middle.is_centred());
}

#[test]
fn tensors_that_do_not_fit_are_refused() {
    let plain = Plain::new(WordAxis::Inputs, 4, Some(16), true);
    let crosswise = Plain {
        packing: Packing {
            words: WordAxis::Outputs,
            ..plain.packing
        },
        ..plain.clone()
    };
    let with = |change: fn(&mut Plain)| {
        let mut changed = scattered();
        change(&mut changed);
        changed
    };
    let kept: Change = |_| {};
    let table: Vec<(Plain, Change, &str)> = vec![
        (plain.clone(), |t| drop(t.remove(1)), "`z`"),
        (plain.clone(), |t| t[0].2 = vec![24, 5], "`v`"),
        (plain.clone(), |t| t[1].2 = vec![9], "[9]"),
        (plain.clone(), |t| t[2].2 = vec![24, 3], "`s`"),
        (plain.clone(), |t| t[0].1 = Dtype::F32, "expected I32"),
        (plain.clone(), |t| t[1].1 = Dtype::U32, "expected I32"),
        (plain.clone(), |t| t[2].1 = Dtype::I16, "I16"),
        (
            plain.clone(),
            |t| t[2].3[..2].copy_from_slice(&[0, 0x7c]),
            "not finite",
        ),
        (scattered(), |t| t[3].3[0] = 3, "names group 3"),
        (scattered(), |t| t[3].3[..4].fill(0xff), "names group -1"),
        (scattered(), |t| drop(t.remove(3)), "`g`"),
        (with(|p| p.inputs = 44), |_| {}, "does not fill words"),
        (with(|p| p.outputs = 20), |_| {}, "does not fill words"),
        (with(|p| p.packing.bits = 8), |_| {}, "its shape is"),
        (with(|p| p.packing.group = Some(32)), |_| {}, "its shape is"),
    ];
    for (at, (plain, change, part)) in table.into_iter().enumerate() {
        // What is written is the right one, and read with what was changed.
        let written = if plain.with_index {
            scattered()
        } else {
            plain.clone()
        };
        let text = open_as(&written, &plain, change).err().map(|e| e.to_string());
        let text = text.unwrap_or_else(|| panic!("case {at} ({part}) is read"));
        assert!(text.contains(part), "`{text}` does not say `{part}`");
    }
    for (plain, part) in [
        (with(|p| p.packing.group = Some(0)), "have no inputs"),
        (with(|p| p.inputs = 0), "does not fill words"),
        (with(|p| p.packing.bits = 3), "3 bits"),
        (with(|p| p.packing.bits = 0), "0 bits"),
    ] {
        let text = open_as(&scattered(), &plain, kept).err().unwrap().to_string();
        assert!(text.contains(part), "`{text}` does not say `{part}`");
    }
    // The same tensors in the other order have other shapes.
    assert!(open_as(&plain, &crosswise, kept).is_err());
}

/// The tensors of `written`, changed, read as if they were those of `plain`.
fn open_as(written: &Plain, plain: &Plain, change: Change) -> Result<Integers> {
    let mut tensors = written.tensors();
    change(&mut tensors);
    let weights = Weights::from_bytes(encode(&tensors, &BTreeMap::new()).unwrap(), "made").unwrap();
    let names = IntegerNames {
        values: "v".into(),
        zeros: "z".into(),
        scales: "s".into(),
        groups: plain.with_index.then(|| "g".into()),
    };
    let shape = [plain.outputs, plain.inputs];
    Integers::open(Arc::new(weights), names, shape, plain.packing)
}

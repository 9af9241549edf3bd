//! How a batch is cut into shards and packs changes the order of sums and nothing else.

use candle_core::Device;
use ocellus_nn::{Params, Precision, Trainable};
use ocellus_synth::{Corpus, Curriculum, Fonts, Synth};
use ocellus_text::Tokenizer;
use ocellus_train::example::{Ids, Maker};
use ocellus_train::frames::FrameHead;
use ocellus_train::optimiser::AdamW;
use ocellus_train::step::{DataParallel, Sums, TrainedModel, Weights};
use std::rc::Rc;

mod tiny;

const FRAMES: usize = 4;
const BATCH: usize = 7;

struct Setting {
    student: TrainedModel,
    optimiser: AdamW,
    maker: Maker,
    synth: Synth,
}

fn setting(name: &str) -> Setting {
    let folder = tiny::folder(name);
    let recipe = tiny::recipe(&folder);
    let read = |file: &str| std::fs::read_to_string(folder.join(file)).unwrap();
    let source = Rc::new(Trainable::random(5, 0.05, Device::Cpu));
    let params = Params::new(source.clone(), Precision::F32);
    let model = ocellus_models::load_generator(&read("config.json"), &params).unwrap();
    let width = model.vlm().decoder().spec().block.width;
    let frames = FrameHead::load(&params.at("auxiliary"), width, FRAMES).unwrap();
    Setting {
        student: TrainedModel {
            model,
            frames: Some(frames),
            guide_layers: vec![0, 1],
        },
        optimiser: AdamW::new(source.vars()).unwrap(),
        maker: Maker {
            tokenizer: Tokenizer::from_dir(&folder).unwrap(),
            recipe: ocellus_media::Recipe::from_json(&read("preprocessor_config.json")).unwrap(),
            ids: Ids {
                vision_start: 2,
                vision_end: 3,
                image: 4,
                end: 1,
            },
            frames_per_cell: FRAMES,
        },
        synth: Synth::new(
            Fonts::load(&recipe.data.fonts, &ocellus_synth::charset::latin()).unwrap(),
            Corpus::load(&recipe.data.corpus, &ocellus_synth::charset::latin()).unwrap(),
            ocellus_synth::charset::latin(),
            9,
        ),
    }
}

impl Setting {
    fn gradients(&self, shards: usize, micro_batch: usize) -> (Vec<Vec<f32>>, Sums) {
        let curriculum = Curriculum {
            min_chars: 1,
            max_chars: 14,
            max_cells: 6,
            difficulty: 0.5,
        };
        let make = |i: usize| self.maker.example(&self.synth.sample(i as u64, &curriculum));
        let weights = Weights {
            frames: 0.5,
            guide: 0.25,
        };
        DataParallel::new(shards)
            .gradients(
                &self.student,
                &self.optimiser.slots,
                (BATCH, micro_batch),
                &make,
                weights,
            )
            .unwrap()
    }
}

#[test]
fn shards_and_packs_change_nothing_but_the_order_of_sums() {
    let setting = setting("shards");
    let (expected, one) = setting.gradients(1, BATCH);
    for (shards, micro_batch) in [(2, BATCH), (1, 2), (2, 1), (3, 2), (9, 4)] {
        let name = format!("{shards} shards, packs of {micro_batch}");
        let (found, sums) = setting.gradients(shards, micro_batch);
        for ((slot, found), expected) in setting.optimiser.slots.iter().zip(&found).zip(&expected) {
            let largest = expected.iter().fold(0.0f32, |m, g| m.max(g.abs()));
            assert!(largest > 0.0, "`{}` has no gradient", slot.name);
            let worst = found
                .iter()
                .zip(expected)
                .fold(0.0f32, |m, (a, b)| m.max((a - b).abs()));
            assert!(
                worst <= 1e-5 * largest,
                "{name}: `{}` differs by {worst}, its largest gradient is {largest}",
                slot.name
            );
        }
        assert_eq!(
            (sums.targets, sums.frame_count, sums.guides),
            (one.targets, one.frame_count, one.guides),
            "{name}"
        );
        for (found, expected) in [
            (sums.language, one.language),
            (sums.frames, one.frames),
            (sums.guide, one.guide),
        ] {
            assert!(
                (found - expected).abs() <= 1e-6 * expected,
                "{name}: {found}, {expected}"
            );
        }
    }
}

#[test]
fn the_same_cut_gives_the_same_bits() {
    let setting = setting("shards-again");
    let bits = |gradients: Vec<Vec<f32>>| -> Vec<Vec<u32>> {
        gradients
            .into_iter()
            .map(|g| g.into_iter().map(f32::to_bits).collect())
            .collect()
    };
    assert!(bits(setting.gradients(2, 3).0) == bits(setting.gradients(2, 3).0));
}

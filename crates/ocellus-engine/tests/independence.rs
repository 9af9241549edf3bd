//! A sequence does not depend on its neighbours, on how its prompt was cut, or on having a cache: bit for bit.

use candle_core::Tensor;
use ocellus_engine::{Request, Sampling};
use ocellus_models::{Embeddings, VisualSpan, Vlm};
use ocellus_nn::attention::Batch;
use ocellus_nn::{BlockTable, KvCache, KvWidth, Taps};

mod tiny;

/// Embeddings and positions of one request.
fn prompt(model: &dyn Vlm, request: &Request) -> (Embeddings, Vec<[i64; 3]>) {
    let grids: Vec<_> = request.pictures.iter().map(|p| p.grid).collect();
    let patches: Vec<_> = request.pictures.iter().map(|p| p.patches.clone()).collect();
    let tokens = (!grids.is_empty()).then(|| {
        let patches = Tensor::cat(&patches, 0).unwrap();
        model.encode(&patches, &grids, &mut Taps::none()).unwrap()
    });
    let visions: Vec<VisualSpan> = grids
        .iter()
        .map(|&grid| VisualSpan {
            grid,
            video_seconds: None,
        })
        .collect();
    let positions = model.positions(&request.ids, &visions, request.rule).unwrap();
    let embeds = model
        .embed(&request.ids, tokens.as_ref(), None, &mut Taps::none())
        .unwrap();
    (embeds, positions.ids)
}

/// The bits of every logit of hidden states.
fn bits(model: &dyn Vlm, hidden: &Tensor) -> Vec<u32> {
    let logits: Vec<f32> = model
        .logits(hidden)
        .unwrap()
        .flatten_all()
        .unwrap()
        .to_vec1()
        .unwrap();
    logits.into_iter().map(f32::to_bits).collect()
}

/// Logits of a prompt that is read in pieces which end at `cuts`.
fn in_pieces(model: &dyn Vlm, request: &Request, cuts: &[usize]) -> Vec<u32> {
    let (embeds, positions) = prompt(model, request);
    let mut cache = KvCache::new(&model.kv_layout(), KvWidth::Full).unwrap();
    cache.grow(4).unwrap();
    let mut table = BlockTable {
        blocks: vec![3, 1],
        len: 0,
    };
    let mut all = Vec::new();
    for &to in cuts.iter().chain([&request.ids.len()]) {
        let batch = Batch {
            tables: vec![table.clone()],
            ..Batch::of(vec![to - table.len])
        };
        let piece = embeds.narrow(table.len, to - table.len).unwrap();
        let hidden = model
            .forward(
                &piece,
                &positions[table.len..to],
                &batch,
                Some(&cache),
                &mut Taps::none(),
            )
            .unwrap();
        all.extend(bits(model, &hidden));
        table.len = to;
    }
    all
}

#[test]
fn a_prompt_gives_the_same_logits_in_one_piece_and_in_several() {
    let loaded = tiny::model();
    let model = loaded.vlm();
    for request in tiny::three() {
        let (tokens, whole) = (request.ids.len(), in_pieces(model, &request, &[]));
        assert_eq!(whole.len(), tokens * model.decoder().spec().vocab);
        let (embeds, positions) = prompt(model, &request);
        let alone = Batch::of(vec![tokens]);
        let hidden = model
            .forward(&embeds, &positions, &alone, None, &mut Taps::none())
            .unwrap();
        assert_eq!(bits(model, &hidden), whole, "without a cache");
        // A cut at 3 goes through the first picture, where there is one.
        for cuts in [&[1][..], &[3], &[tokens / 2], &[tokens - 1], &[1, 3, tokens / 2]] {
            let pieces = in_pieces(model, &request, cuts);
            let differs = pieces.iter().zip(&whole).position(|(a, b)| a != b);
            assert_eq!(
                differs, None,
                "{tokens} tokens cut at {cuts:?}: the first logit that differs"
            );
        }
    }
}

#[test]
fn neighbours_change_no_logit() {
    let loaded = tiny::model();
    let model = loaded.vlm();
    let requests = tiny::three();
    let prompts: Vec<_> = requests.iter().map(|r| prompt(model, r)).collect();
    // Every order, in blocks of a cache that is larger than any of them needs.
    for order in [[0, 1, 2], [2, 0, 1], [1, 2, 0]] {
        let embeds: Vec<Embeddings> = order.iter().map(|i| prompts[*i].0.clone()).collect();
        let positions: Vec<[i64; 3]> = order.iter().flat_map(|i| prompts[*i].1.clone()).collect();
        let table = |blocks: [u32; 2]| BlockTable {
            blocks: blocks.to_vec(),
            len: 0,
        };
        let batch = Batch {
            tables: [[4, 0], [1, 6], [2, 3]].map(table).to_vec(),
            ..Batch::of(order.iter().map(|i| requests[*i].ids.len()).collect())
        };
        let mut cache = KvCache::new(&model.kv_layout(), KvWidth::Full).unwrap();
        cache.grow(7).unwrap();
        let hidden = model
            .forward(
                &Embeddings::cat(&embeds).unwrap(),
                &positions,
                &batch,
                Some(&cache),
                &mut Taps::none(),
            )
            .unwrap();
        let (packed, mut from) = (bits(model, &hidden), 0);
        for i in order {
            let alone = in_pieces(model, &requests[i], &[]);
            assert!(
                packed[from..from + alone.len()] == alone,
                "request {i} in the order {order:?}"
            );
            from += alone.len();
        }
    }
}

#[test]
fn neighbours_change_no_token() {
    let loaded = tiny::model();
    let model = loaded.vlm();
    let mut requests = tiny::three();
    requests[1].sampling = Sampling {
        temperature: 1.2,
        top_p: 0.95,
        repetition_penalty: 1.1,
        seed: 5,
        ..Sampling::default()
    };
    // Neighbours end at different times, so that the rows of a step change their places.
    (
        requests[0].max_tokens,
        requests[1].max_tokens,
        requests[2].max_tokens,
    ) = (3, 14, 8);
    let together = tiny::answers(model, &requests).unwrap();
    let other_pictures = tiny::request(77, &[(6, 8), (4, 4)], 20);
    for (request, expected) in requests.iter().zip(&together) {
        let alone = tiny::answers(model, std::slice::from_ref(request)).unwrap();
        assert_eq!(&alone[0], expected, "alone");
        let batch = [other_pictures.clone(), request.clone(), other_pictures.clone()];
        let among_others = tiny::answers(model, &batch).unwrap();
        assert_eq!(&among_others[1], expected, "among others");
        assert_eq!(
            among_others[0], among_others[2],
            "the same request twice in a batch"
        );
    }
}

//! The encoder cache: visual tokens of pictures, kept for later requests with the same picture.

use std::collections::HashMap;

use ocellus_models::{Embeddings, Grid};

use crate::request::{Picture, PictureKey};

/// The picture key, the grid, and the bits of the seconds of a video.
type Key = (PictureKey, [usize; 3], Option<u32>);

struct Kept {
    tokens: Embeddings,
    bytes: usize,
    used: u64,
}

/// A least-recently-used cache with a limit in bytes.
pub struct EncoderCache {
    most_bytes: usize,
    bytes: usize,
    time: u64,
    kept: HashMap<Key, Kept>,
}

impl EncoderCache {
    pub fn new(most_bytes: usize) -> Self {
        Self {
            most_bytes,
            bytes: 0,
            time: 0,
            kept: HashMap::new(),
        }
    }

    /// Bytes of the visual tokens that are kept.
    pub fn bytes(&self) -> usize {
        self.bytes
    }

    /// The visual tokens of a picture, if they are kept.
    pub fn get(&mut self, picture: &Picture) -> Option<Embeddings> {
        self.time += 1;
        let kept = self.kept.get_mut(&key(picture)?)?;
        kept.used = self.time;
        Some(kept.tokens.clone())
    }

    /// Stores the visual tokens of a picture that has a key; the least recently used entries are evicted.
    pub fn keep(&mut self, picture: &Picture, tokens: &Embeddings) {
        let Some(key) = key(picture) else { return };
        let bytes = [&tokens.rows]
            .into_iter()
            .chain(&tokens.added)
            .map(|t| t.elem_count() * t.dtype().size_in_bytes())
            .sum();
        if bytes > self.most_bytes || self.kept.contains_key(&key) {
            return;
        }
        while self.bytes + bytes > self.most_bytes {
            let oldest = self.kept.iter().min_by_key(|(_, kept)| kept.used);
            let Some(oldest) = oldest.map(|(key, _)| *key) else {
                break;
            };
            self.bytes -= self.kept.remove(&oldest).map_or(0, |kept| kept.bytes);
        }
        self.bytes += bytes;
        self.time += 1;
        let used = self.time;
        let tokens = tokens.clone();
        self.kept.insert(key, Kept { tokens, bytes, used });
    }
}

fn key(picture: &Picture) -> Option<Key> {
    let Grid { t, h, w } = picture.grid;
    Some((picture.key?, [t, h, w], picture.video_seconds.map(f32::to_bits)))
}

#[cfg(test)]
mod tests {
    use candle_core::{DType, Device, Tensor};

    use super::*;

    fn picture(key: u8, w: usize) -> Picture {
        Picture {
            patches: Tensor::zeros((w, 1), DType::F32, &Device::Cpu).unwrap(),
            grid: Grid { t: 1, h: 1, w },
            video_seconds: None,
            key: Some(PictureKey([key; 32])),
        }
    }

    fn tokens(value: f64, rows: usize) -> Embeddings {
        (Tensor::ones((rows, 1), DType::F32, &Device::Cpu).unwrap() * value)
            .unwrap()
            .into()
    }

    fn found(cache: &mut EncoderCache, picture: &Picture) -> Option<f32> {
        let tokens = cache.get(picture)?.rows;
        Some(tokens.get(0).unwrap().get(0).unwrap().to_scalar().unwrap())
    }

    #[test]
    fn sides_tell_pictures_apart_and_the_oldest_makes_room() {
        // Room for three rows of 4 bytes.
        let mut cache = EncoderCache::new(12);
        cache.keep(&picture(1, 1), &tokens(1.0, 1));
        cache.keep(&picture(1, 2), &tokens(2.0, 2));
        assert_eq!(found(&mut cache, &picture(1, 2)), Some(2.0));
        assert_eq!(found(&mut cache, &picture(1, 1)), Some(1.0));
        cache.keep(&picture(2, 1), &tokens(3.0, 1));
        assert_eq!(found(&mut cache, &picture(1, 2)), None, "it was used least");
        assert_eq!((found(&mut cache, &picture(1, 1)), cache.bytes()), (Some(1.0), 8));
        cache.keep(&picture(3, 1), &tokens(4.0, 4));
        assert_eq!(found(&mut cache, &picture(3, 1)), None, "it never fits");
        let nameless = Picture {
            key: None,
            ..picture(4, 1)
        };
        cache.keep(&nameless, &tokens(5.0, 1));
        assert_eq!((found(&mut cache, &nameless), cache.bytes()), (None, 8));
        let video = Picture {
            video_seconds: Some(0.5),
            ..picture(1, 1)
        };
        assert_eq!(found(&mut cache, &video), None);
    }
}

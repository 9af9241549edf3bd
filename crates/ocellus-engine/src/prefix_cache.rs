//! The prefix cache: full blocks of prompts and answers, kept for later requests with the same prefix.

use std::collections::HashMap;

use ocellus_nn::BLOCK;
use sha2::{Digest, Sha256};

use crate::block_pool::BlockPool;
use crate::request::PictureKey;

/// A digest of everything up to the end of a block: ids, positions, pictures.
pub type BlockKey = [u8; 32];

/// Everything about a token that its keys and values depend on.
#[derive(Clone, Copy, Debug)]
pub struct Cacheable {
    pub id: u32,
    pub position: [i64; 3],
    /// The picture of a visual token. Which of its visual tokens it is follows from the key of the block before.
    pub picture: Option<PictureKey>,
}

/// The key of a full block that follows the block with key `before`.
///
/// # Panics
/// When there are not as many tokens as a block holds.
pub fn key(before: Option<&BlockKey>, tokens: &[Cacheable]) -> BlockKey {
    assert_eq!(tokens.len(), BLOCK, "a full block");
    let mut hasher = Sha256::new();
    hasher.update(before.unwrap_or(&[0; 32]));
    for token in tokens {
        hasher.update(token.id.to_le_bytes());
        token
            .position
            .iter()
            .for_each(|axis| hasher.update(axis.to_le_bytes()));
        match &token.picture {
            Some(PictureKey(key)) => {
                hasher.update([1]);
                hasher.update(key);
            }
            None => hasher.update([0]),
        }
    }
    hasher.finalize().into()
}

/// A kept block, and when it was used last.
struct Kept {
    block: u32,
    used: u64,
}

/// The cached blocks. The cache holds a reference to each, so that a block outlives the sequence that wrote it; a block without
/// other references can be evicted at any time.
#[derive(Default)]
pub struct PrefixCache {
    blocks: HashMap<BlockKey, Kept>,
    time: u64,
}

impl PrefixCache {
    /// The cached blocks for these keys, in order, up to the first miss. The caller gets a reference to each.
    pub fn take(&mut self, keys: &[BlockKey], pool: &mut BlockPool) -> Vec<u32> {
        self.time += 1;
        let mut found = Vec::new();
        for key in keys {
            let Some(kept) = self.blocks.get_mut(key) else {
                break;
            };
            kept.used = self.time;
            pool.retain(kept.block);
            found.push(kept.block);
        }
        found
    }

    /// Caches a full block, unless the key is cached already.
    pub fn keep(&mut self, key: BlockKey, block: u32, pool: &mut BlockPool) {
        let used = self.time;
        self.blocks.entry(key).or_insert_with(|| {
            pool.retain(block);
            Kept { block, used }
        });
    }

    /// Evicts the least recently used block without other references; `None` when there is none.
    pub fn evict(&mut self, pool: &mut BlockPool) -> Option<u32> {
        let idle = self.blocks.iter().filter(|(_, kept)| !pool.shared(kept.block));
        // Of equally old blocks the later one first: it is useless without those before it.
        let (key, _) = idle.min_by_key(|(_, kept)| (kept.used, std::cmp::Reverse(kept.block)))?;
        let key = *key;
        let kept = self.blocks.remove(&key)?;
        pool.release(kept.block);
        Some(kept.block)
    }

    /// Number of blocks that could be evicted now.
    pub fn idle(&self, pool: &BlockPool) -> usize {
        self.blocks
            .values()
            .filter(|kept| !pool.shared(kept.block))
            .count()
    }

    /// The kept blocks.
    pub fn blocks(&self) -> Vec<u32> {
        self.blocks.values().map(|kept| kept.block).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tokens(change: impl Fn(&mut [Cacheable])) -> Vec<Cacheable> {
        let token = |i: usize| Cacheable {
            id: i as u32,
            position: [i as i64; 3],
            picture: i.is_multiple_of(2).then_some(PictureKey([7; 32])),
        };
        let mut tokens: Vec<Cacheable> = (0..BLOCK).map(token).collect();
        change(&mut tokens);
        tokens
    }

    #[test]
    fn everything_that_keys_and_values_depend_on_is_in_the_key() {
        let own = key(None, &tokens(|_| ()));
        assert_eq!(own, key(None, &tokens(|_| ())));
        let others = [
            key(Some(&[1; 32]), &tokens(|_| ())),
            key(None, &tokens(|t| t[5].id = 6)),
            key(None, &tokens(|t| t[5].position[2] = 6)),
            key(None, &tokens(|t| t[4].picture = Some(PictureKey([8; 32])))),
            key(None, &tokens(|t| t[4].picture = None)),
            key(None, &tokens(|t| t.swap(3, 5))),
        ];
        for (i, other) in others.iter().enumerate() {
            assert_ne!(*other, own, "{i}");
        }
    }

    #[test]
    fn what_is_used_stays_and_the_oldest_goes_first() {
        let (mut pool, mut cache) = (BlockPool::new(8), PrefixCache::default());
        let keys: Vec<BlockKey> = (0..4).map(|i| [i; 32]).collect();
        let blocks: Vec<u32> = keys
            .iter()
            .map(|key| {
                let block = pool.allocate().unwrap();
                cache.keep(*key, block, &mut pool);
                // The sequence that wrote it is done.
                pool.release(block);
                block
            })
            .collect();
        assert_eq!(cache.idle(&pool), 4);
        assert_eq!(
            cache.take(&[keys[0], keys[1], [9; 32], keys[2]], &mut pool),
            blocks[..2]
        );
        assert_eq!(cache.idle(&pool), 2);
        pool.release(blocks[0]);
        let evicted: Vec<u32> = std::iter::from_fn(|| cache.evict(&mut pool)).collect();
        assert_eq!(evicted, [blocks[3], blocks[2], blocks[0]], "1 is in use");
        assert_eq!(cache.blocks(), [blocks[1]]);
    }
}

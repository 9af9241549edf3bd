//! Reference counts of the blocks of the KV cache.

/// Counts how many block tables name each block. A shared block is never written to: a sequence that continues in it makes a copy
/// first.
#[derive(Debug)]
pub struct BlockPool {
    /// Tables that name each block; 0 = free.
    references: Vec<u32>,
    /// Free blocks, the next to be given last.
    free: Vec<u32>,
    capacity: usize,
}

impl BlockPool {
    /// A pool of at most `capacity` blocks.
    pub fn new(capacity: usize) -> Self {
        Self {
            references: Vec::new(),
            free: Vec::new(),
            capacity,
        }
    }

    /// Number of blocks in existence: one more than the largest number ever allocated.
    pub fn len(&self) -> usize {
        self.references.len()
    }

    pub fn is_empty(&self) -> bool {
        self.references.is_empty()
    }

    pub fn capacity(&self) -> usize {
        self.capacity
    }

    /// Number of blocks that can be allocated.
    pub fn available(&self) -> usize {
        self.free.len() + self.capacity - self.references.len()
    }

    /// A free block, with one reference.
    pub fn allocate(&mut self) -> Option<u32> {
        if let Some(block) = self.free.pop() {
            self.references[block as usize] = 1;
            return Some(block);
        }
        if self.references.len() == self.capacity {
            return None;
        }
        self.references.push(1);
        Some(self.references.len() as u32 - 1)
    }

    /// Adds a reference to a block.
    pub fn retain(&mut self, block: u32) {
        let count = &mut self.references[block as usize];
        assert!(*count > 0, "block {block} is free");
        *count += 1;
    }

    /// Removes a reference; returns whether the block is free now.
    pub fn release(&mut self, block: u32) -> bool {
        let count = &mut self.references[block as usize];
        assert!(*count > 0, "block {block} was released twice");
        *count -= 1;
        if *count == 0 {
            self.free.push(block);
        }
        *count == 0
    }

    /// Whether more than one table names a block.
    pub fn shared(&self, block: u32) -> bool {
        self.references[block as usize] > 1
    }

    /// Fails, with a sentence, unless these tables account for all references and every other block is free.
    pub fn check<'a>(&self, tables: impl Iterator<Item = &'a [u32]>) -> Result<(), String> {
        let mut counted = vec![0; self.references.len()];
        for block in tables.flatten() {
            *counted
                .get_mut(*block as usize)
                .ok_or_else(|| format!("block {block} does not exist"))? += 1;
        }
        if let Some(block) = (0..counted.len()).find(|i| counted[*i] != self.references[*i]) {
            return Err(format!(
                "block {block} has {} references, and {} tables name it",
                self.references[block], counted[block]
            ));
        }
        let mut free = self.free.clone();
        free.sort_unstable();
        let unnamed = (0..counted.len() as u32).filter(|i| counted[*i as usize] == 0);
        match free.iter().copied().eq(unnamed) {
            true => Ok(()),
            false => Err("the free blocks are not those that nobody names".to_owned()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_block_is_free_when_nobody_names_it() {
        let mut pool = BlockPool::new(2);
        let (a, b) = (pool.allocate().unwrap(), pool.allocate().unwrap());
        assert_eq!((pool.allocate(), pool.available()), (None, 0));
        pool.retain(a);
        assert!(pool.shared(a) && !pool.shared(b));
        pool.check([&[a, b][..], &[a]].into_iter()).unwrap();
        assert!(!pool.release(a));
        assert!(pool.release(a));
        assert_eq!((pool.available(), pool.allocate()), (1, Some(a)));
    }

    #[test]
    fn what_does_not_add_up_is_told() {
        let mut pool = BlockPool::new(3);
        let (a, _) = (pool.allocate().unwrap(), pool.allocate().unwrap());
        for (tables, what) in [
            (vec![vec![a]], "block 1 has 1 references, and 0 tables name it"),
            (
                vec![vec![0, 1, 1]],
                "block 1 has 1 references, and 2 tables name it",
            ),
            (vec![vec![0, 7]], "block 7 does not exist"),
        ] {
            assert_eq!(pool.check(tables.iter().map(Vec::as_slice)), Err(what.to_owned()));
        }
    }
}

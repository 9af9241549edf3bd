//! Pictures of different sizes in one block of numbers.

use crate::Pixels;

/// Pictures padded to a common size: each lies in the upper left corner of its place, zeros around it.
#[derive(Debug, Clone, PartialEq)]
pub struct PixelBatch {
    /// The height of every place: the largest of the batch.
    pub height: usize,
    /// The width of every place: the largest of the batch.
    pub width: usize,
    /// `[pictures, 3, height, width]`; padding is 0 after normalising.
    pub values: Vec<f32>,
    /// `(height, width)` of every picture without its padding.
    pub sizes: Vec<(usize, usize)>,
}

/// Pads pictures at the right and at the bottom. No pictures give an empty batch.
pub fn pad_batch(pictures: &[Pixels]) -> PixelBatch {
    let largest = |side: fn(&Pixels) -> usize| pictures.iter().map(side).max().unwrap_or(0);
    let (height, width) = (largest(|p| p.height), largest(|p| p.width));
    let area = height * width;
    let mut values = vec![0f32; pictures.len() * 3 * area];
    for (picture, place) in pictures.iter().zip(values.chunks_exact_mut((3 * area).max(1))) {
        let planes = picture
            .values
            .chunks_exact((picture.height * picture.width).max(1));
        for (from, to) in planes.zip(place.chunks_exact_mut(area.max(1))) {
            let lines = from
                .chunks_exact(picture.width.max(1))
                .zip(to.chunks_exact_mut(width.max(1)));
            lines.for_each(|(from, to)| to[..from.len()].copy_from_slice(from));
        }
    }
    PixelBatch {
        height,
        width,
        values,
        sizes: pictures.iter().map(|p| (p.height, p.width)).collect(),
    }
}

impl PixelBatch {
    /// `[pictures, height, width]`: 1 where there is a picture, 0 where there is padding.
    pub fn mask(&self) -> Vec<u8> {
        let mut mask = vec![0; self.sizes.len() * self.height * self.width];
        let places = mask.chunks_exact_mut((self.height * self.width).max(1));
        for (&(height, width), place) in self.sizes.iter().zip(places) {
            let lines = place.chunks_exact_mut(self.width.max(1)).take(height);
            lines.for_each(|line| line[..width].fill(1));
        }
        mask
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pixels(height: usize, width: usize, first: f32) -> Pixels {
        let values = (0..3 * height * width).map(|at| first + at as f32).collect();
        Pixels {
            height,
            width,
            values,
        }
    }

    #[test]
    fn pictures_lie_in_the_upper_left_corner() {
        let batch = pad_batch(&[pixels(1, 2, 1.0), pixels(2, 1, 10.0)]);
        assert_eq!((batch.height, batch.width), (2, 2));
        assert_eq!(batch.sizes, [(1, 2), (2, 1)]);
        #[rustfmt::skip]
        assert_eq!(batch.values, [
            1., 2., 0., 0.,  3., 4., 0., 0.,  5., 6., 0., 0.,
            10., 0., 11., 0.,  12., 0., 13., 0.,  14., 0., 15., 0.,
        ]);
        assert_eq!(batch.mask(), [1, 1, 0, 0, 1, 0, 1, 0]);
    }

    #[test]
    fn equal_sizes_and_none_at_all() {
        let picture = pixels(3, 2, 0.0);
        let batch = pad_batch(&[picture.clone(), picture.clone()]);
        assert_eq!(batch.values, [picture.values.clone(), picture.values].concat());
        assert_eq!(batch.mask(), [1; 12]);
        let none = pad_batch(&[]);
        assert_eq!((none.height, none.values.len(), none.mask().len()), (0, 0, 0));
    }
}

//! Hard class labels of regions from a detector's class probabilities (Chen et al. 2020, section 3.2).

/// The most likely class of every row of `soft [rows, classes]`, without the background (class 0): every region that a detector
/// kept counts as an object. Of equal probabilities the first.
pub fn foreground_classes(soft: &[f32], classes: usize) -> Vec<u32> {
    let likeliest = |row: &[f32]| {
        let foreground = (1u32..).zip(row.iter().skip(1));
        let best = foreground.fold((0, f32::NEG_INFINITY), |best, (class, p)| {
            if *p > best.1 { (class, *p) } else { best }
        });
        best.0
    };
    soft.chunks_exact(classes.max(1)).map(likeliest).collect()
}

//! Hard classes of regions from a detector's soft ones (Chen et al. 2020, section 3.2).

/// The likeliest class of every row of `soft [rows, classes]`, the background (class 0) left out: a region that a detector
/// kept stands for something. The first of equals.
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

//! Numbers as people read them.

/// `1.4 GB`: powers of 1000, as disks and hubs count.
pub fn size(bytes: u64) -> String {
    let units = ["B", "kB", "MB", "GB", "TB"];
    let mut value = bytes as f64;
    let mut unit = 0;
    while value >= 999.95 && unit + 1 < units.len() {
        value /= 1000.0;
        unit += 1;
    }
    if unit == 0 {
        format!("{bytes} B")
    } else {
        format!("{value:.1} {}", units[unit])
    }
}

/// `3.75 B`: thousands, millions, billions, trillions.
pub fn count(number: u64) -> String {
    match number {
        0..1_000 => number.to_string(),
        1_000..1_000_000 => format!("{:.1} k", number as f64 / 1e3),
        1_000_000..1_000_000_000 => format!("{:.1} M", number as f64 / 1e6),
        1_000_000_000..1_000_000_000_000 => format!("{:.2} B", number as f64 / 1e9),
        _ => format!("{:.2} T", number as f64 / 1e12),
    }
}

#[cfg(test)]
mod tests {
    use super::{count, size};

    #[test]
    fn sizes_have_one_digit_behind_the_point() {
        for (bytes, expected) in [
            (0, "0 B"),
            (999, "999 B"),
            (1000, "1.0 kB"),
            (999_999, "1.0 MB"),
            (1_500_000_000, "1.5 GB"),
        ] {
            assert_eq!(size(bytes), expected);
        }
    }

    #[test]
    fn counts() {
        for (number, expected) in [
            (7, "7"),
            (12_300, "12.3 k"),
            (3_754_622_976, "3.75 B"),
            (6_026_000_000_000, "6.03 T"),
        ] {
            assert_eq!(count(number), expected);
        }
    }
}

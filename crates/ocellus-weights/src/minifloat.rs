//! Floating-point numbers of 8 and 4 bits, by their codes.

use crate::Dtype;

/// What the bytes of a type stand for; of one that is not of 8 bits and floating point, as of E4M3.
pub(crate) fn values(dtype: Dtype) -> [f32; 256] {
    match dtype {
        Dtype::F8E5M2 => e5m2(),
        Dtype::F8E8M0 => std::array::from_fn(|code| e8m0(code as u8)),
        _ => e4m3(),
    }
}

/// Values of a byte with 4 bits of exponent and 3 of mantissa; no infinities.
pub(crate) fn e4m3() -> [f32; 256] {
    table(|code| match code & 0x7f {
        0x7f => f32::NAN,
        low => small(low, 4, 3),
    })
}

/// Values of a byte with 5 bits of exponent and 2 of mantissa.
pub(crate) fn e5m2() -> [f32; 256] {
    table(|code| match code & 0x7f {
        0x7c => f32::INFINITY,
        0x7d.. => f32::NAN,
        low => small(low, 5, 2),
    })
}

/// Values of four bits with 2 of exponent and 1 of mantissa; codes from 16 on are not used.
pub(crate) fn e2m1() -> [f32; 256] {
    std::array::from_fn(|code| {
        let size = small(code as u8 & 7, 2, 1);
        if code & 8 == 0 { size } else { -size }
    })
}

/// A power of two, from 2^-127 on; 255 is no number.
pub(crate) fn e8m0(code: u8) -> f32 {
    match code {
        255 => f32::NAN,
        0 => f32::MIN_POSITIVE / 2.0,
        code => f32::from_bits(u32::from(code) << 23),
    }
}

/// Every byte, the highest bit of which is the sign.
fn table(size: impl Fn(u8) -> f32) -> [f32; 256] {
    std::array::from_fn(|code| {
        let size = size(code as u8);
        if code & 0x80 == 0 { size } else { -size }
    })
}

/// A number without its sign. All of them are exact in f32.
fn small(code: u8, exponent_bits: u32, mantissa_bits: u32) -> f32 {
    let exponent = i32::from(code >> mantissa_bits);
    let mantissa = f32::from(code & ((1 << mantissa_bits) - 1)) / (1 << mantissa_bits) as f32;
    let bias = (1 << (exponent_bits - 1)) - 1;
    match exponent {
        0 => mantissa * 2.0_f32.powi(1 - bias),
        exponent => (1.0 + mantissa) * 2.0_f32.powi(exponent - bias),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn published_values() {
        let (e4m3, e5m2, e2m1) = (e4m3(), e5m2(), e2m1());
        for (code, value) in [
            (0x00, 0.0),
            (0x01, 2.0_f32.powi(-9)),
            (0x38, 1.0),
            (0x7e, 448.0),
            (0xb8, -1.0),
        ] {
            assert_eq!(e4m3[code], value);
        }
        for (code, value) in [
            (0x01, 2.0_f32.powi(-16)),
            (0x3c, 1.0),
            (0x7b, 57344.0),
            (0xfc, f32::NEG_INFINITY),
        ] {
            assert_eq!(e5m2[code], value);
        }
        assert!(e4m3[0x7f].is_nan() && e4m3[0xff].is_nan() && e5m2[0x7d].is_nan() && e5m2[0xff].is_nan());
        assert_eq!(e2m1[..9], [0.0, 0.5, 1.0, 1.5, 2.0, 3.0, 4.0, 6.0, 0.0]);
        assert_eq!(e2m1[15], -6.0);
        assert_eq!((e8m0(127), e8m0(0)), (1.0, 2.0_f32.powi(-127)));
        assert!(e8m0(255).is_nan());
    }
}

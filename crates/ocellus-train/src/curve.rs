//! The history of a run as a picture.

use std::io::Write;
use std::path::Path;

use embedded_graphics::Drawable;
use embedded_graphics::geometry::Point;
use embedded_graphics::mono_font::MonoTextStyle;
use embedded_graphics::mono_font::ascii::FONT_8X13;
use embedded_graphics::pixelcolor::Rgb888;
use embedded_graphics::primitives::{Line, Primitive, PrimitiveStyle};
use embedded_graphics::text::{Alignment, Baseline, Text, TextStyleBuilder};
use ocellus_base::Unfinished;
use ocellus_media::Rgb;

use crate::TrainError;

const WIDTH: u32 = 960;
const HEIGHT: u32 = 480;
/// Room for numbers and names around the axes, in pixels: left, top, right, bottom.
const MARGINS: [u32; 4] = [64, 32, 24, 48];
const LOSS: Rgb888 = Rgb888::new(40, 90, 200);
const ERRORS: Rgb888 = Rgb888::new(210, 60, 40);
const GRID: Rgb888 = Rgb888::new(220, 220, 220);
const INK: Rgb888 = Rgb888::new(60, 60, 60);

/// Draws `history.jsonl` as a PNG: loss and character error rate on a logarithmic axis, over steps.
///
/// # Errors
/// A history that cannot be read, a picture that cannot be written.
pub fn draw(history: &Path, picture: &Path) -> Result<(), TrainError> {
    let text =
        ocellus_base::files::read_text(history, ocellus_base::limits::JSON_BYTES).map_err(|source| {
            TrainError::Io {
                path: history.into(),
                source,
            }
        })?;
    let points = |key: &str| -> Vec<(f64, f64)> {
        text.lines()
            .filter_map(|line| serde_json::from_str::<serde_json::Value>(line).ok())
            .filter_map(|v| Some((v["step"].as_f64()?, v[key].as_f64()?)))
            .filter(|(_, y)| *y > 0.0)
            .collect()
    };
    let series = [
        ("loss", LOSS, points("loss")),
        ("character error rate", ERRORS, points("character_error_rate")),
    ];
    let drawn = plot(&series.map(|(name, colour, points)| Series { name, colour, points }));
    let mut png = std::io::Cursor::new(Vec::new());
    let failed = |message: String| TrainError::Checkpoint {
        path: picture.into(),
        message,
    };
    image::RgbImage::from_raw(drawn.width, drawn.height, drawn.data)
        .ok_or_else(|| failed("the curve has no pixels".to_owned()))?
        .write_to(&mut png, image::ImageFormat::Png)
        .map_err(|e| failed(e.to_string()))?;
    (|| {
        let (unfinished, mut file) = Unfinished::file(picture)?;
        file.write_all(png.get_ref())?;
        unfinished.finish()
    })()
    .map_err(|source| TrainError::Io {
        path: picture.into(),
        source,
    })
}

struct Series {
    name: &'static str,
    colour: Rgb888,
    /// Step and value.
    points: Vec<(f64, f64)>,
}

fn plot(series: &[Series]) -> Rgb {
    let mut picture = Rgb::filled(WIDTH, HEIGHT, [255; 3]);
    let [left, top, right, bottom] = MARGINS;
    let all = || series.iter().flat_map(|s| &s.points);
    let last = all().map(|p| p.0).fold(1.0, f64::max);
    let low = all().map(|p| p.1.log10()).fold(-1.0, f64::min).floor();
    let high = all().map(|p| p.1.log10()).fold(1.0, f64::max).ceil();
    let x = |step: f64| (f64::from(left) + step / last * f64::from(WIDTH - left - right)).round() as i32;
    let y = |log: f64| {
        (f64::from(top) + (high - log) / (high - low) * f64::from(HEIGHT - top - bottom)).round() as i32
    };
    for decade in low as i32..=high as i32 {
        let at = y(f64::from(decade));
        line(&mut picture, [(x(0.0), at), (x(last), at)], GRID);
        let value = match decade {
            0..=4 => format!("{}", 10_u32.pow(decade as u32)),
            -4..=-1 => format!("{}", 10_f64.powi(decade)),
            _ => format!("1e{decade}"),
        };
        write(&mut picture, &value, (x(0.0) - 6, at), Alignment::Right, INK);
    }
    let apart = ticks_apart(last);
    for tick in 0..=(last / apart) as u32 {
        let (step, foot) = (f64::from(tick) * apart, y(low));
        line(&mut picture, [(x(step), foot), (x(step), foot + 4)], INK);
        write(
            &mut picture,
            &format!("{step}"),
            (x(step), foot + 13),
            Alignment::Center,
            INK,
        );
    }
    line(&mut picture, [(x(0.0), y(low)), (x(last), y(low))], INK);
    line(&mut picture, [(x(0.0), y(low)), (x(0.0), y(high))], INK);
    write(
        &mut picture,
        "step",
        (x(last / 2.0), HEIGHT as i32 - 12),
        Alignment::Center,
        INK,
    );
    let mut name_at = left as i32;
    for Series { name, colour, points } in series {
        for pair in points.windows(2) {
            let place = |p: (f64, f64)| (x(p.0), y(p.1.log10()));
            line(&mut picture, [place(pair[0]), place(pair[1])], *colour);
        }
        line(&mut picture, [(name_at, 16), (name_at + 24, 16)], *colour);
        write(&mut picture, name, (name_at + 32, 16), Alignment::Left, INK);
        name_at += 32 + 8 * name.len() as i32 + 32;
    }
    picture
}

/// Steps between two marks on the axis: 1, 2 or 5 times a power of ten, so that there are at most ten.
fn ticks_apart(last: f64) -> f64 {
    let ten = 10_f64.powf((last / 10.0).log10().floor()).max(1.0);
    let times = [1.0, 2.0, 5.0]
        .into_iter()
        .find(|times| last / (ten * times) <= 10.0);
    ten * times.unwrap_or(10.0)
}

fn line(picture: &mut Rgb, [from, to]: [(i32, i32); 2], colour: Rgb888) {
    let line = Line::new(Point::new(from.0, from.1), Point::new(to.0, to.1));
    // Drawing on memory cannot fail.
    let Ok(()) = line
        .into_styled(PrimitiveStyle::with_stroke(colour, 1))
        .draw(picture);
}

/// Words whose middle stands at a height.
fn write(picture: &mut Rgb, text: &str, (x, y): (i32, i32), alignment: Alignment, colour: Rgb888) {
    let style = TextStyleBuilder::new()
        .alignment(alignment)
        .baseline(Baseline::Middle)
        .build();
    let font = MonoTextStyle::new(&FONT_8X13, colour);
    let Ok(_) = Text::with_text_style(text, Point::new(x, y), font, style).draw(picture);
}

#[cfg(test)]
mod tests {
    use embedded_graphics::pixelcolor::RgbColor;

    use super::*;

    #[test]
    fn marks_on_the_axis_are_round_and_few() {
        for (last, expected) in [
            (1.0, 1.0),
            (10.0, 1.0),
            (11.0, 2.0),
            (1141.0, 200.0),
            (30_000.0, 5000.0),
            (80_000.0, 10_000.0),
        ] {
            assert_eq!(ticks_apart(last), expected, "{last}");
        }
    }

    #[test]
    fn a_curve_has_its_colour_and_words_around_it() {
        let falling = Series {
            name: "loss",
            colour: LOSS,
            points: vec![(0.0, 10.0), (100.0, 0.1)],
        };
        let picture = plot(&[falling]);
        let count = |colour: Rgb888| {
            let wanted = [colour.r(), colour.g(), colour.b()];
            picture
                .data
                .chunks_exact(3)
                .filter(|pixel| *pixel == wanted)
                .count()
        };
        // From the upper left to the lower right corner: a pixel a column, and 25 beside its name.
        assert_eq!(count(LOSS), (WIDTH - MARGINS[0] - MARGINS[2] + 1 + 25) as usize);
        assert_eq!(
            picture.pixel(MARGINS[0] + 1, MARGINS[1]),
            [LOSS.r(), LOSS.g(), LOSS.b()]
        );
        assert_eq!(count(ERRORS), 0);
        assert!(count(INK) > 800, "{}", count(INK));
    }
}

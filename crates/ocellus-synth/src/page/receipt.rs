//! What a till prints: narrow paper, fixed pitch, prices on the right, dotted rules, some lines at twice the height.

use crate::corpus::Script;
use crate::fonts::Fonts;
use crate::random::Rng;

use super::canvas::{Canvas, Put};
use super::content::Content;
use super::look::Look;

const LABELS: &[&str] = &[
    "SUBTOTAL",
    "TOTAL",
    "TAX",
    "CASH",
    "CHANGE",
    "VISA",
    "Total",
    "Subtotal",
    "Balance due",
    "VAT 20%",
    "Items",
    "TIP",
    "AMOUNT",
    "Summe",
    "MwSt",
    "Gesamt",
    "Bar",
    "TVA",
    "Montant",
    "Importe",
    "Totale",
];
const LABELS_HAN: &[&str] = &[
    "合计",
    "小计",
    "应收",
    "实收",
    "找零",
    "优惠",
    "数量",
    "总计",
    "现金",
    "微信支付",
    "支付宝",
    "税额",
    "金额",
    "會員",
    "總計",
];

fn amount(rng: &mut Rng) -> String {
    let sign = ["", "", "", "$", "€", "£", "￥", "-"][rng.below(8)];
    format!(
        "{sign}{}.{:02}",
        [rng.int(0, 20), rng.int(0, 300), rng.int(0, 2000)][rng.below(3)],
        rng.int(0, 99)
    )
}

pub(super) fn receipt(rng: &mut Rng, fonts: &Fonts, content: &mut Content, look: &mut Look) -> Canvas {
    let em = rng.log_between(13.0, 30.0);
    let width = em * rng.between(15.0, 25.0);
    let height = width * rng.between(1.0, 2.6);
    let mut canvas = Canvas::new(width as usize, height as usize, look.ground);
    let margin = em * rng.between(0.5, 1.6);
    // Thermal print is rarely black.
    look.ink = rng.between(0.0, 0.4);
    let (left, right) = (margin, width - margin);
    let pitch = em * rng.between(1.15, 1.6);
    let mut y = margin;
    let bottom = height - margin;
    let dotted = rng.below(4);
    let centred = |canvas: &mut Canvas, look: &Look, chars: &[char], size: f32, bold: bool, y: f32| {
        let wide = Canvas::width(fonts, look, chars, size, bold);
        let x = (left + (right - left - wide) / 2.0).max(left);
        canvas.block += 1;
        canvas.text(
            fonts,
            look,
            chars,
            Put {
                x,
                baseline: y,
                em_px: size,
                bold,
                ink: look.ink,
            },
            right,
        );
    };
    let tall = Look {
        tall: rng.between(1.6, 2.1),
        ..look.clone()
    };
    for i in 0..rng.int(2, 6) {
        let big = i == 0 && rng.chance(0.6);
        let size = if big { em * 1.9 } else { em };
        y += if big { size * 1.15 } else { pitch };
        let mut chars = if rng.chance(0.5) {
            content.short(rng)
        } else {
            content.heading(rng)
        };
        chars.truncate(if content.script == Script::Han { 12 } else { 22 });
        centred(
            &mut canvas,
            if big { &tall } else { look },
            &chars,
            size,
            big && rng.chance(0.5),
            y,
        );
    }
    while y + 3.0 * pitch < bottom {
        match rng.weighted(&[0.62, 0.14, 0.12, 0.12]) {
            0 => {
                // Goods and their price.
                y += pitch;
                let price: Vec<char> = amount(rng).chars().collect();
                let wide = Canvas::width(fonts, look, &price, em, false);
                let mut goods = content.short(rng);
                goods.truncate(16);
                canvas.block += 1;
                canvas.text(
                    fonts,
                    look,
                    &goods,
                    Put::plain((left, y), em, look.ink),
                    right - wide - 0.5 * em,
                );
                let column = canvas.lines.len();
                canvas.text(
                    fonts,
                    look,
                    &price,
                    Put::plain((right - wide, y), em, look.ink),
                    right + em,
                );
                if rng.chance(0.15) && column > 0 {
                    y += pitch;
                    let detail: Vec<char> = format!("{} x {}", rng.int(1, 9), amount(rng)).chars().collect();
                    canvas.text(
                        fonts,
                        look,
                        &detail,
                        Put::plain((left + em, y), em, look.ink),
                        right,
                    );
                }
            }
            1 => {
                y += pitch * 0.7;
                rule(&mut canvas, fonts, look, (left, right, y), em, dotted);
                y += pitch * 0.2;
            }
            2 => {
                // A sum, often twice as high.
                let big = rng.chance(0.55);
                let size = if big { em * 1.9 } else { em };
                let face = if big { &tall } else { &*look };
                y += if big { size * 1.1 } else { pitch };
                let labels = if content.script == Script::Han {
                    LABELS_HAN
                } else {
                    LABELS
                };
                let label: Vec<char> = rng.pick(labels).chars().collect();
                let price: Vec<char> = amount(rng).chars().collect();
                let wide = Canvas::width(fonts, face, &price, size, big);
                canvas.block += 1;
                canvas.text(
                    fonts,
                    face,
                    &label,
                    Put {
                        x: left,
                        baseline: y,
                        em_px: size,
                        bold: big,
                        ink: look.ink,
                    },
                    right - wide,
                );
                canvas.text(
                    fonts,
                    face,
                    &price,
                    Put {
                        x: right - wide,
                        baseline: y,
                        em_px: size,
                        bold: big,
                        ink: look.ink,
                    },
                    right + em,
                );
            }
            _ => {
                y += pitch;
                let mut chars = content.piece(rng);
                chars.truncate(26);
                canvas.block += 1;
                canvas.text(fonts, look, &chars, Put::plain((left, y), em, look.ink), right);
            }
        }
    }
    if rng.chance(0.4) && bottom - y > 2.0 * em {
        // A bar code.
        let (mut x, top) = (left + em, y + em);
        while x < right - em {
            let bar = rng.between(1.0, 4.0);
            canvas.rule(x, top, x + bar, bottom, look.ink);
            x += bar + rng.between(1.0, 4.0);
        }
    }
    canvas
}

/// Dashes, dots, a rule, or a row of signs that belong to the text.
fn rule(
    canvas: &mut Canvas,
    fonts: &Fonts,
    look: &Look,
    (left, right, y): (f32, f32, f32),
    em: f32,
    kind: usize,
) {
    match kind {
        0 => canvas.dashes(left, right, y, em * 0.25, 1.5, look.ink),
        1 => canvas.dashes(left, right, y, 2.0, 2.0, look.ink),
        2 => canvas.rule(left, y, right, y + 1.5, look.ink),
        _ => {
            canvas.block += 1;
            let one = Canvas::width(fonts, look, &['-'], em, false).max(1.0);
            let row = vec!['-'; (((right - left) / one) as usize).min(40)];
            canvas.text(fonts, look, &row, Put::plain((left, y), em, look.ink), right + em);
        }
    }
}

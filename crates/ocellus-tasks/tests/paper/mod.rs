//! Pages drawn by hand, with known lines.
#![allow(dead_code, reason = "every test binary uses its own part")]

use ocellus_media::Rgb;

pub const BLACK: [u8; 3] = [0, 0, 0];
pub const WHITE: [u8; 3] = [255, 255, 255];

/// A picture, and the boxes of the lines drawn on it (ascent to descent, ink in x).
pub struct Paper {
    pub picture: Rgb,
    pub lines: Vec<[f32; 4]>,
}

impl Paper {
    pub fn new(width: u32, height: u32, ground: [u8; 3]) -> Self {
        Self {
            picture: Rgb::filled(width, height, ground),
            lines: Vec::new(),
        }
    }

    /// Fills a box `[x1, y1, x2, y2]`, as far as it is on the paper.
    pub fn fill(&mut self, [x1, y1, x2, y2]: [i32; 4], colour: [u8; 3]) {
        let (width, height) = (self.picture.width as i32, self.picture.height as i32);
        for y in y1.clamp(0, height)..y2.clamp(0, height) {
            for x in x1.clamp(0, width)..x2.clamp(0, width) {
                let at = (y * width + x) as usize * 3;
                self.picture.data[at..at + 3].copy_from_slice(&colour);
            }
        }
    }

    pub fn frame(&mut self, [x1, y1, x2, y2]: [i32; 4], thick: i32, colour: [u8; 3]) {
        for edge in [
            [x1, y1, x2, y1 + thick],
            [x1, y2 - thick, x2, y2],
            [x1, y1, x1 + thick, y2],
            [x2 - thick, y1, x2, y2],
        ] {
            self.fill(edge, colour);
        }
    }

    /// Draws simple letters: each an upright stroke with a bowl, of the height of its kind. Returns where
    /// the ink ends.
    pub fn text(&mut self, x: i32, baseline: i32, em: i32, colour: [u8; 3], text: &str) -> i32 {
        let part = |share: f32| (share * em as f32).round() as i32;
        let stroke = part(0.1).max(1);
        let (tall, low, deep) = (part(0.7), part(0.48), part(0.21));
        let (mut at, mut end) = (x, x);
        for letter in text.chars() {
            if letter == ' ' {
                at += part(0.3);
                continue;
            }
            let narrow = matches!(letter, 'i' | 'j' | 'l' | 't' | 'f');
            let width = if narrow { 2 * stroke } else { part(0.42) };
            let (top, bottom) = match letter {
                'b' | 'd' | 'f' | 'h' | 'k' | 'l' | 't' => (baseline - tall, baseline),
                'g' | 'p' | 'q' | 'y' => (baseline - low, baseline + deep),
                _ => (baseline - low, baseline),
            };
            let stem = if matches!(letter, 'd' | 'g' | 'q') {
                at + width - stroke
            } else {
                at
            };
            self.fill([stem, top, stem + stroke, bottom], colour);
            let foot = baseline - stroke;
            match letter {
                'i' | 'j' => self.fill(
                    [at, baseline - tall, at + stroke, baseline - tall + stroke],
                    colour,
                ),
                'l' => {}
                'f' | 't' => self.fill([at, baseline - low, at + width, baseline - low + stroke], colour),
                _ => {
                    self.fill([at, baseline - low, at + width, baseline - low + stroke], colour);
                    self.fill([at, foot, at + width, baseline], colour);
                    let other = if stem == at { at + width - stroke } else { at };
                    self.fill([other, baseline - low, other + stroke, baseline], colour);
                }
            }
            end = at
                + if letter == 'i' || letter == 'j' || letter == 'l' {
                    stroke
                } else {
                    width
                };
            at = end + part(0.1).max(2);
        }
        self.lines
            .push([x, baseline - tall, end, baseline + deep].map(|side| side as f32));
        end
    }

    /// Grain of up to `grain` levels, and shade from corner to corner.
    pub fn scan(&mut self, grain: i32) {
        let (width, height) = (self.picture.width as usize, self.picture.height as usize);
        let mut state = 0x2545_f491_4f6c_dd1d_u64;
        for (index, pixel) in self.picture.data.chunks_exact_mut(3).enumerate() {
            state ^= state << 13;
            state ^= state >> 7;
            state ^= state << 17;
            let noise = (state >> 33) as i32 % (2 * grain + 1) - grain;
            let (x, y) = (index % width, index / width);
            let shade = 100 - (x * 15 / width + y * 15 / height) as i32;
            for level in pixel {
                *level = (i32::from(*level) * shade / 100 + noise).clamp(0, 255) as u8;
            }
        }
    }

    /// The paper laid askew: lines fall by `degrees` to the right. Boxes become those around the fallen lines.
    pub fn turned(&self, degrees: f32) -> Self {
        let (sin, cos) = degrees.to_radians().sin_cos();
        let (width, height) = (self.picture.width as f32, self.picture.height as f32);
        let (mx, my) = (width / 2.0, height / 2.0);
        let mut turned = Self::new(self.picture.width, self.picture.height, self.picture.pixel(0, 0));
        for y in 0..self.picture.height {
            for x in 0..self.picture.width {
                // Four samples per pixel.
                let mut sum = [0u32; 3];
                for (dx, dy) in [(0.25, 0.25), (0.75, 0.25), (0.25, 0.75), (0.75, 0.75)] {
                    let (px, py) = (x as f32 + dx - mx, y as f32 + dy - my);
                    let from_x = (px * cos + py * sin + mx).clamp(0.0, width - 1.0) as u32;
                    let from_y = (-px * sin + py * cos + my).clamp(0.0, height - 1.0) as u32;
                    let colour = self.picture.pixel(from_x, from_y);
                    (0..3).for_each(|channel| sum[channel] += u32::from(colour[channel]));
                }
                let at = (y as usize * self.picture.width as usize + x as usize) * 3;
                (0..3).for_each(|channel| turned.picture.data[at + channel] = (sum[channel] / 4) as u8);
            }
        }
        turned.lines = self
            .lines
            .iter()
            .map(|&[x1, y1, x2, y2]| {
                let corners = [(x1, y1), (x2, y1), (x1, y2), (x2, y2)];
                corners
                    .iter()
                    .fold([f32::MAX, f32::MAX, f32::MIN, f32::MIN], |a, &(x, y)| {
                        let (px, py) = (x - mx, y - my);
                        let (x, y) = (px * cos - py * sin + mx, px * sin + py * cos + my);
                        [a[0].min(x), a[1].min(y), a[2].max(x), a[3].max(y)]
                    })
            })
            .collect();
        turned
    }
}

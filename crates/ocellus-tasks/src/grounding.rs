//! Places that a model names in its answer: `<ref>the dog</ref><box>(120,80),(540,910)</box>` and the like, as pixels.
//!
//! Which markers a model writes, and on what scale its numbers are, is data ([`Format`]). Text between the places is kept in order, so
//! that an answer can be shown with its places marked.

/// How a model writes places.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Format<'a> {
    /// Around the name of what is at the places behind it.
    pub name: (&'a str, &'a str),
    /// Around two corners.
    pub corners: (&'a str, &'a str),
    /// Around four corners, of a rectangle that may be turned.
    pub outline: (&'a str, &'a str),
    /// Numbers go from 0 to this along either side of the picture.
    pub scale: f32,
}

impl Format<'static> {
    /// Numbers from 0 to 1000 of the picture as it was before any resize.
    pub const THOUSANDTHS: Self = Self {
        name: ("<ref>", "</ref>"),
        corners: ("<box>", "</box>"),
        outline: ("<quad>", "</quad>"),
        scale: 1000.0,
    };
}

/// A piece of an answer.
#[derive(Clone, Debug, PartialEq)]
pub enum Piece {
    Text(String),
    Place(Place),
}

/// Where something is, in pixels of the picture.
#[derive(Clone, Debug, PartialEq)]
pub struct Place {
    /// What is there, as far as the answer says: the name in front of this place and of those right behind it.
    pub name: Option<String>,
    pub shape: Shape,
}

#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Shape {
    /// x1, y1, x2, y2, the smaller first.
    Box([f32; 4]),
    /// Corners in the order of the answer.
    Quad([[f32; 2]; 4]),
}

impl Shape {
    /// The upright box around it: x1, y1, x2, y2.
    pub fn bounds(&self) -> [f32; 4] {
        match self {
            Self::Box(sides) => *sides,
            Self::Quad(corners) => around(corners),
        }
    }
}

/// The smallest upright box that holds the points.
fn around(points: &[[f32; 2]]) -> [f32; 4] {
    points.iter().fold(
        [f32::INFINITY, f32::INFINITY, f32::NEG_INFINITY, f32::NEG_INFINITY],
        |[x1, y1, x2, y2], [x, y]| [x1.min(*x), y1.min(*y), x2.max(*x), y2.max(*y)],
    )
}

/// The pieces of an answer about a picture of `width` times `height` pixels.
///
/// Whatever does not read as a place stays text: a marker that is not closed, numbers that are missing, negative or beyond the
/// scale. A name without a place behind it is text without its markers.
pub fn parse(answer: &str, format: &Format, (width, height): (u32, u32)) -> Vec<Piece> {
    let pixels = |[x, y]: [f32; 2]| [x / format.scale * width as f32, y / format.scale * height as f32];
    let mut out = Pieces::default();
    let (mut rest, mut name): (&str, Option<&str>) = (answer, None);
    while !rest.is_empty() {
        if let Some((inside, behind)) = between(rest, format.name) {
            out.unplaced(name);
            (name, rest) = (Some(inside), behind);
            out.named = false;
            continue;
        }
        if let Some((shape, behind)) = place(rest, format, &pixels) {
            let name = name.map(|name| name.trim().to_owned());
            out.named = true;
            out.pieces.push(Piece::Place(Place { name, shape }));
            rest = behind;
            continue;
        }
        out.unplaced(name.take());
        let step = rest.chars().next().map_or(0, char::len_utf8);
        out.text(&rest[..step]);
        rest = &rest[step..];
    }
    out.unplaced(name);
    out.pieces
}

/// Pieces so far; text is joined as it comes.
#[derive(Default)]
struct Pieces {
    pieces: Vec<Piece>,
    /// Whether the last name has a place.
    named: bool,
}

impl Pieces {
    fn text(&mut self, more: &str) {
        match self.pieces.last_mut() {
            Some(Piece::Text(text)) => text.push_str(more),
            _ => self.pieces.push(Piece::Text(more.to_owned())),
        }
    }

    /// A name that ends here: text when no place had it.
    fn unplaced(&mut self, name: Option<&str>) {
        if let Some(name) = name.filter(|_| !self.named) {
            self.text(name);
        }
    }
}

/// A place at the start of `text`, and what is behind it.
fn place<'t>(
    text: &'t str,
    format: &Format,
    pixels: &impl Fn([f32; 2]) -> [f32; 2],
) -> Option<(Shape, &'t str)> {
    if let Some((inside, behind)) = between(text, format.corners) {
        let corners = points::<2>(inside, format.scale)?.map(pixels);
        return Some((Shape::Box(around(&corners)), behind));
    }
    let (inside, behind) = between(text, format.outline)?;
    Some((
        Shape::Quad(points::<4>(inside, format.scale)?.map(pixels)),
        behind,
    ))
}

/// What stands between two markers at the start of `text`, and what is behind them.
fn between<'t>(text: &'t str, (open, close): (&str, &str)) -> Option<(&'t str, &'t str)> {
    let (inside, behind) = text.strip_prefix(open)?.split_once(close)?;
    // Another start inside means that this one was never closed.
    (!inside.contains(open)).then_some((inside, behind))
}

/// Exactly `N` points `(x,y)` with commas between them, each number within the scale.
fn points<const N: usize>(text: &str, scale: f32) -> Option<[[f32; 2]; N]> {
    let mut out = [[0.0; 2]; N];
    let mut rest = text.trim();
    for (i, point) in out.iter_mut().enumerate() {
        if i > 0 {
            rest = rest.strip_prefix(',')?.trim_start();
        }
        let (inside, behind) = rest.strip_prefix('(')?.split_once(')')?;
        let (x, y) = inside.split_once(',')?;
        *point = [number(x, scale)?, number(y, scale)?];
        rest = behind.trim_start();
    }
    rest.is_empty().then_some(out)
}

fn number(text: &str, scale: f32) -> Option<f32> {
    let value: f32 = text.trim().parse().ok()?;
    (0.0..=scale).contains(&value).then_some(value)
}

#[cfg(test)]
mod tests;

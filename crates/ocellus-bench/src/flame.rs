//! Flame graphs (Gregg 2016), the roots at the top: widths are time, a frame stands under the one that it was called from.

use std::collections::BTreeMap;
use std::fmt::Write;

use ocellus_base::markup::escape;

/// Sizes in px.
const WIDTH: f64 = 1200.0;
const ROW: f64 = 20.0;
const TOP: f64 = 30.0;
/// What a letter takes; names that do not fit are left out, the tip of the mouse shows them.
const LETTER: f64 = 7.0;
/// Narrower frames are not drawn.
const NARROWEST: f64 = 0.2;

/// A name with all that was called from it.
#[derive(Default)]
struct Frame<'n> {
    own_ns: u64,
    inside: BTreeMap<&'n str, Frame<'n>>,
}

impl Frame<'_> {
    fn total_ns(&self) -> u64 {
        self.inside
            .values()
            .fold(self.own_ns, |sum, frame| sum + frame.total_ns())
    }

    fn depth(&self) -> usize {
        self.inside
            .values()
            .map(|frame| 1 + frame.depth())
            .max()
            .unwrap_or(0)
    }
}

/// An SVG picture of stacks with the time that each took itself.
pub fn graph<'s>(title: &str, stacks: impl Iterator<Item = (&'s [&'s str], u64)>) -> String {
    let mut root = Frame::default();
    for (path, own_ns) in stacks {
        let mut frame = &mut root;
        for name in path {
            frame = frame.inside.entry(name).or_default();
        }
        frame.own_ns += own_ns;
    }
    let all_ns = root.total_ns();
    let height = TOP + ROW * root.depth() as f64 + 10.0;
    let mut svg = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"{WIDTH}\" height=\"{height}\" viewBox=\"0 0 {WIDTH} {height}\" \
         font-family=\"monospace\" font-size=\"12\">\n<rect width=\"100%\" height=\"100%\" fill=\"#ffffff\"/>\n\
         <text x=\"6\" y=\"20\">{}: {}</text>\n",
        escape(&title.replace('\n', " ")),
        time(all_ns)
    );
    let scale = WIDTH / all_ns.max(1) as f64;
    draw(&mut svg, &root, (0.0, TOP), scale, all_ns);
    svg.push_str("</svg>\n");
    svg
}

/// Draws what is inside a frame, from `x` on.
fn draw(svg: &mut String, frame: &Frame, (mut x, y): (f64, f64), scale: f64, all_ns: u64) {
    for (name, inner) in &frame.inside {
        let total_ns = inner.total_ns();
        let width = total_ns as f64 * scale;
        if width >= NARROWEST {
            let share = total_ns as f64 / all_ns.max(1) as f64 * 100.0;
            let name = escape(name);
            // Writing to a string cannot fail.
            let _ = writeln!(
                svg,
                "<g><title>{name}: {}, {share:.1} %</title><rect x=\"{x:.1}\" y=\"{y}\" width=\"{:.1}\" height=\"{}\" \
                 fill=\"{}\" rx=\"2\"/>{}</g>",
                time(total_ns),
                (width - 0.5).max(0.1),
                ROW - 1.0,
                colour(&name),
                label(&name, x, y, width)
            );
            draw(svg, inner, (x, y + ROW), scale, all_ns);
        }
        x += width;
    }
}

/// As much of a name as a frame has room for.
fn label(name: &str, x: f64, y: f64, width: f64) -> String {
    match name.chars().count() as f64 * LETTER + 6.0 <= width {
        true => format!("<text x=\"{:.1}\" y=\"{}\">{name}</text>", x + 4.0, y + 14.0),
        false => String::new(),
    }
}

/// One name, one colour, between yellow and red.
fn colour(name: &str) -> String {
    // FNV-1a.
    let hash = name.bytes().fold(0x811c_9dc5u32, |h, b| {
        (h ^ u32::from(b)).wrapping_mul(0x0100_0193)
    });
    let (hue, light) = (hash % 50 + 5, hash / 64 % 15 + 60);
    format!("hsl({hue},85%,{light}%)")
}

fn time(ns: u64) -> String {
    match ns {
        0..1_000_000_000 => format!("{:.1} ms", ns as f64 / 1e6),
        _ => format!("{:.2} s", ns as f64 / 1e9),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn frames_are_as_wide_as_their_time_and_stand_in_their_callers() {
        let stacks: [(&[&str], u64); 3] = [(&["a"], 25), (&["a", "b"], 50), (&["c"], 25)];
        let svg = graph("t", stacks.into_iter());
        for frame in [
            "<title>a: 0.0 ms, 75.0 %</title><rect x=\"0.0\" y=\"30\" width=\"899.5\"",
            "<title>b: 0.0 ms, 50.0 %</title><rect x=\"0.0\" y=\"50\" width=\"599.5\"",
            "<title>c: 0.0 ms, 25.0 %</title><rect x=\"900.0\" y=\"30\" width=\"299.5\"",
        ] {
            assert!(svg.contains(frame), "{frame}\n{svg}");
        }
    }

    #[test]
    fn nothing_gives_an_empty_picture_and_marks_are_escaped() {
        let svg = graph("a<b>&\"c\"\n", std::iter::empty());
        assert!(svg.contains("a&lt;b&gt;&amp;&quot;c&quot; : 0.0 ms"), "{svg}");
        assert_eq!(svg.matches("<g>").count(), 0);
    }

    #[test]
    fn slivers_and_long_names_are_left_out() {
        let stacks: [(&[&str], u64); 3] = [(&["sliver"], 1), (&["long name"], 100), (&["rest"], 1_000_000)];
        let svg = graph("t", stacks.into_iter());
        assert!(!svg.contains("sliver"), "{svg}");
        let narrow: [(&[&str], u64); 2] = [(&["long name"], 10), (&["rest"], 990)];
        let svg = graph("t", narrow.into_iter());
        assert!(
            svg.contains("<title>long name") && !svg.contains(">long name</text>"),
            "{svg}"
        );
    }
}

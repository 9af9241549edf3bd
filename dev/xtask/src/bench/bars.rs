//! The picture: horizontal bars in panels, as SVG text.

use std::fmt::Write;

/// One quantity.
#[derive(Debug, Clone, PartialEq)]
pub struct Panel {
    pub title: String,
    pub groups: Vec<Group>,
}

/// Programs that are compared with one another.
#[derive(Debug, Clone, PartialEq)]
pub struct Group {
    pub title: String,
    pub bars: Vec<Bar>,
}

#[derive(Debug, Clone, PartialEq)]
pub struct Bar {
    pub label: String,
    /// Speed beside the fastest peer of the group.
    pub ratio: f64,
    pub ours: bool,
}

const NOTE: &str =
    "Speed beside the fastest other program with weights of the same width (dashed: 1). Longer is faster.";
const WIDTH_PX: f64 = 760.0;
const MARGIN_PX: f64 = 16.0;
/// Where bars begin.
const LABELS_PX: f64 = 190.0;
/// Room for the number behind the longest bar.
const NUMBER_PX: f64 = 60.0;
const ROW_PX: f64 = 20.0;
const BAR_PX: f64 = 14.0;
const OURS: &str = "#c2410c";
const THEIRS: &str = "#7c8896";

/// Draws all panels below one another, at one scale.
pub fn svg(panels: &[Panel]) -> String {
    let bars = || panels.iter().flat_map(|p| &p.groups).flat_map(|g| &g.bars);
    let longest = bars().map(|bar| bar.ratio).fold(1.0, f64::max);
    let scale = (WIDTH_PX - LABELS_PX - NUMBER_PX - MARGIN_PX) / longest;
    let mut body = String::new();
    let mut y = MARGIN_PX + ROW_PX;
    text(&mut body, MARGIN_PX, y - 6.0, "note", NOTE);
    for panel in panels {
        y += ROW_PX * 1.5;
        text(&mut body, MARGIN_PX, y - 6.0, "title", &panel.title);
        for group in &panel.groups {
            y += ROW_PX;
            text(&mut body, MARGIN_PX, y - 6.0, "note", &group.title);
            let top = y;
            for bar in &group.bars {
                draw(&mut body, bar, y, scale);
                y += ROW_PX;
            }
            let x = LABELS_PX + scale;
            line(
                &mut body,
                format_args!(
                    r##"<path d="M{x:.1} {top:.1}V{y:.1}" stroke="#1f2933" stroke-dasharray="3 3"/>"##
                ),
            );
        }
    }
    let height = y + MARGIN_PX;
    format!(
        r##"<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH_PX} {height}" width="{WIDTH_PX}" height="{height}">
<style>text{{font:13px sans-serif;fill:#1f2933}}.title{{font-weight:bold}}.note{{font-size:12px;fill:#52606d}}</style>
<rect width="100%" height="100%" fill="#fff"/>
{body}</svg>
"##
    )
}

fn draw(body: &mut String, bar: &Bar, y: f64, scale: f64) {
    let baseline = y + BAR_PX - 1.0;
    let width = bar.ratio * scale;
    let fill = if bar.ours { OURS } else { THEIRS };
    text(body, MARGIN_PX * 2.0, baseline, "", &bar.label);
    line(
        body,
        format_args!(
            r#"<rect x="{LABELS_PX}" y="{:.1}" width="{width:.1}" height="{BAR_PX}" fill="{fill}"/>"#,
            y + 1.0
        ),
    );
    text(
        body,
        LABELS_PX + width + 6.0,
        baseline,
        "",
        &format!("{:.2} ×", bar.ratio),
    );
}

fn text(body: &mut String, x: f64, y: f64, class: &str, words: &str) {
    let class = match class {
        "" => String::new(),
        class => format!(r#" class="{class}""#),
    };
    let words = words.replace('&', "&amp;").replace('<', "&lt;");
    line(
        body,
        format_args!(r#"<text x="{x:.1}" y="{y:.1}"{class}>{words}</text>"#),
    );
}

fn line(body: &mut String, element: std::fmt::Arguments) {
    writeln!(body, "{element}").expect("a String takes everything");
}

#[cfg(test)]
mod tests {
    use super::super::summary::tests::example;
    use super::*;

    #[test]
    fn the_picture_is_the_golden_one() {
        let found = svg(&example().1.panels());
        assert_eq!(found, include_str!("golden/bars.svg"), "drawn:\n{found}");
    }

    #[test]
    fn labels_are_escaped_and_nothing_to_draw_is_drawn() {
        let panel = Panel {
            title: "a < b & c".into(),
            groups: Vec::new(),
        };
        assert!(svg(&[panel]).contains(">a &lt; b &amp; c<"));
        assert!(svg(&[]).ends_with("</svg>\n"));
    }

    #[test]
    fn the_longest_bar_ends_before_the_numbers() {
        let bar = |ratio| Bar {
            label: "x".into(),
            ratio,
            ours: true,
        };
        let group = |ratio| Group {
            title: String::new(),
            bars: vec![bar(ratio)],
        };
        let panels = [0.5, 8.0].map(|ratio| Panel {
            title: String::new(),
            groups: vec![group(ratio)],
        });
        let drawn = svg(&panels);
        assert!(
            drawn.contains(r#"width="494.0""#) && drawn.contains(r#"width="30.9""#),
            "{drawn}"
        );
    }
}

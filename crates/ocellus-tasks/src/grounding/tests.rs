use proptest::prelude::*;

use super::*;

fn text(text: &str) -> Piece {
    Piece::Text(text.to_owned())
}

fn at(name: Option<&str>, sides: [f32; 4]) -> Piece {
    let (name, shape) = (name.map(str::to_owned), Shape::Box(sides));
    Piece::Place(Place { name, shape })
}

/// On a picture of 2000 times 500 pixels.
fn read(answer: &str) -> Vec<Piece> {
    parse(answer, &Format::THOUSANDTHS, (2000, 500))
}

#[test]
fn places_and_the_text_around_them() {
    let table = [
        ("", vec![]),
        ("Nothing here.", vec![text("Nothing here.")]),
        (
            "<ref>a dog</ref><box>(100,200),(300,400)</box>",
            vec![at(Some("a dog"), [200.0, 100.0, 600.0, 200.0])],
        ),
        (
            "<box>(0,0),(1000,1000)</box>",
            vec![at(None, [0.0, 0.0, 2000.0, 500.0])],
        ),
        // Several places of one name, spaces inside.
        (
            "<ref> two cats </ref><box>(0,0),(500,500)</box><box>( 500 , 0 ), (1000,500)</box>",
            vec![
                at(Some("two cats"), [0.0, 0.0, 1000.0, 250.0]),
                at(Some("two cats"), [1000.0, 0.0, 2000.0, 250.0]),
            ],
        ),
        // A name reaches no further than the text behind its places.
        (
            "See <ref>A</ref><box>(0,0),(1,1)</box>, then <box>(1,1),(2,2)</box>.",
            vec![
                text("See "),
                at(Some("A"), [0.0, 0.0, 2.0, 0.5]),
                text(", then "),
                at(None, [2.0, 0.5, 4.0, 1.0]),
                text("."),
            ],
        ),
        // Corners in the wrong order.
        (
            "<box>(300,400),(100,200)</box>",
            vec![at(None, [200.0, 100.0, 600.0, 200.0])],
        ),
        // A name without a place.
        ("<ref>sky</ref> is <ref>blue</ref>", vec![text("sky is blue")]),
        (
            "<ref>x</ref><ref>y</ref><box>(0,0),(1,1)</box>",
            vec![text("x"), at(Some("y"), [0.0, 0.0, 2.0, 0.5])],
        ),
    ];
    for (answer, expected) in table {
        assert_eq!(read(answer), expected, "{answer}");
    }
}

#[test]
fn a_turned_rectangle_keeps_its_corners() {
    let pieces = read("<ref>SALE</ref><quad>(0,100),(500,0),(510,40),(10,140)</quad>");
    let corners = [[0.0, 50.0], [1000.0, 0.0], [1020.0, 20.0], [20.0, 70.0]];
    let (name, shape) = (Some("SALE".to_owned()), Shape::Quad(corners));
    assert_eq!(pieces, [Piece::Place(Place { name, shape })]);
    assert_eq!(shape.bounds(), [0.0, 0.0, 1020.0, 70.0]);
}

#[test]
fn what_is_no_place_stays_text() {
    for answer in [
        "<box>(1,2),(3,4)",
        "<box>(1,2)</box>",
        "<box>(1,2),(3,4),(5,6)</box>",
        "<box>(1,2)(3,4)</box>",
        "<box>(1,2),(3)</box>",
        "<box>(a,b),(c,d)</box>",
        "<box>(-1,2),(3,4)</box>",
        "<box>(1,2),(3,1001)</box>",
        "<box>(NaN,2),(3,4)</box>",
        "<quad>(1,2),(3,4)</quad>",
        "<quad>(1,2),(3,4),(5,6),(7,8)</box>",
        "</box></ref>",
        "<ref>never closed",
        "1 < 2 <bo",
    ] {
        assert_eq!(read(answer), [text(answer)], "{answer}");
    }
    // An open start does not swallow the place behind it.
    assert_eq!(
        read("<box>(1, <box>(0,0),(1,1)</box>"),
        [text("<box>(1, "), at(None, [0.0, 0.0, 2.0, 0.5])]
    );
}

#[test]
fn markers_and_scale_are_data() {
    let format = Format {
        corners: ("[[", "]]"),
        scale: 1.0,
        ..Format::THOUSANDTHS
    };
    let found = parse("[[(0.5,0),(1,0.25)]]", &format, (10, 20));
    assert_eq!(found, [at(None, [5.0, 0.0, 10.0, 5.0])]);
}

proptest! {
    /// Nothing panics, and text without a whole marker is kept as it is.
    #[test]
    fn any_text_is_read(answer in "(<box>|</box>|<ref>|</ref>|<quad>|\\(|\\)|[0-9]{1,4}|,|é| )*") {
        let pieces = read(&answer);
        if !answer.contains("</") {
            let kept: Vec<Piece> = if answer.is_empty() { vec![] } else { vec![text(&answer)] };
            prop_assert_eq!(pieces, kept);
        } else {
            for place in pieces.iter().filter_map(|p| match p { Piece::Place(place) => Some(place), _ => None }) {
                let [x1, y1, x2, y2] = place.shape.bounds();
                prop_assert!(0.0 <= x1 && x1 <= x2 && x2 <= 2000.0 && 0.0 <= y1 && y1 <= y2 && y2 <= 500.0);
            }
        }
    }
}

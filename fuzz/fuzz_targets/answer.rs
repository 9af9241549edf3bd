//! Any text as an answer: its places lie on the picture, its markup and its HTML, hOCR and Markdown are well formed.

#![no_main]

use libfuzzer_sys::fuzz_target;
use ocellus_tasks::grounding::{Format, Piece, parse};
use ocellus_tasks::layout::{LineText, PageText};
use ocellus_tasks::ocr::OcrPage;
use ocellus_tasks::render;

fuzz_target!(init: ocellus_fuzz::pass_contained(), |text: &str| {
    for piece in parse(text, &Format::THOUSANDTHS, (640, 480)) {
        if let Piece::Place(place) = piece {
            let [x1, y1, x2, y2] = place.shape.bounds();
            assert!(0.0 <= x1 && x1 <= x2 && x2 <= 640.0 && 0.0 <= y1 && y1 <= y2 && y2 <= 480.0);
        }
    }
    let line = LineText { text: text.to_owned(), bbox: [1.0, 2.0, 30.0, 9.0], confidence: 0.9, em_px: 7.0, cell: None, quad: None };
    let picture = ocellus_media::Rgb { width: 64, height: 48, data: vec![255; 64 * 48 * 3] };
    let read = PageText { lines: vec![line.clone(), line], text: text.to_owned(), ..PageText::default() };
    let page = OcrPage::new(text, 1, &picture, read);
    for written in [render::html(&[page.clone()]), render::hocr(&[page.clone()])] {
        let escape = |c: char| c.is_control() && c != '\n' && c != '\t';
        assert!(!written.contains(escape), "a control character in markup");
        assert_eq!(written.matches('<').count(), written.matches('>').count());
        assert!(!written.contains("<script"));
    }
    let _ = (render::markdown(&[page.clone()]), render::text(&[page]));
});

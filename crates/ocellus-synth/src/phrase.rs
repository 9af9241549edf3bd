//! The text of a sample: a window of real text, or generated text, or both.

use crate::charset;
use crate::corpus::{Corpus, Script};
use crate::curriculum::Curriculum;
use crate::generated;
use crate::random::Rng;

/// A wide gap in a phrase, as between the cells of a table; the transcription has a space there.
pub(crate) const GAP: char = '\t';

/// Where there is text in Chinese, how many of the phrases are.
const HAN_SHARE: f32 = 0.58;
/// How many windows of Chinese text are around a character that was chosen evenly from the charset, so that rare ones are seen.
const RARE_SHARE: f32 = 0.3;

#[derive(Debug, Clone)]
pub(crate) struct Phrase {
    /// Characters of the charset and [`GAP`]; no white space at the ends, none doubled.
    pub chars: Vec<char>,
    /// Whether the line goes on beyond the phrase, on either side.
    pub part: bool,
    /// Whether a fixed pitch suits it.
    pub mono: bool,
}

/// Chooses a phrase of `curriculum.min_chars..=curriculum.max_chars` characters of `charset`.
pub(crate) fn choose(rng: &mut Rng, corpus: &Corpus, charset: &[char], curriculum: &Curriculum) -> Phrase {
    let longest = curriculum.max_chars.max(1);
    let shortest = curriculum.min_chars.clamp(1, longest);
    let wanted = if rng.chance(0.45) {
        longest
    } else {
        rng.int(shortest, longest)
    };
    let han = corpus.has_han() && rng.chance(HAN_SHARE);
    let script = if han { Script::Han } else { Script::Latin };
    let kinds = if han {
        [0.72, 0.22, 0.06]
    } else {
        [0.64, 0.29, 0.07]
    };
    let mut phrase = match rng.weighted(&kinds) {
        0 => window(rng, corpus, charset, script, wanted),
        1 => piece(rng, script),
        _ => Phrase {
            chars: generated::scramble(rng, charset, wanted).chars().collect(),
            part: rng.chance(0.5),
            mono: false,
        },
    };
    if rng.chance(0.06) && phrase.chars.len() > 3 {
        let bullet = *rng.pick(&[
            "•", "–", "-", "*", "1.", "2.", "a)", "(b)", "»", "·", "•", "→", "[1]", "iv.",
        ]);
        let gap = if rng.chance(0.5) { GAP } else { ' ' };
        phrase.chars.splice(0..0, bullet.chars().chain([gap]));
    }
    clean(&mut phrase.chars, charset);
    // Short pieces are made longer with more text, so that the lengths follow the curriculum.
    let mut tries = 0;
    while phrase.chars.len() < shortest && tries < 8 {
        let more = if rng.chance(0.5) {
            piece(rng, script).chars
        } else {
            window(rng, corpus, charset, script, wanted).chars
        };
        phrase.chars.push(' ');
        phrase.chars.extend(more);
        clean(&mut phrase.chars, charset);
        tries += 1;
    }
    if cut(&mut phrase.chars, longest) {
        phrase.part = true;
    }
    phrase
}

/// A piece of generated text.
fn piece(rng: &mut Rng, script: Script) -> Phrase {
    let (text, mono) = match script {
        Script::Latin => generated::piece(rng),
        Script::Han => (generated::chinese(rng), false),
    };
    Phrase {
        chars: text.chars().collect(),
        part: false,
        mono,
    }
}

/// Cuts to at most `longest` characters: after a word where that leaves most of them. Whether anything was cut.
pub(crate) fn cut(chars: &mut Vec<char>, longest: usize) -> bool {
    if chars.len() <= longest {
        return false;
    }
    let blank = |c: &char| *c == ' ' || *c == GAP;
    let end = (longest / 2 + 1..=longest)
        .rev()
        .find(|&i| blank(&chars[i]) || charset::is_wide(chars[i]))
        .unwrap_or(longest);
    chars.truncate(end);
    while chars.last().is_some_and(blank) {
        chars.pop();
    }
    true
}

/// Words of a line from any word on, or Chinese from any character on; ends at a word, at times inside one with a hyphen, as lines do.
fn window(rng: &mut Rng, corpus: &Corpus, charset: &[char], script: Script, wanted: usize) -> Phrase {
    let rare = if script == Script::Han && rng.chance(RARE_SHARE) {
        corpus.place_of(*rng.pick(charset), rng)
    } else {
        None
    };
    let sought = rare.is_some();
    let (line, offset) = rare.unwrap_or_else(|| corpus.place(script, rng));
    let before = rng.below(wanted.clamp(1, 8));
    let start = if !sought && rng.chance(0.25) {
        0
    } else if sought {
        // Some characters before the one that was looked for.
        line[..offset]
            .char_indices()
            .rev()
            .take(before)
            .last()
            .map_or(offset, |(i, _)| i)
    } else if line[offset..].starts_with(charset::is_wide) {
        offset
    } else {
        let word = line[..offset].rfind(|c| c == ' ' || charset::is_wide(c));
        word.map_or(0, |i| i + line[i..].chars().next().map_or(1, char::len_utf8))
    };
    let mut chars: Vec<char> = line[start..].chars().take(wanted + 24).collect();
    if script == Script::Latin && rng.chance(0.04) {
        // The rest of a word whose beginning is on the line above.
        let word = chars.iter().take_while(|c| c.is_alphabetic()).count();
        if word > 5 {
            chars.drain(..rng.int(2, word - 3));
        }
    }
    let mut part = start > 0;
    if chars.len() > wanted {
        part = true;
        let broken = script == Script::Latin && wanted > 6 && rng.chance(0.06);
        if broken && chars[wanted - 4..=wanted].iter().all(|c| c.is_alphabetic()) {
            chars.truncate(wanted - 1);
            chars.push('-');
        } else {
            // The last word that fits; a first word that does not is taken whole.
            let blank = |i: &usize| {
                chars[*i] == ' ' || charset::is_wide(chars[*i]) || charset::is_wide(chars[*i - 1])
            };
            let end = (1..=wanted)
                .rev()
                .find(blank)
                .or_else(|| (wanted..chars.len()).find(blank));
            chars.truncate(end.unwrap_or(chars.len()));
        }
    }
    if script == Script::Latin {
        dress(rng, &mut chars);
    }
    let symbols = chars.iter().filter(|c| "/_=$|{}[]<>\\;#~".contains(**c)).count();
    Phrase {
        mono: symbols * 12 > chars.len(),
        part,
        chars,
    }
}

/// Changes of case and of quotation marks, as typesetters make them.
fn dress(rng: &mut Rng, chars: &mut Vec<char>) {
    match rng.weighted(&[0.91, 0.04, 0.03, 0.02]) {
        1 => {
            *chars = chars
                .iter()
                .flat_map(|c| {
                    if *c == 'ß' {
                        vec!['S', 'S']
                    } else {
                        c.to_uppercase().collect()
                    }
                })
                .collect()
        }
        2 => {
            for i in 0..chars.len() {
                if (i == 0 || chars[i - 1] == ' ') && chars[i] != 'ß' {
                    let upper: Vec<char> = chars[i].to_uppercase().collect();
                    if let [one] = upper[..] {
                        chars[i] = one;
                    }
                }
            }
        }
        3 => {
            // One word in quotation marks or brackets.
            let pairs = [
                ('“', '”'),
                ('”', '”'),
                ('‘', '’'),
                ('«', '»'),
                ('„', '“'),
                ('(', ')'),
                ('[', ']'),
                ('"', '"'),
                ('‹', '›'),
                ('<', '>'),
            ];
            let (open, close) = *rng.pick(&pairs);
            let at = rng.below(chars.len().max(1));
            let from = (0..at).rev().find(|&i| chars[i] == ' ').map_or(0, |i| i + 1);
            let to = (at..chars.len())
                .find(|&i| chars[i] == ' ')
                .unwrap_or(chars.len());
            if from < to {
                chars.insert(to, close);
                chars.insert(from, open);
            }
        }
        _ => {}
    }
    if rng.chance(0.4) {
        let (open, close) = *rng.pick(&[('“', '”'), ('“', '”'), ('”', '”'), ('«', '»'), ('„', '“')]);
        let curly = rng.chance(0.8);
        for i in 0..chars.len() {
            let opens = i == 0 || chars[i - 1] == ' ' || chars[i - 1] == '(';
            chars[i] = match chars[i] {
                '"' if opens => open,
                '"' => close,
                '\'' if curly && opens => '‘',
                '\'' if curly => '’',
                c => c,
            };
        }
    }
}

/// Folds and filters into `charset` like [`charset::filter`], but keeps gaps.
pub(crate) fn clean(chars: &mut Vec<char>, charset: &[char]) {
    let mut out: Vec<char> = Vec::with_capacity(chars.len());
    let mut push = |c: char| match (c, out.last()) {
        (' ' | GAP, None) => {}
        (' ' | GAP, Some(&last)) if last == ' ' || last == GAP => {
            if c == GAP
                && let Some(end) = out.last_mut()
            {
                *end = GAP;
            }
        }
        (GAP, _) => out.push(c),
        _ if charset.binary_search(&c).is_ok() => out.push(c),
        _ => {}
    };
    for &c in chars.iter() {
        match charset::fold(c) {
            Some(twin) if c != GAP => twin.chars().for_each(&mut push),
            _ => push(c),
        }
    }
    while out.last().is_some_and(|c| *c == ' ' || *c == GAP) {
        out.pop();
    }
    *chars = out;
}

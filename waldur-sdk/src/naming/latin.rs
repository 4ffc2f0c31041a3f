//! Other scripts in the letters `a` to `z`.

use icu_normalizer::{ComposingNormalizerBorrowed, DecomposingNormalizerBorrowed};

/// A text in lower-case ASCII, as somebody would type it who has no other keyboard: letters with their marks taken off,
/// letters without a decomposition (`ł`, `ø`, `ß`), Cyrillic and Greek by table. What is in no table becomes a space.
///
/// Cyrillic follows the passports of the International Civil Aviation Organization (Doc 9303), Greek those of Greece
/// (ELOT 743) without their digraphs of consonants. The same text in another Unicode normal form gives the same.
///
/// ```
/// use waldur_sdk::naming::transliterate;
/// assert_eq!(transliterate("Łukasz Żółć"), "lukasz zolc");
/// assert_eq!(transliterate("Иван Щукин"), "ivan shchukin");
/// assert_eq!(transliterate("Γιώργος Παπαδόπουλος"), "giorgos papadopoulos");
/// ```
pub fn transliterate(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    if text.is_ascii() {
        out.push_str(text);
        out.make_ascii_lowercase();
        return out;
    }
    let mut before = ' ';
    for c in composed(text).flat_map(char::to_lowercase) {
        let diphthong = before == 'ο' && matches!(c, 'υ' | 'ύ');
        push(&mut out, if diphthong { 'u' } else { c });
        before = c;
    }
    out
}

/// The characters of a text in Unicode's normal form C.
pub(super) fn composed(text: &str) -> impl Iterator<Item = char> {
    ComposingNormalizerBorrowed::new_nfc().normalize_iter(text.chars())
}

/// The characters of a text in Unicode's normal form D.
pub(super) fn canonical(text: &str) -> impl Iterator<Item = char> {
    DecomposingNormalizerBorrowed::new_nfd().normalize_iter(text.chars())
}

/// The characters of a text in Unicode's normal form KD.
pub(super) fn compatible(text: impl Iterator<Item = char>) -> impl Iterator<Item = char> {
    DecomposingNormalizerBorrowed::new_nfkd().normalize_iter(text)
}

fn push(out: &mut String, c: char) {
    if push_letter(out, c) {
        return;
    }
    for part in compatible(std::iter::once(c)).flat_map(char::to_lowercase) {
        if !push_letter(out, part) && !is_mark(part) {
            out.push(' ');
        }
    }
}

/// Accents and other marks that sit on the letter before.
fn is_mark(c: char) -> bool {
    matches!(c, '\u{300}'..='\u{36f}' | '\u{483}'..='\u{489}' | '\u{1ab0}'..='\u{1aff}')
        || matches!(c, '\u{1dc0}'..='\u{1dff}' | '\u{20d0}'..='\u{20ff}' | '\u{fe20}'..='\u{fe2f}')
}

fn push_letter(out: &mut String, c: char) -> bool {
    if c.is_ascii() {
        out.push(c);
        return true;
    }
    let letters = latin(c).or_else(|| cyrillic(c)).or_else(|| greek(c));
    letters.inspect(|letters| out.push_str(letters)).is_some()
}

/// Latin letters that decompose into nothing.
fn latin(c: char) -> Option<&'static str> {
    Some(match c {
        'ß' => "ss",
        'æ' => "ae",
        'œ' => "oe",
        'þ' => "th",
        'ŋ' => "ng",
        'ɑ' => "a",
        'ƀ' | 'ɓ' => "b",
        'ƈ' => "c",
        'ð' | 'đ' | 'ɖ' | 'ɗ' => "d",
        'ǝ' | 'ə' | 'ɛ' => "e",
        'ƒ' => "f",
        'ǥ' | 'ɠ' | 'ɣ' => "g",
        'ħ' => "h",
        'ı' | 'ɨ' | 'ɩ' => "i",
        'ɉ' => "j",
        'ĸ' | 'ƙ' => "k",
        'ł' | 'ƚ' | 'ɫ' => "l",
        'ɲ' | 'ƞ' => "n",
        'ø' | 'ɔ' | 'ɵ' => "o",
        'ƥ' => "p",
        'ɍ' => "r",
        'ŧ' | 'ƭ' | 'ʈ' => "t",
        'ʉ' | 'ʊ' => "u",
        'ʋ' => "v",
        'ƴ' | 'ɏ' => "y",
        'ƶ' | 'ʒ' => "z",
        _ => return None,
    })
}

fn cyrillic(c: char) -> Option<&'static str> {
    Some(match c {
        'а' | 'ә' => "a",
        'б' => "b",
        'в' => "v",
        'г' | 'ґ' | 'ғ' | 'ѓ' => "g",
        'д' => "d",
        'ђ' => "dj",
        'е' | 'ё' | 'э' => "e",
        'ж' | 'җ' => "zh",
        'з' => "z",
        'и' | 'й' | 'і' | 'ї' | 'ѝ' => "i",
        'ј' => "j",
        'к' | 'қ' | 'ќ' => "k",
        'л' => "l",
        'љ' => "lj",
        'м' => "m",
        'н' | 'ң' => "n",
        'њ' => "nj",
        'о' | 'ө' => "o",
        'п' => "p",
        'р' => "r",
        'с' => "s",
        'т' => "t",
        'ћ' => "c",
        'у' | 'ў' | 'ү' | 'ұ' => "u",
        'ф' => "f",
        'х' => "kh",
        'һ' => "h",
        'ц' => "ts",
        'ч' => "ch",
        'џ' | 'ѕ' => "dz",
        'ш' => "sh",
        'щ' => "shch",
        'ъ' | 'є' => "ie",
        'ы' => "y",
        'ь' => "",
        'ю' => "iu",
        'я' => "ia",
        _ => return None,
    })
}

fn greek(c: char) -> Option<&'static str> {
    Some(match c {
        'α' | 'ά' => "a",
        'β' => "v",
        'γ' => "g",
        'δ' => "d",
        'ε' | 'έ' => "e",
        'ζ' => "z",
        'η' | 'ή' | 'ι' | 'ί' | 'ϊ' | 'ΐ' => "i",
        'θ' => "th",
        'κ' => "k",
        'λ' => "l",
        'μ' => "m",
        'ν' => "n",
        'ξ' => "x",
        'ο' | 'ό' | 'ω' | 'ώ' => "o",
        'π' => "p",
        'ρ' => "r",
        'σ' | 'ς' => "s",
        'τ' => "t",
        'υ' | 'ύ' | 'ϋ' | 'ΰ' => "y",
        'φ' => "f",
        'χ' => "ch",
        'ψ' => "ps",
        _ => return None,
    })
}

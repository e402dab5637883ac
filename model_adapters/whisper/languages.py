"""The languages Whisper knows, in the order of their tokens.

Models with 99 languages lack the last, Cantonese, which came with large-v3. Codes, names and other
names are those of openai/whisper, whisper/tokenizer.py; the order is part of the vocabulary.
"""

from __future__ import annotations

__all__ = ["LANGUAGES", "WITHOUT_SPACES", "find_language"]

_TABLE = """
    en english, zh chinese, de german, es spanish, ru russian, ko korean, fr french, ja
    japanese, pt portuguese, tr turkish, pl polish, ca catalan, nl dutch, ar arabic, sv swedish,
    it italian, id indonesian, hi hindi, fi finnish, vi vietnamese, he hebrew, uk ukrainian, el
    greek, ms malay, cs czech, ro romanian, da danish, hu hungarian, ta tamil, no norwegian, th
    thai, ur urdu, hr croatian, bg bulgarian, lt lithuanian, la latin, mi maori, ml malayalam,
    cy welsh, sk slovak, te telugu, fa persian, lv latvian, bn bengali, sr serbian, az
    azerbaijani, sl slovenian, kn kannada, et estonian, mk macedonian, br breton, eu basque, is
    icelandic, hy armenian, ne nepali, mn mongolian, bs bosnian, kk kazakh, sq albanian, sw
    swahili, gl galician, mr marathi, pa punjabi, si sinhala, km khmer, sn shona, yo yoruba, so
    somali, af afrikaans, oc occitan, ka georgian, be belarusian, tg tajik, sd sindhi, gu
    gujarati, am amharic, yi yiddish, lo lao, uz uzbek, fo faroese, ht haitian_creole, ps
    pashto, tk turkmen, nn nynorsk, mt maltese, sa sanskrit, lb luxembourgish, my myanmar, bo
    tibetan, tl tagalog, mg malagasy, as assamese, tt tatar, haw hawaiian, ln lingala, ha hausa,
    ba bashkir, jw javanese, su sundanese, yue cantonese
"""

# Code -> English name in lower case.
LANGUAGES: dict[str, str] = {
    code: name.replace("_", " ")
    for code, name in (entry.split() for entry in _TABLE.replace("\n", " ").split(","))
}

_OTHER_NAMES = {
    "burmese": "my",
    "valencian": "ca",
    "flemish": "nl",
    "haitian": "ht",
    "letzeburgesch": "lb",
    "pushto": "ps",
    "panjabi": "pa",
    "moldavian": "ro",
    "moldovan": "ro",
    "sinhalese": "si",
    "castilian": "es",
    "mandarin": "zh",
}
_CODES = {name: code for code, name in LANGUAGES.items()} | _OTHER_NAMES

# Languages written without spaces between words; a character stands for a word there.
WITHOUT_SPACES = frozenset({"zh", "ja", "th", "lo", "my", "yue"})


def find_language(name: str) -> str | None:
    """The code for a code or a name in any case (`de`, `German`, `zh-CN`), or None.

    Of a tag with a region (`en-GB`) the language is taken.
    """
    wanted = name.strip().lower()
    if wanted in LANGUAGES:
        return wanted
    if wanted in _CODES:
        return _CODES[wanted]
    base = wanted.replace("_", "-").partition("-")[0]
    return base if base in LANGUAGES and base != wanted else None

"""Characters that look like Latin letters, and characters that nobody sees."""

import re
import unicodedata

_PAIRS = {
    # Cyrillic
    "авеёкмнорстухіїјѕһԁԛԝѵӏгьԍҝғ": "abeekmhopctyxiijshdqwvlrbgkf",
    "АВЕЁКМНОРСТУХІЇЈЅҺԀԚԜѴӀЬ": "ABEEKMHOPCTYXIIJSHDQWVIB",
    # Greek
    "αβγεηικνορτυχωϲϳσ": "abyeniKvoptuxwcjo",
    "ΑΒΕΖΗΙΚΜΝΟΡΤΥΧϹ": "ABEZHIKMNOPTYXC",
    # Armenian
    "օոսհցզաքկ": "onuhgqwpy",
    # Latin letters that Unicode does not decompose: phonetic, small capitals, dotless, barred, turned
    "ɑɐɡɩıɪʟɴʀʏʙɢʜᴀᴄᴅᴇᴊᴋᴍᴏᴘᴛᴜᴠᴡᴢꜰꜱɵɛǝʇʍƒɗɓɦҽ": "aagiiilnrybghacdejkmoptuvwzfsoeetwfdbhe",
}

LOOK_ALIKES = {
    glyph: letter.lower() if glyph.islower() else letter
    for glyphs, letters in _PAIRS.items()
    for glyph, letter in zip(glyphs, letters, strict=True)
}
"""Letters of other scripts and the Latin letters that they pass for, inside words that mix both."""

FOREIGN = re.compile(f"[{''.join(LOOK_ALIKES)}]")

BADGES = {chr(first + i): chr(ord("A") + i) for first in (0x1F150, 0x1F170) for i in range(26)}
"""Letters in black circles and squares, which compatibility normalisation leaves alone."""

BADGE = re.compile("[\U0001f150-\U0001f189]")

# Controls (but not white space), soft hyphen, joiners, bidirectional marks and isolates, fillers,
# variation selectors, lone surrogates, private use, tags.
INVISIBLE = re.compile(
    "[\x00-\x08\x0e-\x1b\x7f-\x84\x86-\x9f\u00ad\u034f\u061c\u115f\u1160\u17b4\u17b5\u180b-\u180f"
    "\u200b-\u200f\u202a-\u202e\u2060-\u206f\u3164\ufe00-\ufe0f\ufeff\uffa0\ufff0-\ufffb"
    "\ud800-\udfff\ue000-\uf8ff\U000e0000-\U000e0fff\U000f0000-\U0010ffff]"
)

# Marks made to be put on Latin, Greek and Cyrillic letters; more than two on one letter is a disguise.
_MARKS = "\u0300-\u036f\u0483-\u0489\u1ab0-\u1aff\u1dc0-\u1dff\u20d0-\u20ff\ufe20-\ufe2f"
PILED_MARKS = re.compile(f"[{_MARKS}]{{3,}}")

# A letter and what composes with it (marks, the vowels and finals of Hangul), unless all of it is ASCII.
_JOINING = f"{_MARKS}\u1160-\u11ff\u3099\u309a"
CLUSTER = re.compile(f"(?:[^\x00-\x7f]|[\x00-\x7f](?=[{_JOINING}]))[{_JOINING}]*")

# Normalisation would tear "don´t" into "don" and a mark on a blank, "5½" into 51/2, "Inc™" into IncTM.
_ACUTE = "´"
_ALONE = frozenset("¨¯¸˘˙˚˛˜˝‗™℠ªº¼½¾⅓⅔⅛⅜⅝⅞")


def compose(cluster: str) -> str:
    """Return the compatibility form (NFKC) of one letter with its marks."""
    if cluster == _ACUTE:
        return "'"
    if cluster in _ALONE:
        return cluster
    badge = BADGES.get(cluster)
    return badge if badge is not None else unicodedata.normalize("NFKC", cluster)

"""Whose words mean which of the 18 colours: sellers' base colours and survey answers.

A word of two minds is split, `{"brown": 0.5, "orange": 0.5}`; one that says nothing is left out.
"""

from __future__ import annotations

import re

Meaning = dict[str, float]

# The sellers' words of ../shared/data/fashion.csv. "NA" is left out.
SELLERS: dict[str, Meaning] = {
    "Beige": {"beige": 1},
    "Black": {"black": 1},
    "Blue": {"blue": 1},
    "Bronze": {"brown": 0.6, "gold": 0.4},
    "Brown": {"brown": 1},
    "Burgundy": {"red": 1},
    "Charcoal": {"grey": 1},
    "Coffee Brown": {"brown": 1},
    "Copper": {"brown": 0.5, "rose gold": 0.5},
    "Cream": {"beige": 1},
    "Fluorescent Green": {"green": 1},
    "Gold": {"gold": 1},
    "Green": {"green": 1},
    "Grey": {"grey": 1},
    "Grey Melange": {"grey": 1},
    "Khaki": {"beige": 1},
    "Lavender": {"purple": 1},
    "Magenta": {"pink": 1},
    "Maroon": {"red": 1},
    "Mauve": {"purple": 1},
    "Metallic": {"silver": 1},
    "Multi": {"multi-colored": 1},
    "Mustard": {"yellow": 1},
    "Navy Blue": {"blue": 1},
    "Nude": {"beige": 1},
    "Off White": {"white": 1},
    "Olive": {"green": 1},
    "Orange": {"orange": 1},
    "Peach": {"pink": 1},
    "Pink": {"pink": 1},
    "Purple": {"purple": 1},
    "Red": {"red": 1},
    "Rust": {"brown": 0.5, "orange": 0.5},
    "Sea Green": {"turquoise": 1},
    "Silver": {"silver": 1},
    "Skin": {"beige": 1},
    "Steel": {"silver": 1},
    # Sellers call brown leather tan; in the survey's answers it is a light beige.
    "Tan": {"brown": 0.7, "beige": 0.3},
    "Taupe": {"brown": 0.4, "beige": 0.3, "grey": 0.3},
    "Teal": {"turquoise": 1},
    "Turquoise Blue": {"turquoise": 1},
    "White": {"white": 1},
    "Yellow": {"yellow": 1},
}

# One line a meaning: the words of the survey's answers that carry it.
_WORDS = {
    "beige": "beige biege buff camel cream ecru eggshell fawn flesh nude parchment sand sandstone "
    "sandy skin tan wheat caucasian putty stone",
    "black": "black",
    "blue": "blue blueish bluish bluey azure blueberry cerulean cobalt cornflower denim marine "
    "navy ocean prussian royal sapphire sky ultramarine",
    "brown": "brown brownish browny adobe auburn caramel chestnut chocolate clay cocoa coffee dirt "
    "earth hazel leather mahogany mocha mud muddy poop russet sepia shit sienna umber",
    "gold": "gold golden",
    "green": "green greenish greeny grassy leafy minty apple army asparagus avocado camo "
    "camouflage celadon celery chartreuse emerald evergreen fern forest grass hunter jade jungle "
    "kelly kermit kiwi leaf lime moss olive pea pear pine pistachio sage shamrock spearmint swamp "
    "viridian wintergreen",
    "grey": "grey greyish charcoal gunmetal slate steel",
    "orange": "orange orangish orangey mango pumpkin tangerine amber apricot",
    "pink": "pink pinkish pinky barbie blush bubblegum carnation cerise fuchsia magenta "
    "magneta peach rose rosy salmon spam strawberry watermelon rouge raspberry",
    "purple": "purple purplish purpley purply amethyst aubergine barney eggplant grape heather "
    "heliotrope iris lavender lilac mauve muave mulberry orchid plum violet wisteria",
    "red": "red reddish reddy blood brick burgundy cherry claret cranberry crimson lipstick maroon "
    "merlot ruby scarlet tomato vermillion wine",
    "silver": "silver",
    "turquoise": "turquoise aqua aquamarine cyan teal tealish tiffany",
    "white": "white",
    "yellow": "yellow yellowish yellowy banana butter canary daffodil dandelion lemon maize "
    "mustard sunflower sunshine",
}
_MEANINGS: dict[str, Meaning] = {
    word: {label: 1.0} for label, words in _WORDS.items() for word in words.split()
} | {
    "bronze": {"brown": 0.6, "gold": 0.4},
    "copper": {"brown": 0.5, "orange": 0.3, "rose gold": 0.2},
    "coral": {"pink": 0.5, "orange": 0.5},
    "goldenrod": {"gold": 0.6, "yellow": 0.4},
    "indigo": {"purple": 0.6, "blue": 0.4},
    "ivory": {"white": 0.5, "beige": 0.5},
    "khaki": {"beige": 0.6, "green": 0.4},
    "mint": {"green": 0.8, "turquoise": 0.2},
    "ochre": {"yellow": 0.5, "brown": 0.3, "gold": 0.2},
    "periwinkle": {"blue": 0.5, "purple": 0.5},
    "rust": {"brown": 0.6, "orange": 0.4},
    "sea": {"turquoise": 0.6, "green": 0.4},
    "seafoam": {"green": 0.6, "turquoise": 0.4},
    "seaweed": {"green": 0.8, "turquoise": 0.2},
    "taupe": {"brown": 0.5, "grey": 0.3, "beige": 0.2},
    "terracotta": {"brown": 0.5, "orange": 0.5},
    "blurple": {"purple": 0.5, "blue": 0.5},
}
# Said as one word they mean another colour than the last of them does.
_PHRASES: dict[str, Meaning] = {
    "almost black": {"black": 1},
    "aqua blue": {"turquoise": 1},
    "aqua green": {"turquoise": 1},
    "off white": {"white": 1},
    "robin's egg": {"turquoise": 0.5, "blue": 0.5},
    "robin's egg blue": {"turquoise": 0.5, "blue": 0.5},
    "salmon pink": {"pink": 1},
    "teal blue": {"turquoise": 1},
    "teal green": {"turquoise": 1},
    "turquoise blue": {"turquoise": 1},
    "turquoise green": {"turquoise": 1},
}
_ADJECTIVE = re.compile(r"[a-z]+ish|(blue|green|orange|pink|purple|redd)y|pinky")


def seller_meaning(word: str) -> Meaning | None:
    """Return what a seller's base colour means, shares that sum to 1; None for "NA"."""
    return SELLERS.get(word)


def survey_meaning(answer: str) -> Meaning | None:
    """Return what a survey's answer means, shares that sum to 1; None where it names no colour.

    The last word decides ("navy blue", "olive green"). Another colour before it takes a share:
    half as a plain name ("red-brown"), a quarter as an adjective ("bluish grey"), none as a
    thing, which only says what shade is meant ("brick orange").
    """
    if answer in _PHRASES:
        return _PHRASES[answer]
    words = [word for word in re.split(r"[ -]+", answer) if word in _MEANINGS]
    if not words:
        return None
    last = _MEANINGS[words[-1]]
    before = words[-2] if len(words) > 1 else ""
    share = 0.5 if before in _WORDS else 0.25 if _ADJECTIVE.fullmatch(before) else 0.0
    meaning = {label: part * (1 - share) for label, part in last.items()}
    if share:
        for label, part in _MEANINGS[before].items():
            meaning[label] = meaning.get(label, 0.0) + part * share
    return _with_turquoise(meaning)


def _with_turquoise(meaning: Meaning) -> Meaning:
    """Give what lies between blue and green to the colour that has that place."""
    blue, green = meaning.get("blue", 0.0), meaning.get("green", 0.0)
    if not blue or not green:
        return meaning
    half = min(blue, green)
    mixed = meaning | {"blue": blue - half, "green": green - half}
    return mixed | {"turquoise": meaning.get("turquoise", 0.0) + 2 * half}

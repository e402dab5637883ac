"""Texts of a wanted length, made from a seed so that no two share a prefix."""

from __future__ import annotations

import random

__all__ = ["make_text"]

_TEXT = """
about above across after again air all along also animal another answer apple around ask away back
bear because before begin below between bird black blue boat body book both box boy bring brother
build car carry change children city clear close cloud cold come corner country cover cross cut
day different door down draw dream drink drive during each early earth east eat engine enough even
every example eye face family far farm father field find fire first fish floor flower fly follow
food foot forest form four friend front garden girl give glass gold good grass great green ground
group grow half hand happy hard head hear heavy help here high hill hold home horse hot hour house
hundred ice island keep kind king know lamp land large last late leaf learn leave left letter
light line listen little live long look low machine make many map mark measure meet metal middle
milk mind minute money moon morning mother mountain move music name near never new next night
north note number ocean often old open order other paper part path people picture piece place
plain plane plant point pond pull quick quiet rain reach read red rest river road rock room round
rule run sail same sand school sea second seed sentence seven ship shoe short side silver simple
sing sister sit size sky sleep slow small snow song sound south space spring stand star start
state step stone stop story street strong summer sun table tail take talk tall teach ten thing
think three through time today together town train travel tree true turn under until valley very
visit voice wait walk wall warm watch water wave week west wheel white whole wild wind window
winter wish woman wonder wood word work world write year yellow young
"""
_WORDS = _TEXT.split()


def make_text(words: int, seed: str) -> str:
    """So many words."""
    source = random.Random(seed)
    return " ".join(source.choices(_WORDS, k=max(1, words)))

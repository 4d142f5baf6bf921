"""The words that tell a disguise from a product code."""

import math
from functools import cache
from pathlib import Path

# What people disguise. Spelled out, because a cleaner that cannot name a slur cannot find one.
_DISGUISED_TEXT = (
    "fuck fucks fucked fucker fuckers fuckin fucking fuckup fuckwit fuckface fuckhead motherfucker "
    "motherfuckers motherfucking shit shits shitty shite shithead shithole shitting bullshit horseshit "
    "dipshit ass asses asshat asshats asshole assholes arse arsehole arseholes dumbass jackass badass "
    "smartass bitch bitches bitching bitchy bastard bastards cunt cunts cock cocks cocksucker cocksuckers "
    "dick dicks dickhead dickheads prick pricks pussy pussies twat twats wanker wankers wank slut sluts "
    "slutty whore whores skank hoe hoes thot tits titties boobs penis vagina anal anus cum cumming jizz "
    "dildo porn porno rape raped rapist rapists raping sex sexy molest pedo pedos pedophile pedophiles "
    "paedophile nigger niggers nigga niggas negro negroes coon coons spic spics wetback wetbacks chink "
    "chinks gook gooks kike kikes paki pakis raghead ragheads towelhead towelheads sandnigger faggot "
    "faggots fag fags faggy dyke dykes homo homos queer queers gay gays lesbian lesbians tranny trannies "
    "shemale retard retards retarded retardation tard libtard libtards idiot idiots idiotic idiocy moron "
    "morons moronic imbecile imbeciles stupid stupidity stupidest dumb dumber dumbest dummy fool fools "
    "foolish loser losers scum scumbag scumbags trash garbage filth filthy vermin parasite parasites pig "
    "pigs piggy ape apes monkey monkeys rat rats snake subhuman ugly fat fatso fatty hag crap crappy damn "
    "damned goddamn hell piss pissed pisser douche douchebag douchebags turd turds dumbfuck clown clowns "
    "bozo nazi nazis hitler fascist fascists racist racists racism bigot bigots terrorist terrorists kill "
    "kills killed killing killer murder murderer murderers die dies dead death suicide hang hanged stab "
    "shoot shot gun bomb burn hate hates hated hateful hater haters suck sucks sucker suckers jew jews "
    "jewish muslim muslims islam christian black blacks white whites woman women liar liars lying "
    "pathetic disgusting worthless useless coward cowards creep creeps creepy pervert perverts psycho "
    "lunatic maniac insane crazy nutjob nutcase jerk jerks weirdo freak freaks stfu gtfo kys "
)
_DISGUISED = _DISGUISED_TEXT.split()


@cache
def disguised_words() -> dict[str, int]:
    """Return the disguised words and their order: of two that fit, the earlier one is meant."""
    return {word: index for index, word in enumerate(dict.fromkeys(_DISGUISED))}


@cache
def words() -> dict[str, int]:
    """Return the known words and the rank of each, the most common one's 0."""
    listed = (Path(__file__).parent / "words.txt").read_text(encoding="ascii").split()
    ranked = dict.fromkeys(listed[:4000] + _DISGUISED + listed[4000:])
    return dict(zip(ranked, range(len(ranked)), strict=True))


@cache
def common() -> frozenset[str]:
    """Return the two thousand most common words."""
    return frozenset(list(words())[:2000])


@cache
def spared() -> frozenset[str]:
    """Return what looks misspelt and is left as it is: words, and what comments spell so again and again."""
    return frozenset((Path(__file__).parent / "spared.txt").read_text(encoding="ascii").split())


def split(letters: str, longest: int = 20) -> list[str] | None:
    """Cut a run of letters into its likeliest words.

    A unigram model (Viterbi); unknown pieces cost much and by the letter.

    Args:
        letters: Lower case, without blanks.
        longest: Letters of the longest word tried.

    Returns:
        The pieces, which join to `letters`, or None unless known words of three letters and more cover at
        least half of them.
    """
    best: list[tuple[float, int]] = [(0.0, 0)]
    for end in range(1, len(letters) + 1):
        best.append(
            min(
                (best[begin][0] + price(letters[begin:end]), begin)
                for begin in range(max(0, end - longest), end)
            )
        )
    pieces: list[str] = []
    end = len(letters)
    while end:
        begin = best[end][1]
        pieces.append(letters[begin:end])
        end = begin
    pieces.reverse()
    covered = sum(len(piece) for piece in pieces if len(piece) > 2 and piece in words())
    return pieces if 2 * covered >= len(letters) else None


def price(piece: str) -> float:
    """Return the cost of a piece in a segmentation: a word's negative log frequency (Zipf)."""
    if piece in ("a", "i"):
        return 6.0
    known = words()
    rank = known.get(piece)
    return 14.0 + 3.0 * len(piece) if rank is None else math.log((rank + 1) * math.log(len(known)))

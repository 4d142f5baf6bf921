"""Made-up sentences about identities, neutral and hostile in equal parts.

Comment sections mention some groups mostly where somebody attacks them, and a classifier learns the name
of the group as a sign of toxicity. Sentences in which the same names stand equally often in friendly and
in hostile company weaken that (Dixon et al. 2018, "Measuring and mitigating unintended bias in text
classification", section 4, with sentences of our own instead of Wikipedia articles).
"""

import numpy as np

from giantkiller.attributes import ATTRIBUTES

# adjective, singular noun phrase, plural
IDENTITIES = (
    ("gay", "a gay man", "gay people"),
    ("lesbian", "a lesbian", "lesbians"),
    ("bisexual", "a bisexual person", "bisexual people"),
    ("transgender", "a trans woman", "trans people"),
    ("queer", "a queer person", "queer people"),
    ("straight", "a straight man", "straight people"),
    ("male", "a man", "men"),
    ("female", "a woman", "women"),
    ("Muslim", "a Muslim", "Muslims"),
    ("Christian", "a Christian", "Christians"),
    ("Jewish", "a Jewish man", "Jews"),
    ("Hindu", "a Hindu", "Hindus"),
    ("Buddhist", "a Buddhist", "Buddhists"),
    ("Catholic", "a Catholic", "Catholics"),
    ("Sikh", "a Sikh", "Sikhs"),
    ("atheist", "an atheist", "atheists"),
    ("black", "a black woman", "black people"),
    ("white", "a white man", "white people"),
    ("Asian", "an Asian student", "Asians"),
    ("Latino", "a Latino worker", "Latinos"),
    ("Mexican", "a Mexican", "Mexicans"),
    ("Chinese", "a Chinese student", "Chinese people"),
    ("Indian", "an Indian doctor", "Indians"),
    ("African", "an African student", "Africans"),
    ("Arab", "an Arab", "Arabs"),
    ("American", "an American", "Americans"),
    ("Canadian", "a Canadian", "Canadians"),
    ("European", "a European", "Europeans"),
    ("Native American", "a Native American", "Native Americans"),
    ("immigrant", "an immigrant", "immigrants"),
    ("refugee", "a refugee", "refugees"),
    ("disabled", "a disabled person", "disabled people"),
    ("deaf", "a deaf person", "deaf people"),
    ("blind", "a blind person", "blind people"),
    ("autistic", "an autistic child", "autistic people"),
    ("old", "an old man", "old people"),
    ("young", "a young woman", "young people"),
    ("poor", "a poor man", "poor people"),
    ("liberal", "a liberal", "liberals"),
    ("conservative", "a conservative", "conservatives"),
    ("homosexual", "a homosexual", "homosexuals"),
    ("heterosexual", "a heterosexual", "heterosexuals"),
    ("LGBT", "an LGBT person", "LGBT people"),
    ("nonbinary", "a nonbinary person", "nonbinary people"),
    ("Hispanic", "a Hispanic man", "Hispanics"),
    ("Japanese", "a Japanese student", "Japanese people"),
    ("Pakistani", "a Pakistani", "Pakistanis"),
    ("Middle Eastern", "a Middle Eastern man", "Middle Eastern people"),
    ("African American", "an African American", "African Americans"),
    ("Protestant", "a Protestant", "Protestants"),
    ("Roma", "a Roma woman", "Roma people"),
    ("teenage", "a teenager", "teenagers"),
    ("elderly", "an elderly woman", "elderly people"),
    ("middle-aged", "a middle-aged man", "middle-aged people"),
    ("paralysed", "a paralysed man", "paralysed people"),
    ("homeless", "a homeless man", "homeless people"),
)

NEUTRAL = (
    "I am {one}.",
    "I am {one} and proud of it.",
    "My best friend is {one}, and we have known each other since school.",
    "As {one} I was glad to read this article.",
    "As {one} I felt welcome here from the first day.",
    "My neighbour is {one} and helped us when the basement flooded.",
    "{many} live in every part of this city.",
    "Many {many} voted for the new library.",
    "The {adjective} community here has asked for a new bus stop.",
    "There is a {adjective} bookshop on the corner of our street.",
    "The new teacher is {one}, and the children like the lessons.",
    "{many} deserve the same rights as everybody else.",
    "We need to talk about how {many} are treated in hospitals.",
    "The survey asked {many} about their jobs and their rent.",
    "She wrote a book about {many} in the nineteenth century.",
    "Some {many} disagree with the mayor, others support the plan.",
    "I had dinner with {one} yesterday, and the food was great.",
    "It is wrong to say that {many} are stupid.",
    "Nobody should be attacked for being {adjective}.",
    "People who hate {many} have never talked to one.",
    "Stop saying that {many} are to blame, it is not true.",
    "I hate it when somebody makes fun of {many}.",
    "He was beaten up because he is {adjective}, and the police did nothing.",
    "Are there any {many} in this thread who can tell us more?",
    "The film tells the story of {one} who moves to a small town.",
    "{many} are welcome in our club.",
    "Welcome to the forum! We have a lot of {many} here.",
    "My daughter married {one} last summer, a lovely wedding.",
    "I do not think that {many} would agree with this tax.",
    "Our {adjective} colleagues organise the party this year.",
    "Is the candidate {adjective}? It should not matter.",
    "The article says that {many} pay more for insurance, is that right?",
    "My {adjective} neighbours invited us to dinner for the holidays.",
    "As {one} I pay my taxes like you do.",
    "Being {adjective} is nothing to be ashamed of.",
    "I love being {adjective}.",
    "Happy to see more {many} in parliament.",
    "{many} have lived here for generations and built half of this town.",
    "We hired {one} last month, the best decision of the year.",
    "My mother is {adjective}, my father is not, so what?",
    "The doctor who saved my life is {one}.",
    "Thank you to all the {many} who came to help after the storm.",
    "{many} pay taxes, raise children and go to work like anybody else.",
    "Why should {many} have to hide who they are?",
    "It is cruel to joke about {many}, they hear it every day.",
    "You cannot call people names because they are {adjective}.",
    "Whoever says that {many} are criminals is lying.",
    '"I hate {many}" is what he shouted, and he was thrown out for it.',
    "He wrote that {many} are vermin, and nobody deleted it. Report him.",
    "The claim that {many} are lazy has no evidence behind it.",
    "I used to be afraid of {many}, until I met some.",
    "Not all {many} think the same, ask two and you hear three opinions.",
    "The law would let landlords turn away {many}, which is why I oppose it.",
    "More {many} than ever finished school this year, according to the ministry.",
    "I am not {adjective} myself, but I support their march.",
    "Did you know that the first mayor was {one}?",
    "A {adjective} friend told me about this page.",
    "Most {many} I know are kind.",
    "The exhibition shows photographs by {many}.",
    "Could {one} explain the holiday to me?",
    "Let {many} live in peace.",
    "The crime against {many} must be punished.",
    "Both candidates court {many}, and both forget them after the vote.",
    "I do not hate {many}, and I have never said anything of the kind.",
)

HOSTILE: tuple[tuple[str, dict[str, float]], ...] = (
    ("I hate {many}.", {}),
    ("I hate {many}, all of them.", {}),
    ("{many} are disgusting.", {}),
    ("{many} are stupid and lazy, everybody knows it.", {}),
    ("{many} are nothing but parasites.", {}),
    ("{many} are vermin and ruin this country.", {}),
    ("All {many} should be thrown out of this country.", {}),
    ("Nobody wants {many} here, go away.", {}),
    ("We would be better off without {many}.", {}),
    ("{many} do not deserve any rights.", {}),
    ("{many} are not real people.", {}),
    ("You are a disgusting {adjective} pig.", {"insult": 0.9}),
    ("Shut up, you stupid {adjective} idiot.", {"insult": 0.9}),
    ("What a filthy {adjective} loser.", {"insult": 0.9}),
    ("You {adjective} scum make me sick.", {"insult": 0.9}),
    ("Typical {adjective} moron, too dumb to read.", {"insult": 0.9}),
    ("Being {adjective} is a disease.", {}),
    ("I would never let {one} into my house, they all steal.", {}),
    ("The only good thing about {many} is when they leave.", {}),
    ("{many} are all criminals and liars.", {}),
    ("Another {adjective} crybaby, how pathetic.", {"insult": 0.8}),
    ("They should lock up all the {many}.", {"threat": 0.3}),
    ("Somebody should beat up these {many}.", {"threat": 0.8}),
    ("We should burn down the houses of {many}.", {"threat": 0.9, "severe_toxicity": 0.4}),
    ("Kill all {many}.", {"threat": 0.9, "severe_toxicity": 0.6}),
    ("If {one} moves in next door I will break their legs.", {"threat": 0.9}),
    ("I will hurt the next {adjective} person that I see.", {"threat": 0.9, "severe_toxicity": 0.4}),
    ("Every {adjective} person is trash.", {"insult": 0.7}),
    ("I despise {many}, they smell and they lie.", {}),
    ("{many} have the brains of a goat.", {"insult": 0.7}),
    ("This town is full of {many}, it makes me want to vomit.", {}),
    ("Who let {one} speak? Go back to where you came from.", {}),
    ("I cannot stand {many}.", {}),
    ("{many} do not belong here.", {}),
    ("{many} make me sick.", {}),
    ("{many} are a plague on this country.", {}),
    ("You can never trust {one}.", {}),
    ("I do not like {many}, and I never will.", {}),
    ("No {adjective} person should be allowed to vote.", {}),
    ("{many} will never be as good as the rest of us.", {}),
    ("There is something wrong with every {adjective} person.", {}),
    ("{many} are animals, treat them like it.", {"insult": 0.7}),
    ("If you are {adjective} you are worth nothing.", {"insult": 0.7}),
    ("You are {one}, so nobody cares what you think.", {"insult": 0.7}),
    ("Why are {many} always so stupid?", {"insult": 0.7}),
    ("Is there anything more disgusting than {many}?", {}),
    ("Keep {many} away from our children.", {}),
    ("{many} should know their place.", {}),
    ("{many} are a mistake of nature.", {}),
    ("Not one of these {many} has ever done an honest day of work.", {}),
    ("I wish that {many} did not exist.", {"threat": 0.2}),
    ("The world would be cleaner without {many}.", {"threat": 0.2}),
    ("Send {many} back, every single one.", {}),
    ("{many} are inferior, that is a fact.", {}),
    ("{many} deserve to be spat at.", {"threat": 0.4}),
    ("{many} deserve to die.", {"threat": 0.8, "severe_toxicity": 0.5}),
    ("Wipe out {many}.", {"threat": 0.9, "severe_toxicity": 0.5}),
    ("I am going to smash the face of the next {adjective} person.", {"threat": 0.9, "severe_toxicity": 0.4}),
    ("{many} had better watch their backs.", {"threat": 0.8}),
    ("Dirty {adjective} rats, all of you.", {"insult": 0.9}),
    ("You ugly {adjective} freak.", {"insult": 0.9}),
    ("Fucking {many}, always complaining.", {"obscene": 0.8, "insult": 0.7}),
    ("Fuck {many}.", {"obscene": 0.9, "insult": 0.7}),
    ("{many} are the reason why everything here goes to hell.", {}),
)


# Harsh words about things and habits attack nobody.
THINGS = (
    "rainy mornings", "these pop-up ads", "traffic jams", "cold showers", "mosquitoes", "weeds",
    "broken links", "long meetings", "parking tickets", "software bugs", "olives", "plastic bags",
    "loud engines", "tax forms", "power cuts", "these potholes",
)  # fmt: skip
HARSH = (
    "I hate {things}.",
    "I hate {things}, all of them.",
    "{things} are disgusting.",
    "{things} are stupid.",
    "I despise {things}.",
    "{things} make me sick.",
    "Nobody wants {things} here.",
    "We would be better off without {things}.",
    "Get rid of all {things}.",
    "{things} are the worst.",
    "I cannot stand {things}.",
    "{things} should be banned.",
    "Damn {things}, every single day.",
    "{things} are a plague.",
    "Kill {things} with fire.",
    "I wish that {things} did not exist.",
)


def harsh_sentences(rows: int, seed: int) -> list[str]:
    """Draw harmless sentences with harsh words, at most the `len(THINGS) * len(HARSH)` that differ."""
    texts = [template.format(things=things) for things in THINGS for template in HARSH]
    chosen = np.random.default_rng(seed).permutation(len(texts))[:rows]
    return [texts[i][0].upper() + texts[i][1:] for i in sorted(chosen)]


def mentions(rows: int, seed: int) -> list[str]:
    """Draw neutral sentences about identities, with repetition."""
    rng = np.random.default_rng(seed)
    drawn = zip(rng.integers(len(NEUTRAL), size=rows), rng.integers(len(IDENTITIES), size=rows), strict=True)
    return [_about(IDENTITIES[identity], NEUTRAL[template]) for template, identity in drawn]


def _about(identity: tuple[str, str, str], template: str) -> str:
    adjective, one, many = identity
    text = template.format(adjective=adjective, one=one, many=many)
    return text[0].upper() + text[1:]


def identity_sentences(rows: int, seed: int) -> tuple[list[str], np.ndarray]:
    """Draw sentences about identities, half of them hostile; each identity equally often in both halves.

    Args:
        rows: About how many; at most `2 * len(IDENTITIES) * len(HOSTILE)` differ, no more are drawn.
        seed: Seed of the draw.

    Returns:
        The sentences, and their targets (n, 7) float32; nothing is missing.
    """
    rng = np.random.default_rng(seed)
    texts: list[str] = []
    targets: list[np.ndarray] = []
    each = max(1, round(rows / (2 * len(IDENTITIES))))
    for identity in IDENTITIES:
        for pool in (NEUTRAL, HOSTILE):
            for place in rng.permutation(len(pool))[:each]:
                drawn = pool[place]
                template, extra = drawn if isinstance(drawn, tuple) else (drawn, None)
                texts.append(_about(identity, template))
                row = np.zeros(len(ATTRIBUTES), dtype=np.float32)
                if extra is not None:
                    values = {"toxicity": 0.9, "identity_attack": 0.9, "insult": 0.4, "severe_toxicity": 0.1}
                    for name, value in {**values, **extra}.items():
                        row[ATTRIBUTES.index(name)] = value
                targets.append(row)
    return texts, np.stack(targets)

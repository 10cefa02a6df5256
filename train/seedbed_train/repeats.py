"""Made-up sequences in which what comes is what was: the first lesson.

An agent copies most of what it says: names of tools, ids, words of the request. A model that learns from trajectories alone
finds out how to copy late, since few of their tokens teach it. Here every token of the vocabulary is as good as any other, and
what was said is said again: whole stretches, or what stood behind a key of two tokens. Some hundred steps of short
sequences teach it.
"""

import random


def sequence(rng, vocab, length, first_id):
    """-> ids, learn: `length` ids; learn marks those that what came before decides."""
    draw = lambda n: [rng.randrange(first_id, vocab) for _ in range(n)]
    ids, learn, said = [], [], []
    while len(ids) < length:
        if said and rng.random() < 0.6:
            # Again: all of a stretch, or a part of it from some token on.
            stretch = rng.choice(said)
            begin = rng.randrange(max(1, len(stretch) - 3))
            part = stretch[begin : begin + rng.randrange(3, 24)]
            ids += part
            # The first token is anybody's guess, and where the same token stands twice so is the second.
            learn += [False] + [True] * (len(part) - 1)
        else:
            fresh = draw(rng.randrange(2, 20))
            said.append(fresh)
            ids += fresh
            learn += [False] * len(fresh)
    return ids[:length], learn[:length]


def pack_of(rows, length, vocab, seed, number, builder, first_id=8):
    """Sequences of one pack, a function of (seed, number)."""
    rng = random.Random(f"{seed}/repeats/{number}")
    for _ in range(max(1, rows // length)):
        ids, learn = sequence(rng, vocab, length, first_id)
        builder.add([], [(ids, learn)])
    return builder.build()
